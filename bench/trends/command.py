"""``fluxbench bench``: its options, and what it says."""

# ruff: noqa: PLC0415 - asv, of the extra `dev`, is for these commands alone

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fluxbench.errors import InputError
from fluxbench.storage import exclusive

if TYPE_CHECKING:
    from fluxbench.bench.trends.measurements import Measurement

ACTIONS = {
    "run": "measure a commit, or several; results go to results/asv",
    "compare": "measure a commit and another one in turns; fails if it is slower, larger or less accurate",
    "publish": "make web pages of all results, which need no internet: runs/asv/html",
    "preview": "serve these pages on this machine",
}
FOLDER = Path("runs/asv")
"""Where commits are checked out, and pages are made; for one command at a time."""
_PATTERN = "regular expression of benchmarks to run, with their parameters, such as 'samplers.*vp-k2' (default: all)"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == "run":
            action.add_argument(
                "commits", nargs="*", default=["HEAD"], help="commits, or ranges such as HEAD~5..HEAD (default: HEAD)"
            )
            action.add_argument(
                "--quick", action="store_true", help="each benchmark once, to see whether it runs; keeps no results"
            )
        if name == "compare":
            action.add_argument("base", help="commit to compare with, such as main or HEAD~1")
            action.add_argument("--new", default="HEAD", help="commit that is judged (default: HEAD)")
            action.add_argument("--rounds", type=int, default=5, help="of timings, in turns (default: 5)")
        if name in ("run", "compare"):
            action.add_argument("--bench", default=".", metavar="PATTERN", help=_PATTERN)
            action.add_argument("--machine", help="to file results under (default: the processor and its cores)")


def act(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Do what is asked for and return the exit status: 1 if a benchmark fails, or a comparison finds a regression.

    Raises:
        InputError: if asv is not installed, a commit or a configuration is not there, or nothing was measured.
    """
    try:
        from fluxbench.bench.trends import compare, measure, measurements, pages
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] != "asv":
            raise
        raise InputError(f"fluxbench bench needs asv, of the extra `dev`: {error}") from error
    measurements.configuration()  # refused now, where there is none
    if options.action == "preview":
        pages.preview()
        return 0
    with exclusive(FOLDER):
        if options.action == "publish":
            say(f"Pages: {pages.publish() / 'index.html'}; to look at them: fluxbench bench preview")
            return 0
        if measure.uncommitted():
            say("Changes that are not committed are not measured.")
        machine = options.machine or measure.this_machine()
        if options.action == "run":
            how = (["--quick"], measurements.scratch(FOLDER / "quick")) if options.quick else ()
            found = measure.measure(measure.commits_of(options.commits), machine, options.bench, *how)
            return _tell_measured(found, say)
        if options.rounds < 1:
            raise InputError(f"--rounds: expected at least 1, found {options.rounds}")
        verdicts = compare.compare(
            options.base, options.new, machine, options.bench, options.rounds, FOLDER / "compare", say
        )
        for verdict in verdicts:
            say(f"{'WORSE ' if verdict.worse else 'ok    '} {verdict}")
        worse = sum(verdict.worse for verdict in verdicts)
        say(f"{len(verdicts)} benchmarks compared, {worse} worse")
        return 1 if worse else 0


def _tell_measured(found: "dict[str, list[Measurement]]", say: Callable[[str], None]) -> int:
    failed = [f"{commit[:8]} {each.name}" for commit, those in found.items() for each in those if each.value is None]
    for name in failed:
        say(f"failed: {name}")
    for commit, measurements in found.items():
        if all(each.value is None for each in measurements):
            raise InputError(f"commit {commit[:8]}: nothing was measured, see above")
    say(f"{sum(map(len, found.values())) - len(failed)} measurements, {len(failed)} failed")
    return 1 if failed else 0
