"""How well, and how fast, diffusion models and their rivals sample the posteriors of physics inverse problems.

    import fluxbench

    problem = fluxbench.problem("linear")
    posterior = fluxbench.train(problem, noise=0.1, epochs=50)
    samples = posterior.sample(problem.observation(0, noise=0.1), 1_000)
    exact = problem.reference(0, noise=0.1)
    fluxbench.score(samples[None], problem, noise=0.1)

The command line ``fluxbench`` does the same for whole grids, under MPI, Ray and Slurm. Everything here loads its
libraries when it is called.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fluxbench.arrays import Reals
    from fluxbench.bench.task import Task
    from fluxbench.solvers.problem import Problem
    from fluxbench.training.posterior import Posterior

__all__ = ["InputError", "Posterior", "problem", "problems", "score", "train"]

# Parallelism is processes (MPI ranks, workers), so each runs one BLAS/OpenMP thread unless the user says otherwise; the
# variables count only if they are set before the libraries load.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")


def __getattr__(name: str) -> Any:
    if name == "Posterior":
        return import_module("fluxbench.training.posterior").Posterior
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def problems() -> list[str]:
    """Return the names of all problems.

    >>> "linear" in fluxbench.problems()
    True
    """
    return list(import_module("fluxbench.solvers.problems").PROBLEMS)


def problem(definition: "str | Problem") -> "Task":
    """Return a problem with its prior, simulator, observations and reference posteriors.

    >>> fluxbench.problem("tanh").observation(0)
    array([-1.])

    Args:
        definition: name of one of the suite's, or a problem of one's own, such as a ``FluxProblem``.

    Raises:
        InputError: if there is no problem of that name, or another one has the definition's.
    """
    task: Task = import_module("fluxbench.bench.task").task_of(definition)
    return task


def train(
    problem: "str | Problem | Task",
    noise: float = 0.0,
    formulation: str = "vp-k2",
    recipe: str = "tuned",
    epochs: int | None = None,
    seed: int = 0,
    folder: Path | str = "runs/python",
    device: str = "cpu",
) -> "Posterior":
    """Train a conditional diffusion model on a problem, or load it where that is done.

    >>> posterior = fluxbench.train("tanh", epochs=1, folder=folder)
    >>> posterior.sample([0.5], 10).shape
    (10, 1)

    Args:
        problem: name, definition or task.
        noise: standard deviation in units of the readings' range; 0 for a problem whose y is random by itself.
        formulation: forward process: ``"ve"``, ``"ve-linear"``, or ``"vp-k2"`` and so on for every order.
        recipe: ``"tuned"``, ``"paper"``, or an ablation.
        epochs: in place of the recipe's own number.
        seed: of initial weights, batches and noise.
        folder: where data set and checkpoint are kept; a training that is killed goes on from there.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        InputError: if a name is unknown, the folder holds a network of other settings, or training diverges.
    """
    task: Task = import_module("fluxbench.bench.task").task_of(problem)
    return task.train(noise, formulation, recipe, epochs, seed, folder, device)


def score(
    samples: "Reals", problem: "str | Problem | Task", noise: float = 0.0, references: int = 1_000
) -> "pd.DataFrame":
    """Score posterior samples of a problem's first observations, beside exact samples, the prior and a closed form.

    Args:
        samples: in physical units, shape (M, S, d), for observations 0 to M - 1.
        problem: name, definition or task.
        noise: standard deviation in units of the readings' range.
        references: samples of each exact posterior; 0 for metrics by the truth alone.

    Returns:
        A row a metric, with ``value``, ``error``, ``floor``, ``prior`` and ``linear_gaussian``.

    Raises:
        InputError: if the samples have the wrong shape or are not finite.
    """
    task: Task = import_module("fluxbench.bench.task").task_of(problem)
    return task.score(samples, noise, references)
