"""The stages of a run, each from files to files: solve, reference, train, sample, score, report.

A stage takes what the one before it wrote under ``runs/<name>``, does what is not yet done, and can be killed and
repeated at any time. Libraries load in the stage that needs them, so that a solver node runs without torch and a GPU
node without FEniCS.
"""

# ruff: noqa: PLC0415 - imports inside functions, for the reason above

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench import layout, samples
from bench.config import Config
from solvers import datasets
from solvers.errors import InputError
from solvers.storage import check_specification
from training import workers


def say(line: str) -> None:
    """One line to the user."""
    print(line, flush=True)


def solve(config: Config) -> None:
    """Make every data set, each by an MPI job of ``config.ranks`` ranks.

    Raises:
        InputError: if the job fails, or there is no ``mpiexec`` for more than one rank.
    """
    for problem in config.problems:
        path, sizes = layout.data_path(config, problem), config.sizes(problem)
        if path.exists():
            datasets.read(layout.solved(config, problem))  # it is whole
            say(f"solve {problem}: there already -> {path}")
            continue
        command = ["-m", "solvers.generate", "--problem", problem, "--out", str(path)]
        command += ["--train", str(sizes.train_samples), "--test", str(sizes.test_samples), "--seed", str(config.seed)]
        command += ["--mesh", config.flux.mesh]
        _mpi_job(f"solve {problem}", command, config.ranks, "its shards are kept")


def launcher(ranks: int) -> list[str]:
    """How to start Python on so many ranks; mpi4py's runner ends all ranks when one raises."""
    if ranks == 1:
        return [sys.executable]
    beside = Path(sys.executable).with_name("mpiexec")  # the wheel's own, else the machine's
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise InputError(f"ranks = {ranks}: expected an mpiexec beside {sys.executable} or on the PATH, found none")
    return [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py"]


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
    command = ["-m", "bench.references.generate", "--configuration", config.model_dump_json()]
    _mpi_job("reference", command, config.ranks, "its blocks are kept")


def _mpi_job(what: str, command: list[str], ranks: int, kept: str) -> None:
    command = [*launcher(ranks), *command, "--ranks", str(ranks)]
    if sys.stderr.isatty():
        command.append("--progress")
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise InputError(f"{what}: the MPI job ended with status {status}, see above; {kept}")


def train(config: Config) -> None:
    """Train every cell of the grid.

    Raises:
        InputError: if a data set is missing, a checkpoint is another configuration's, or a training diverges.
    """
    from training import checkpoints
    from training.trainer import total_steps
    from training.trainer import train as train_cell

    device = _device(config)
    data = {problem: layout.solved(config, problem) for problem in config.problems}
    tasks = []
    for cell in config.networks():
        path = layout.checkpoint_path(config, cell)
        if path.exists():  # refused now, not after hours of work on the others
            checkpoints.load(path, cell.specification(layout.data_specification(config, cell.problem)))
        task = partial(train_cell, cell, data[cell.problem], path, device)
        tasks.append((cell.network_name, total_steps(cell, config.sizes(cell.problem).train_samples), task))
    workers.run(tasks, config.worker_count, "train", "step", say)


def sample(config: Config) -> None:
    """Sample every cell with every integrator.

    Raises:
        InputError: if a checkpoint is missing or unfinished, or a sample file is another configuration's.
    """
    from bench.draw import sample as sample_cell

    device = _device(config)
    data = {problem: layout.solved(config, problem) for problem in config.problems}
    tasks = []
    for cell, integrator in layout.sampled(config):
        checkpoint, path = layout.checkpoint_path(config, cell), layout.sample_path(config, cell, integrator)
        _must_exist(checkpoint, "train")
        if path.exists():
            expected = layout.expected_samples(config, cell, integrator)
            check_specification(path, samples.specification(path), expected)
        sizes = config.sizes(cell.problem)
        count, generated = sizes.measurements, sizes.generated
        files = (data[cell.problem], checkpoint, path)
        task = partial(sample_cell, cell, *files, integrator, count, generated, config.seed, device)
        tasks.append((f"{cell.name} {integrator.label}", count * generated, task))
    workers.run(tasks, config.worker_count, "sample", "sample", say)


def _must_exist(path: Path, stage: str) -> None:
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench {stage}` makes it")


def _device(config: Config) -> str:
    import torch

    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise InputError("device: expected a GPU that torch can use, found none; 'auto' takes the CPU then")
    return "cuda" if there and config.device != "cpu" else "cpu"


def score(config: Config) -> None:
    """Score every set of samples and write the tidy tables.

    Raises:
        InputError: if a sample file is missing or damaged.
    """
    from bench import report as reports
    from bench import score as scores

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
    workers.run(tasks, config.worker_count, "score", "set", say)
    reports.write_tables(config)


def report(config: Config) -> None:
    """Write tables in Markdown and figures, and print the tables.

    Raises:
        InputError: if a score or a sample file is missing or made otherwise.
    """
    from bench import report as reports

    say(reports.write_report(config))
    say(f"Tables and figures: {config.results}")


ALL = {"solve": solve, "reference": reference, "train": train, "sample": sample, "score": score, "report": report}
"""The stages in their order."""
