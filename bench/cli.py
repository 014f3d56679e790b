"""The ``fluxbench`` command: one subcommand a stage, ``run`` for all of them, and what one asks of a run besides.

Libraries load in the command that needs them, so that help is there at once and on every node.
"""

# ruff: noqa: PLC0415 - imports inside functions, for the reason above

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fluxbench.bench.commands import ADDRESS, RANKS, Group, of_a_run
from fluxbench.bench.study import studies
from fluxbench.bench.trends.command import bench
from fluxbench.errors import InputError

if TYPE_CHECKING:
    from fluxbench.bench.config import Config


def main(arguments: Sequence[str] | None = None) -> int:
    """Act as the command line says, and return the exit status.

    Args:
        arguments: after the program's name; None for those of this process.

    Returns:
        0; 1 if a benchmark or a goal of a study fails; 2 for bad input; 130 after Ctrl-C or a request to end (SIGTERM).
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = None
    try:
        # Not `fluxbench.main`: it would take an end of file for an interrupt, and change stdout for good.
        with fluxbench.make_context("fluxbench", list(sys.argv[1:] if arguments is None else arguments)) as context:
            try:
                return fluxbench.invoke(context) or 0
            finally:
                command = context.invoked_subcommand
    except click.exceptions.Exit as done:  # help was asked for
        return done.exit_code
    except click.ClickException as error:
        return _refuse(_usage(error))
    except InputError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        again = "" if command in {"bench", "study"} else "; the same command goes on from here"
        print(f"fluxbench: interrupted{again}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as `fluxbench info | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _refuse(message: str) -> int:
    print(f"fluxbench: error: {message}", file=sys.stderr)
    return 2


def _usage(error: click.ClickException) -> str:
    """What is wrong with a command line, in one line, and where help is."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see `{context.command_path} --help`)" if context else message


@click.group(cls=Group, example="fluxbench run", context_settings={"max_content_width": 120})
def fluxbench() -> None:
    """How well, and how fast, conditional diffusion models solve physics inverse problems.

    Every stage goes on where it was stopped.
    """


@fluxbench.command(example="fluxbench solve --ranks 4 --set name=large --set flux.train_samples=36000")
@of_a_run(RANKS)
@click.option(
    "--part",
    metavar="K/N",
    help="Make part K of N of each data set alone; when all are there, solve without --part joins them.",
)
def solve(config: "Config", part: str | None) -> None:
    """Solve the forward problems under MPI; writes runs/<name>/data/*.h5."""
    if part is not None:
        from fluxbench.solvers.data.shards import Part

        Part.parse(part)  # refused before any job starts
    _work(config, "solve", part=part)


@fluxbench.command(example="fluxbench reference --profile quick  (after solve)")
@of_a_run()
def reference(config: "Config") -> None:
    """Sample the exact posteriors of the flux problems by Monte Carlo; writes runs/<name>/references."""
    _work(config, "reference")


@fluxbench.command(
    example='fluxbench train --set name=mine --set "flux.noise=[0.0, 0.1]" --set flux.epochs=50  (after solve)'
)
@of_a_run(ADDRESS)
def train(config: "Config") -> None:
    """Train a score network for every formulation and noise level; writes runs/<name>/cells."""
    _work(config, "train")


@fluxbench.command(example='fluxbench sample --set "sampling.alphas=[0.0, 0.5, 1.0]"')
@of_a_run(ADDRESS)
def sample(config: "Config") -> None:
    """Draw posterior samples from every network; writes runs/<name>/samples."""
    _work(config, "sample")


@fluxbench.command(example="fluxbench score --profile quick")
@of_a_run()
def score(config: "Config") -> None:
    """Score the samples; writes results/<name>/scores.csv and table2.csv."""
    _work(config, "score")


@fluxbench.command(example="fluxbench report --profile quick")
@of_a_run()
@click.option("--standalone", is_flag=True, help="Write report.html with all pictures inside, as one file.")
def report(config: "Config", standalone: bool) -> None:
    """Make tables and figures from the scores; writes results/<name>."""
    _work(config, "report", standalone=standalone)


@fluxbench.command(example="fluxbench run --profile paper --set name=mine --set flux.epochs=1000")
@of_a_run(RANKS, ADDRESS)
def run(config: "Config") -> None:
    """Do all stages in their order."""
    from fluxbench.bench import stages

    _work(config, *stages.STAGES)


@fluxbench.command(example="fluxbench status --profile paper")
@of_a_run()
def status(config: "Config") -> None:
    """Say what a run consists of, and how much of it is there."""
    from fluxbench.bench.run import Run
    from fluxbench.bench.status import describe

    click.echo(describe(Run(config)))


@fluxbench.command(
    example="fluxbench infer --cell linear_vp-k2_noise-0.1_tuned_seed-0 --measurement readings.csv  (after train)"
)
@of_a_run()
@click.option(
    "--cell", required=True, help="Network of the run, as named in runs/<name>/cells; a wrong name lists some."
)
@click.option(
    "--measurement",
    type=click.Path(path_type=Path),
    required=True,
    help="Readings in physical units, one measurement a row: .csv, or .h5 with an array y.",
)
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    help="1 where a sensor is on, 0 where it is off, of the measurement's shape: .csv, or .h5 with an array mask.",
)
@click.option("--samples", type=int, default=1_000, show_default=True, help="Samples for each measurement.")
@click.option("--alpha", type=float, default=0.0, show_default=True, help="0 for the ODE, above 0 for an SDE.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write (default: runs/<name>/inferred/<measurement>).",
)
def infer(config: "Config", **request: Any) -> None:
    """Draw posterior samples for a measurement of your own; writes samples, a summary and a picture."""
    from fluxbench.bench.infer.infer import Request
    from fluxbench.bench.infer.infer import infer as draw

    click.echo(draw(config, Request(**request)))


@fluxbench.command(example="fluxbench info")
def info() -> None:
    """Print versions, host, processor, MPI, PETSc, torch and GPU."""
    from fluxbench.bench.info import describe

    click.echo(describe())


fluxbench.add_command(studies)
fluxbench.add_command(bench)


def _work(config: "Config", *names: str, **more: Any) -> None:
    """Do some stages, one after the other."""
    from fluxbench.bench import stages
    from fluxbench.bench.run import Run

    files = Run(config)
    try:
        for name in names:
            with stages.held(files, name):
                began = time.perf_counter()
                stages.STAGES[name](files, **more)
                click.echo(f"[{name}] done in {time.perf_counter() - began:.1f} s")
    finally:
        stages.finish()


if __name__ == "__main__":
    sys.exit(main())
