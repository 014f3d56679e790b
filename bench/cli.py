"""The ``fluxbench`` command: one subcommand a stage, ``run`` for all of them."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fluxbench.bench import stages
from fluxbench.bench.config import Config, load, profiles
from fluxbench.bench.status import describe as describe_run
from fluxbench.bench.trends import command as trends
from fluxbench.errors import InputError
from fluxbench.solvers.data.shards import Part
from fluxbench.solvers.problems import FLUX_PROBLEMS

STAGES = {
    "solve": (
        "solve the forward problems under MPI; writes runs/<name>/data/*.h5",
        "fluxbench solve --ranks 4 --set name=large --set flux.train_samples=36000",
    ),
    "reference": (
        "sample the exact posteriors of the flux problems by Monte Carlo; writes runs/<name>/references",
        "fluxbench reference --profile quick  (after solve)",
    ),
    "train": (
        "train a score network for every formulation and noise level; writes runs/<name>/cells",
        'fluxbench train --set name=mine --set "flux.noise=[0.0, 0.1]" --set flux.epochs=50  (after solve)',
    ),
    "sample": (
        "draw posterior samples from every network; writes runs/<name>/samples",
        'fluxbench sample --set "sampling.alphas=[0.0, 0.5, 1.0]"',
    ),
    "score": (
        "score the samples; writes results/<name>/scores.csv and table2.csv",
        "fluxbench score --profile quick",
    ),
    "report": (
        "make Markdown tables and figures from the scores; writes results/<name>",
        "fluxbench report --profile quick",
    ),
    "run": (
        "all stages in their order",
        "fluxbench run --profile paper --set name=mine --set flux.epochs=1000",
    ),
    "status": (
        "say what a run consists of, and how much of it is there",
        "fluxbench status --profile paper",
    ),
    "infer": (
        "draw posterior samples for a measurement of your own; writes samples, a summary and a picture",
        "fluxbench infer --cell linear_vp-k2_noise-0.1_tuned_seed-0 --measurement readings.csv  (after train)",
    ),
    "verify": (
        "check the forward solvers against refined meshes and stock SNES; writes results/verification",
        "fluxbench verify --samples 8",
    ),
    "bench": (
        "measure speed and accuracy commit by commit, by asv",
        "fluxbench bench run  (this commit)\n  fluxbench bench compare main --bench samplers",
    ),
    "info": (
        "print versions, host, MPI, PETSc, torch and GPU",
        "fluxbench info",
    ),
}


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="fluxbench",
        description="How well, and how fast, conditional diffusion models solve physics inverse problems.",
        epilog="Every stage goes on where it was stopped. Start with `fluxbench run`.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, example) in STAGES.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == "verify":
            command.add_argument(
                "--problem",
                action="append",
                dest="problems",
                choices=list(FLUX_PROBLEMS),
                help="flux problem to check; may be repeated (default: linear and nonlinear)",
            )
            command.add_argument("--samples", type=int, default=8, help="samples of the prior to compare (default: 8)")
            command.add_argument("--root", type=Path, default=Path(), help="where results/ lies (default: here)")
        if name == "bench":
            trends.add_options(command)
        if name in ("verify", "bench", "info"):
            continue
        command.add_argument(
            "--profile", default="quick", help=f"{', '.join(profiles())}, or a TOML file of your own (default: quick)"
        )
        command.add_argument(
            "--set",
            action="append",
            default=[],
            dest="changes",
            metavar="KEY=VALUE",
            help="change a key of the profile; may be repeated. bench/profiles/paper.toml shows every key",
        )
        if name in ("solve", "run"):
            command.add_argument("--ranks", type=int, help="MPI ranks that solve; the same as --set ranks=N")
        if name == "infer":
            _add_infer(command)
        if name == "solve":
            command.add_argument(
                "--part",
                metavar="K/N",
                help="make part K of N of each data set alone; when all are there, solve without --part joins them",
            )
        if name in ("train", "sample", "run"):
            command.add_argument(
                "--address",
                help="Ray cluster to work on: local (start one here, the default), auto (one that runs), HOST:PORT, or "
                "none (worker processes without Ray); the same as --set address=...",
            )
    return top


def _add_infer(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--cell", required=True, help="network of the run, as named in runs/<name>/cells; a wrong name lists some"
    )
    command.add_argument(
        "--measurement",
        type=Path,
        required=True,
        help="readings in physical units, one measurement a row: .csv, or .h5 with an array y",
    )
    command.add_argument(
        "--mask",
        type=Path,
        help="1 where a sensor is on, 0 where it is off, of the measurement's shape: .csv, or .h5 with an array mask",
    )
    command.add_argument("--samples", type=int, default=1_000, help="for each measurement (default: 1000)")
    command.add_argument("--alpha", type=float, default=0.0, help="0 for the ODE (default), above 0 for an SDE")
    command.add_argument("--out", type=Path, help="folder to write (default: runs/<name>/inferred/<measurement>)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the exit status is 0, 2 for bad input, 130 after Ctrl-C or a request to end (SIGTERM)."""
    options = parser().parse_args(arguments)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        match options.command:
            case "info":
                from fluxbench.bench.info import describe  # noqa: PLC0415 - imports every library there is

                print(describe())
            case "verify":
                return _verify(options)
            case "bench":
                return trends.act(options, stages.say)
            case "status":
                print(describe_run(_config(options)))
            case "infer":
                from fluxbench.bench.infer.infer import Request, infer  # noqa: PLC0415 - needs torch

                given = {name: getattr(options, name) for name in Request.__dataclass_fields__}
                print(infer(_config(options), Request(**given)))
            case _:
                _run_stages(options)
    except InputError as error:
        print(f"fluxbench: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = "" if options.command == "bench" else "; the same command goes on from here"
        print(f"fluxbench: interrupted{again}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as `fluxbench info | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _config(options: argparse.Namespace) -> Config:
    """The profile, as the options change it."""
    given = {name: getattr(options, name, None) for name in ("ranks", "address")}
    return load(
        options.profile, options.changes + [f"{name}={value}" for name, value in given.items() if value is not None]
    )


def _run_stages(options: argparse.Namespace) -> None:
    config = _config(options)
    actions: dict[str, Callable[[Config], None]] = stages.ALL
    if options.command != "run":
        actions = {options.command: stages.ALL[options.command]}
    if getattr(options, "part", None) is not None:
        Part.parse(options.part)  # refused before any job starts
        actions = {"solve": partial(stages.solve, part=options.part)}
    try:
        for name, action in actions.items():
            with stages.held(config, name):
                _timed(name, action, config)
    finally:
        stages.finish()


def _verify(options: argparse.Namespace) -> int:
    """Exit status 1 if a goal is missed."""
    if options.samples < 1:
        raise InputError(f"--samples: expected at least 1, found {options.samples}")
    from fluxbench.bench.studies.verification import verify  # noqa: PLC0415 - needs dolfinx

    return 0 if verify(options.root, options.problems or ["linear", "nonlinear"], options.samples, stages.say) else 1


def _timed(name: str, stage: Callable[[Config], None], config: Config) -> None:
    began = time.perf_counter()
    stage(config)
    stages.say(f"[{name}] done in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
