"""The stages of a run, each from files to files: solve, reference, train, sample, score, report.

A stage takes what the one before it wrote under ``runs/<name>``, does what is not yet done, and can be killed and
repeated at any time. Libraries load in the stage that needs them, so that a solver node runs without torch and a GPU
node without FEniCS.
"""

# ruff: noqa: PLC0415 - imports inside functions, for the reason above

import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fluxbench.bench import layout
from fluxbench.bench.config import Config
from fluxbench.bench.files import samples
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.storage import check_specification, exclusive
from fluxbench.training import workers

if TYPE_CHECKING:
    from fluxbench.training.cluster import Cluster
    from fluxbench.training.planning import Plan, Resources, Work


def say(line: str) -> None:
    """One line to the user."""
    print(line, flush=True)


MPIEXEC = "FLUXBENCH_MPIEXEC"
"""Environment variable: the command that starts MPI programs, such as ``srun --mpi=pmi2``; ``-n RANKS`` is added."""
PATIENCE = 30.0
"""Seconds that an MPI job has to end in order, once it is told to."""


def solve(config: Config, part: str | None = None) -> None:
    """Make every data set, each by an MPI job of ``config.ranks`` ranks; or part K/N of each, to be joined later.

    Raises:
        InputError: if the job fails, or there is no ``mpiexec`` for more than one rank.
    """
    for problem in config.problems:
        path, sizes = layout.data_path(config, problem), config.sizes(problem)
        if path.exists():
            datasets.read(layout.solved(config, problem))  # it is whole
            say(f"solve {problem}: there already -> {path}")
            shutil.rmtree(path.with_name(f"{path.name}.shards"), ignore_errors=True)  # of a job that was killed late
            continue
        command = ["-m", "fluxbench.solvers.data.generate", "--problem", problem, "--out", str(path)]
        command += ["--train", str(sizes.train_samples), "--test", str(sizes.test_samples), "--seed", str(config.seed)]
        command += ["--mesh", config.flux.mesh]
        command += ["--part", part] if part else []
        _mpi_job(f"solve {problem}", command, config.ranks, "its shards are kept")


def launcher(ranks: int) -> list[str]:
    """How to start Python on so many ranks; mpi4py's runner ends all ranks when one raises.

    Raises:
        InputError: if nothing is there to start more than one.
    """
    if given := _given_launcher():
        return [*given, "-n", str(ranks), sys.executable, "-P", "-m", "mpi4py"]
    if ranks == 1:
        return [sys.executable, "-P"]
    beside = Path(sys.executable).with_name("mpiexec")  # the wheel's own, else the machine's
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise InputError(f"ranks = {ranks}: expected an mpiexec beside {sys.executable} or on the PATH, found none")
    return [mpiexec, "-n", str(ranks), sys.executable, "-P", "-m", "mpi4py"]


def _given_launcher() -> list[str]:
    given = os.environ.get(MPIEXEC, "")
    try:
        return shlex.split(given)
    except ValueError as error:
        raise InputError(f"{MPIEXEC}: expected a command line, found {given!r}: {error}") from error


def reference(config: Config) -> None:
    """Sample the reference posteriors of every flux problem and noise level, by an MPI job of ``config.ranks`` ranks.

    Raises:
        InputError: if the job fails.
    """
    todo = 0
    for problem, noise in layout.referenced(config):
        path = layout.reference_path(config, problem, noise)
        if path.exists():
            layout.exact(config, problem, noise)  # it is whole
            say(f"reference {path.stem}: there already -> {path}")
        else:
            todo += 1
    if todo == 0:
        return
    command = ["-m", "fluxbench.bench.references.generate", "--configuration", config.model_dump_json()]
    _mpi_job("reference", command, config.ranks, "its blocks are kept")


