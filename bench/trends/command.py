"""``fluxbench bench``: its options, and what it says."""

# ruff: noqa: PLC0415 - asv, of the extra `dev`, is for these commands alone

import argparse
from collections.abc import Callable

from solvers.errors import InputError

ACTIONS = {
    "run": "measure a commit, or several; results go to results/asv",
    "compare": "measure a commit and another one in turns; fails if it is slower, larger or less accurate",
    "publish": "make web pages of all results, which need no internet: runs/asv/html",
    "preview": "serve these pages on this machine",
}
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
            action.add_argument("--quick", action="store_true", help="each benchmark once, to see whether it runs")
        if name == "compare":
            action.add_argument("base", help="commit to compare with, such as main or HEAD~1")
            action.add_argument("--new", default="HEAD", help="commit that is judged (default: HEAD)")
            action.add_argument("--rounds", type=int, default=3, help="of timings, in turns (default: 3)")
        if name in ("run", "compare"):
            action.add_argument("--bench", default=".", metavar="PATTERN", help=_PATTERN)
            action.add_argument("--machine", help="to file results under (default: the processor and its cores)")


def act(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Do what is asked for and return the exit status: 1 if a comparison finds a regression.

    Raises:
        InputError: if asv is not installed, a commit or a configuration is not there, or nothing was measured.
    """
    try:
        import asv  # noqa: F401
    except ImportError as error:
        raise InputError(f"fluxbench bench needs asv, of the extra `dev`: {error}") from error
    match options.action:
        case "run":
            return _run(options, say)
        case "compare":
            return _compare(options, say)
        case "publish":
            from bench.trends.pages import publish

            say(f"Pages: {publish() / 'index.html'}; to look at them: fluxbench bench preview")
        case "preview":
            from bench.trends.pages import preview

            preview()
    return 0


def _run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Exit status 1 if a benchmark failed."""
    from bench.trends.measure import commits_of, measure, this_machine

    _tell_uncommitted(say)
    how = ["--quick"] if options.quick else []
    found = measure(commits_of(options.commits), options.machine or this_machine(), options.bench, how)
    failed = [f"{commit[:8]} {each.name}" for commit, those in found.items() for each in those if each.value is None]
    for name in failed:
        say(f"failed: {name}")
    say(f"{sum(map(len, found.values())) - len(failed)} measurements, {len(failed)} failed: results/asv")
    return 1 if failed else 0


def _compare(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    from bench.trends.compare import compare
    from bench.trends.measure import this_machine

    if options.rounds < 1:
        raise InputError(f"--rounds: expected at least 1, found {options.rounds}")
    _tell_uncommitted(say)
    machine = options.machine or this_machine()
    verdicts = compare(options.base, options.new, machine, options.bench, options.rounds, say)
    for verdict in verdicts:
        say(f"{'WORSE ' if verdict.worse else 'ok    '} {verdict}")
    worse = sum(verdict.worse for verdict in verdicts)
    say(f"{len(verdicts)} benchmarks compared, {worse} worse")
    return 1 if worse else 0


def _tell_uncommitted(say: Callable[[str], None]) -> None:
    from bench.trends.measure import uncommitted

    if uncommitted():
        say("Changes that are not committed are not measured.")
