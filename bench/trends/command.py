"""``fluxbench bench``: measure speed and accuracy of commits, by asv of the extra `dev`."""

# ruff: noqa: PLC0415 - asv is for these commands alone

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fluxbench.bench.commands import Decorator, Group, rounds
from fluxbench.errors import InputError
from fluxbench.storage import exclusive

if TYPE_CHECKING:
    from fluxbench.bench.trends.measurements import Measurement

FOLDER = Path("runs/asv")
"""Where commits are checked out, and pages are made; for one command at a time."""

PATTERN = click.option(
    "--bench",
    "pattern",
    default=".",
    metavar="PATTERN",
    help="Regular expression of benchmarks to run, with their parameters, such as 'samplers.*vp-k2' (default: all).",
)
MACHINE: Decorator = click.option(
    "--machine", help="Name to file results under (default: the processor and its cores)."
)


@click.group(cls=Group, example="fluxbench bench run  (this commit)\nfluxbench bench compare main --bench samplers")
def bench() -> None:
    """Measure speed and accuracy commit by commit, by asv."""


@bench.command(example="fluxbench bench run HEAD~5..HEAD --bench solvers")
@click.argument("commits", nargs=-1)
@click.option("--quick", is_flag=True, help="Each benchmark once, to see whether it runs; keeps no results.")
@PATTERN
@MACHINE
def run(commits: tuple[str, ...], quick: bool, pattern: str, machine: str | None) -> int:
    """Measure commits; results go to results/asv.

    COMMITS are names or ranges such as HEAD~5..HEAD (default: HEAD). Ends with status 1 if a benchmark fails.
    """
    _check()
    from fluxbench.bench.trends import measure, measurements

    with exclusive(FOLDER):
        _warn()
        how = (["--quick"], measurements.scratch(FOLDER / "quick")) if quick else ()
        hashes = measure.commits_of(commits or ["HEAD"])
        return _tell(measure.measure(hashes, machine or measure.this_machine(), pattern, *how))


@bench.command(example="fluxbench bench compare main --bench samplers")
@click.argument("base")
@click.option("--new", default="HEAD", show_default=True, help="Commit that is judged.")
@rounds(5, "timings are taken, in turns")
@PATTERN
@MACHINE
def compare(base: str, new: str, rounds: int, pattern: str, machine: str | None) -> int:
    """Measure a commit and another one, BASE, in turns; fails if it is slower, larger or less accurate.

    BASE is a name such as main or HEAD~1. Ends with status 1 if anything is worse.
    """
    _check()
    from fluxbench.bench.trends import measure
    from fluxbench.bench.trends.compare import compare as in_turns

    with exclusive(FOLDER):
        _warn()
        machine = machine or measure.this_machine()
        verdicts = in_turns(base, new, machine, pattern, rounds, FOLDER / "compare", click.echo)
    for verdict in verdicts:
        click.echo(f"{'WORSE ' if verdict.worse else 'ok    '} {verdict}")
    worse = sum(verdict.worse for verdict in verdicts)
    click.echo(f"{len(verdicts)} benchmarks compared, {worse} worse")
    return 1 if worse else 0


@bench.command(example="fluxbench bench publish")
def publish() -> None:
    """Make asv's web pages of all results: runs/asv/html."""
    _check()
    from fluxbench.bench.trends import pages

    with exclusive(FOLDER):
        click.echo(f"Pages: {pages.publish() / 'index.html'}; to look at them: fluxbench bench preview")


@bench.command(example="fluxbench bench publish\nfluxbench bench preview")
def preview() -> None:
    """Serve these pages on this machine, until it is interrupted."""
    _check()
    from fluxbench.bench.trends import pages

    pages.preview()


def _check() -> None:
    """Refuse at once to work without asv, or outside a checkout.

    Raises:
        InputError: if asv is not installed, or its configuration is not here.
    """
    try:
        from fluxbench.bench.trends import measurements
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] != "asv":
            raise
        raise InputError(f"fluxbench bench needs asv, of the extra `dev`: {error}") from error
    measurements.configuration()


def _warn() -> None:
    from fluxbench.bench.trends import measure

    if measure.uncommitted():
        click.echo("Changes that are not committed are not measured.")


def _tell(measured: "dict[str, list[Measurement]]") -> int:
    """Say what failed and how much was measured; the exit status is 1 if a benchmark failed."""
    failed = [f"{commit[:8]} {each.name}" for commit, all_ in measured.items() for each in all_ if each.value is None]
    for name in failed:
        click.echo(f"failed: {name}")
    for commit, measurements in measured.items():
        if all(each.value is None for each in measurements):
            raise InputError(f"commit {commit[:8]}: nothing was measured, see above")
    click.echo(f"{sum(map(len, measured.values())) - len(failed)} measurements, {len(failed)} failed")
    return 1 if failed else 0