def _mpi_job(what: str, command: list[str], ranks: int, kept: str) -> None:
    command = [*launcher(ranks), *command, "--ranks", str(ranks)]
    if sys.stderr.isatty():
        command.append("--progress")
    try:
        with subprocess.Popen(command) as job:
            try:
                status = job.wait()
            except BaseException:  # Ctrl-C has reached the job as well; a signal to this process alone has not
                job.terminate()
                with suppress(subprocess.TimeoutExpired):
                    job.wait(PATIENCE)
                job.kill()
                raise
    except OSError as error:
        expected = "expected a command that starts MPI programs"
        raise InputError(f"{what}: {MPIEXEC}: {expected}, found {command[0]!r}: {error.strerror}") from error
    if status != 0:
        raise InputError(f"{what}: the MPI job ended with status {status}, see above; {kept}")


def train(config: Config) -> None:
    """Train every network of the grid: through Ray, or by worker processes where there is none.

    Raises:
        InputError: if a data set is missing, a checkpoint is another configuration's, the cluster cannot meet what is
            asked for, or a training diverges.
    """
    from fluxbench.training import checkpoints, ending
    from fluxbench.training.planning import Work, device_of, plan

    data = {problem: layout.solved(config, problem) for problem in config.problems}
    works, done, before = [], 0, dict[str, int]()
    for cell in config.networks():
        path = layout.checkpoint_path(config, cell)
        steps = cell.steps(config.sizes(cell.problem).train_samples)
        step = 0
        if path.exists():  # refused now, not after hours of work on the others
            step = checkpoints.load(path, cell.specification(layout.data_specification(config, cell.problem))).step
        if 0 < step == steps:
            done += 1
        else:
            works.append(Work(cell, data[cell.problem], path, steps))
            before[cell.network_name] = step
    if done:
        say(f"train: {done} of {done + len(works)} networks there already")
    if not works:
        return
    cluster = _cluster(config)
    there = _resources(config, cluster)
    way, world_size = config.training.way, config.training.world_size
    if cluster is None:
        if way not in {None, "packed"} or world_size not in {None, 1}:
            found = f"way {way!r} and world_size {world_size}"
            raise InputError(f"training: without Ray expected way 'packed' and world_size 1, found {found}")
        way, world_size = "packed", 1
    how = plan(there, works, way, world_size, device_of(config.device, there))
    say(f"train: {len(works)} networks, {how.description}")
    with ending.asked_by_signals(config.runs / "cells"):
        if cluster is None:
            _train_by_workers(works, how)
            return
        from fluxbench.training import grid
        from fluxbench.training.watch import Watch

        failed = grid.train_all(works, how, config.runs / "ray", Watch(works, before))
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise InputError(f"train: {len(failed)} of {len(works)} networks failed, the others are trained: {reasons}")


def _train_by_workers(works: "list[Work]", how: "Plan") -> None:
    from fluxbench.training.trainer import train as train_cell

    tasks: list[workers.Labelled] = []
    for work in works:
        task = partial(train_cell, work.cell, work.data, work.path, how.device)
        tasks.append((work.cell.network_name, work.steps, task))
    workers.run(tasks, how.at_once, "train", "step", lambda number: tasks[number][0])


def sample(config: Config) -> None:
    """Sample every cell with every integrator, in blocks of measurements.

    Raises:
        InputError: if a checkpoint is missing or unfinished, or a sample file is another configuration's.
    """
    from fluxbench.bench import draw
    from fluxbench.training.planning import SHARE, device_of

    data = {problem: layout.solved(config, problem) for problem in config.problems}
    todo = []
    for cell, integrator in layout.sampled(config):
        checkpoint, path = layout.checkpoint_path(config, cell), layout.sample_path(config, cell, integrator)
        _must_exist(checkpoint, "train")
        expected = layout.expected_samples(config, cell, integrator)
        if path.exists():
            check_specification(path, samples.specification(path), expected)
            samples.blocks(path, expected, 1, 1).remove()  # of a run that was killed at its very end
        else:
            todo.append((cell, integrator, checkpoint, path, expected))
    if not todo:
        return
    cluster = _cluster(config)
    device = device_of(config.device, _resources(config, cluster))
    tasks: list[workers.Labelled] = []
    files: list[Blocks] = []
    left: Counter[Path] = Counter()
    for cell, integrator, checkpoint, path, expected in todo:
        sizes = config.sizes(cell.problem)
        made = draw.blocks(path, expected, sizes.measurements, sizes.generated, device)
        missing = made.missing()
        if not missing:
            samples.join(made)
        for start in missing:
            task = partial(draw.sample_block, cell, data[cell.problem], checkpoint, integrator, made, start, device)
            tasks.append((f"{cell.name} {integrator.label}", made.rows_from(start) * sizes.generated, task))
            files.append(made)
        left[path] = len(missing)

    if not tasks:
        return

    def ended(number: int) -> str:
        made = files[number]
        left[made.path] -= 1
        if left[made.path] > 0:
            return ""
        samples.join(made)
        return made.path.stem

    if cluster is None:
        count = min(config.worker_count, SHARE) if device == "cuda" else config.worker_count
        workers.run(tasks, count, "sample", "sample", ended)
    else:
        cluster.run(tasks, "sample", "sample", 1.0 / SHARE if device == "cuda" else 0.0, ended)


