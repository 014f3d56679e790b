"""The stages of a run, each from files to files: solve, train, sample, score, report.

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

from bench.config import Config
from bench.samples import Integrator, sample_path
from solvers import datasets
from solvers.errors import InputError
from solvers.storage import check_specification
from training import workers
from training.cells import Cell


def say(line: str) -> None:
    """One line to the user."""
    print(line, flush=True)


def data_path(config: Config, problem: str) -> Path:
    """Where a problem's data set lies."""
    return config.runs / "data" / f"{problem}.h5"


def solved(config: Config, problem: str) -> Path:
    """A problem's data set, which must have been made with this configuration.

    Raises:
        InputError: if it is missing, damaged or made otherwise.
    """
    path, sizes = data_path(config, problem), config.sizes(problem)
    expected = datasets.expected_specification(problem, sizes.train_samples, sizes.test_samples, config.seed)
    check_specification(path, datasets.specification(path), expected)
    return path


def _must_exist(path: Path, stage: str) -> None:
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench {stage}` makes it")


def cells_folder(config: Config) -> Path:
    """Where checkpoints and training statistics lie."""
    return config.runs / "cells"


def samples_folder(config: Config) -> Path:
    """Where sample files lie."""
    return config.runs / "samples"


def scores_folder(config: Config) -> Path:
    """Where scores lie, a file for each sample file."""
    return config.runs / "scores"


def sampled(config: Config) -> list[tuple[Cell, Integrator]]:
    """Every set of samples of a run."""
    sampling = config.sampling
    integrators = [Integrator(alpha, sampling.ode_tolerance, sampling.sde_steps) for alpha in sampling.alphas]
    return [(cell, integrator) for cell in config.cells() for integrator in integrators]


def solve(config: Config) -> None:
    """Make every data set, each by an MPI job of ``config.ranks`` ranks.

    Raises:
        InputError: if the job fails, or there is no ``mpiexec`` for more than one rank.
    """
    for problem in config.problems:
        sizes = config.sizes(problem)
        command = ["-m", "solvers.generate", "--problem", problem, "--out", str(data_path(config, problem))]
        command += ["--train", str(sizes.train_samples), "--test", str(sizes.test_samples), "--seed", str(config.seed)]
        if sys.stderr.isatty():
            command.append("--progress")
        status = subprocess.run([*_launcher(config.ranks), *command], check=False).returncode
        if status != 0:
            raise InputError(f"solve {problem}: the MPI job ended with status {status}; its own message is above")


def _launcher(ranks: int) -> list[str]:
    """How to start Python on so many ranks; mpi4py's runner ends all ranks when one raises."""
    if ranks == 1:
        return [sys.executable]
    beside = Path(sys.executable).with_name("mpiexec")  # the wheel's own, else the machine's
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise InputError(f"ranks = {ranks}: expected an mpiexec beside {sys.executable} or on the PATH, found none")
    return [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py"]


def train(config: Config) -> None:
    """Train every cell of the grid.

    Raises:
        InputError: if a data set is missing, a checkpoint is another configuration's, or a training diverges.
    """
    from training.trainer import total_steps
    from training.trainer import train as train_cell

    device = _device(config)
    data = {problem: solved(config, problem) for problem in config.problems}
    tasks = []
    for cell in config.cells():
        task = partial(train_cell, cell, data[cell.problem], cells_folder(config), device)
        tasks.append((cell.name, total_steps(cell, config.sizes(cell.problem).train_samples), task))
    workers.run(tasks, config.worker_count, "train", "step", say)


def sample(config: Config) -> None:
    """Sample every cell with every integrator.

    Raises:
        InputError: if a checkpoint is missing or unfinished, or a sample file is another configuration's.
    """
    from bench.draw import sample as sample_cell
    from training.trainer import checkpoint_path

    device = _device(config)
    data = {problem: solved(config, problem) for problem in config.problems}
    tasks = []
    for cell, integrator in sampled(config):
        _must_exist(checkpoint_path(cells_folder(config), cell), "train")
        generated, count = config.sizes(cell.problem).generated, config.measurements(cell.problem)
        folders = (cells_folder(config), samples_folder(config))
        where = (data[cell.problem], folders)
        task = partial(sample_cell, cell, *where, integrator, count, generated, config.seed, device)
        tasks.append((f"{cell.name} {integrator.label}", count * generated, task))
    workers.run(tasks, config.worker_count, "sample", "sample", say)


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
    from bench import score as scores
    from bench import tables

    pairs, densities, folder = sampled(config), config.densities, scores_folder(config)
    data = {problem: solved(config, problem) for problem in config.problems}
    tasks: list[workers.Labelled] = []
    for problem in densities.problems:
        task = partial(scores.score_floor, problem, data[problem], folder, densities.generated)
        tasks.append((f"{problem} floor", 1, task))
    for cell, integrator in pairs:
        _must_exist(sample_path(samples_folder(config), cell, integrator.alpha), "sample")
        where = (data[cell.problem], (samples_folder(config), folder))
        tasks.append((f"{cell.name} {integrator.label}", 1, partial(scores.score, cell, *where, integrator)))
    workers.run(tasks, config.worker_count, "score", "set", say)

    rows = scores.read_rows([scores.score_path(folder, cell, integrator.alpha) for cell, integrator in pairs])
    floors = scores.read_rows([scores.floor_path(folder, problem) for problem in densities.problems])
    if densities.problems:
        tables.write_table(config.results / "table2.csv", scores.table2_rows(rows, floors), tables.TABLE2_COLUMNS)
    if config.flux.problems:
        flux = [row for row in rows if "segment" in row]
        tables.write_table(config.results / "flux.csv", flux, tables.FLUX_COLUMNS)


def report(config: Config) -> None:
    """Write tables in Markdown and figures, and print the tables.

    Raises:
        InputError: if a table or a sample file is missing.
    """
    from bench.report import write_report

    text = write_report(config)
    say(text)
    say(f"Tables and figures: {config.results}")


ALL = {"solve": solve, "train": train, "sample": sample, "score": score, "report": report}
"""The stages in their order."""