def _must_exist(path: Path, stage: str) -> None:
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench {stage}` makes it")


def _cluster(config: Config) -> "Cluster | None":
    """The Ray cluster of a run; None if it does without, or Ray is not installed."""
    if config.address == "none":
        return None
    try:
        from fluxbench.training import cluster
    except ImportError as error:
        if config.address != "local":
            raise InputError(f"address: {config.address!r} needs Ray, which is not installed: {error}") from error
        say("Ray is not installed: worker processes of this machine")
        return None
    return cluster.connect(config.address, config.worker_count)


def finish() -> None:
    """Stop a cluster that a stage has started."""
    if "fluxbench.training.cluster" in sys.modules:
        from fluxbench.training import cluster

        cluster.disconnect()


def _resources(config: Config, cluster: "Cluster | None") -> "Resources":
    """Of a cluster, or of this machine's worker processes, which all take the first GPU."""
    import torch

    from fluxbench.training.planning import Resources

    return cluster.resources if cluster else Resources(config.worker_count, min(1, torch.cuda.device_count()))


def score(config: Config) -> None:
    """Score every set of samples and write the tidy tables.

    Raises:
        InputError: if a sample file is missing or damaged.
    """
    from fluxbench.bench import costs
    from fluxbench.bench import score as scores
    from fluxbench.bench.report.write import write_tables

    for problem in config.problems:
        layout.solved(config, problem)
    for cell, integrator in layout.sampled(config):  # refused now, before anything is scored
        path = layout.sample_path(config, cell, integrator)
        _must_exist(path, "sample")
        check_specification(path, samples.specification(path), layout.expected_samples(config, cell, integrator))
    for problem, noise in layout.referenced(config):
        _must_exist(layout.reference_path(config, problem, noise), "reference")
    tasks: list[workers.Labelled] = []
    for problem, level in scores.bounded(config):
        name = layout.bound_path(config, problem, level).stem
        tasks.append((name, 1, partial(scores.bound, config, problem, level)))
    for cell, integrator in layout.sampled(config):
        tasks.append((f"{cell.name} {integrator.label}", 1, partial(scores.score, config, cell, integrator)))
    tasks += [
        (f"{cell.name} by every sampler", 1, partial(costs.measure, config, cell)) for cell in costs.studied(config)
    ]
    workers.run(tasks, config.worker_count, "score", "set", lambda number: tasks[number][0])
    write_tables(config)


def report(config: Config) -> None:
    """Write the report, as a page of HTML and in Markdown, and print its tables.

    Raises:
        InputError: if a score or a sample file is missing or made otherwise.
    """
    from fluxbench.bench.report.write import write_report

    say(write_report(config))
    say(f"Tables and figures: {config.results / 'report.html'}, report.md")


def held(config: Config, stage: str) -> AbstractContextManager[None]:
    """The files of a stage for one command at a time; the MPI jobs of the first two hold theirs by themselves."""
    match stage:
        case "train":
            return exclusive(config.runs / "cells")
        case "sample":
            return exclusive(config.runs / "samples")
        case "score" | "report":
            return exclusive(config.runs / "scores")
    return nullcontext()


ALL: dict[str, Callable[[Config], None]] = {
    "solve": solve,
    "reference": reference,
    "train": train,
    "sample": sample,
    "score": score,
    "report": report,
}
"""The stages in their order."""
