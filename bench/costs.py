"""Accuracy against cost: every sampler at several lengths on the trained networks of a run.

Table 2 and the flux table hold each sampler at one length. Here one network of each problem is sampled by all of them,
and its samples are scored against exact ones: what more evaluations buy, until the network's own error is all that is
left. Seconds are wall time in one process with one thread, beside as many others as score.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from fluxbench.bench import draw, layout
from fluxbench.bench.config import Config
from fluxbench.bench.files import scores as files
from fluxbench.bench.files.samples import Integrator
from fluxbench.bench.metrics import marginal, transport
from fluxbench.bench.scoring.densities import EXACT_DRAWS
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.problems import DENSITIES
from fluxbench.storage import Row
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell

MEASUREMENTS = 10
"""Of a flux problem; a joint density has its own values of y."""
SAMPLERS = (
    *(Integrator(0.0, "exponential", steps) for steps in (4, 6, 8, 12, 16, 32)),
    *(Integrator(0.0, "heun", steps) for steps in (8, 16, 32)),
    *(Integrator(0.0, "runge-kutta", tolerance=tolerance) for tolerance in (1e-1, 1e-2, 1e-3, 1e-4)),
    *(Integrator(1.0, "exponential", steps) for steps in (8, 16, 32, 64)),
    *(Integrator(1.0, "euler-maruyama", steps) for steps in (16, 64, 256)),
)
COLUMNS = (
    *("problem", "noise", "recipe", "formulation", "sampler", "alpha", "method", "steps", "tolerance"),
    *("evaluations", "seconds", "samples", "metric", "value", "floor"),
)
"""Of ``costs.csv``."""


def studied(config: Config) -> list[Cell]:
    """One network of each problem whose posteriors are known: the first recipe and seed, the last formulation.

    Of the noise levels the lowest that has a reference: there samplers have most to do.
    """
    if config.sampling.costs == 0:
        return []
    recipe = config.training.recipes[0]
    formulation, seed = config.training.formulations_of(recipe)[-1], config.training.seeds_of(recipe)[0]
    referenced = layout.referenced(config)
    found: dict[str, Cell] = {}
    for cell in sorted(config.cells(), key=lambda cell: cell.noise):
        if (cell.recipe, cell.formulation, cell.seed, cell.amortised) != (recipe, formulation, seed, None):
            continue
        if cell.problem in DENSITIES or (cell.problem, cell.noise) in referenced:
            found.setdefault(cell.problem, cell)
    return [found[problem] for problem in config.problems if problem in found]


def measure(config: Config, cell: Cell, progress: Callable[[int], None]) -> None:
    """Sample a cell by every sampler and write what they cost and what they are worth, unless that is done.

    Raises:
        InputError: if an input is missing, damaged or made otherwise.
    """
    files.ensure(layout.cost_path(config, cell), _determined_by(config, cell), lambda: list(_rows(config, cell)))
    progress(1)


def table(config: Config) -> list[Row]:
    """The rows of ``costs.csv``.

    Raises:
        InputError: if a file is missing or made otherwise.
    """
    rows = [
        row
        for cell in studied(config)
        for row in files.read(layout.cost_path(config, cell), _determined_by(config, cell))
    ]
    return [{name: row.get(name) for name in COLUMNS} for row in rows]


def _determined_by(config: Config, cell: Cell) -> dict[str, object]:
    known = {}
    if cell.problem not in DENSITIES:
        known = {"reference": layout.expected_reference(config, cell.problem, cell.noise)}
    data = layout.data_specification(config, cell.problem)
    samplers = [by.specification() for by in SAMPLERS]
    return cell.specification(data) | {"samples": config.sampling.costs, "samplers": samplers} | known


def _rows(config: Config, cell: Cell) -> Iterator[Row]:
    dataset = datasets.read(layout.solved(config, cell.problem))
    path = layout.checkpoint_path(config, cell)
    checkpoint = checkpoints.load_trained(path, cell.specification(dataset.specification))
    of_density = cell.problem in DENSITIES
    measured = draw.measured_by(cell, dataset, min(MEASUREMENTS, config.sizes(cell.problem).measurements))
    count = max(2, config.sampling.costs // len(measured.y))
    judge = _density_judge(dataset) if of_density else _flux_judge(config, cell, len(measured.y))
    draw.draw(checkpoint, measured.rows(0, 1), 2, SAMPLERS[0], config.seed, torch.device("cpu"))  # warm
    floor = judge(_exact(config, cell, dataset, len(measured.y), count))
    for by in SAMPLERS:
        began = time.perf_counter()
        x, evaluations = draw.draw(checkpoint, measured, count, by, config.seed, torch.device("cpu"))
        seconds = time.perf_counter() - began
        yield {
            "problem": cell.problem,
            "noise": None if of_density else cell.noise,
            "recipe": cell.recipe,
            "formulation": cell.formulation,
            "sampler": by.label,
            "alpha": by.alpha,
            "method": by.method,
            "steps": by.steps or None,
            "tolerance": by.tolerance or None,
            "evaluations": round(evaluations, 1),
            "seconds": round(seconds, 4),
            "samples": x.shape[0] * x.shape[1],
            "metric": "W1" if of_density else "marginal W1",
            "value": judge(x),
            "floor": floor,
        }


Judge = Callable[[np.ndarray], float]
"""From samples (M, S, d) to a distance from exact ones."""


def _density_judge(dataset: Dataset) -> Judge:
    """Exact W1 to the exact conditional, mean over the values of y."""
    density, seed = DENSITIES[dataset.specification["problem"]], dataset.specification["seed"]
    exact = [density.sample_conditional(y, EXACT_DRAWS, seed, "exact-0") for y in density.y_values]
    return lambda x: float(
        np.mean([transport.wasserstein_1d(a[:, 0].astype(np.float64), b) for a, b in zip(x, exact, strict=True)])
    )


def _flux_judge(config: Config, cell: Cell, measurements: int) -> Judge:
    """W1 to the reference posterior in its standard deviations, mean over segments and measurements."""
    reference = layout.exact(config, cell.problem, cell.noise).x[:measurements]
    return lambda x: float(np.nanmean(marginal.wasserstein(np.maximum(x, 0.0), reference)))


def _exact(config: Config, cell: Cell, dataset: Dataset, measurements: int, count: int) -> np.ndarray:
    """As many exact samples, shape (M, S, d)."""
    if cell.problem in DENSITIES:
        density, seed = DENSITIES[cell.problem], dataset.specification["seed"]
        drawn = [density.sample_conditional(y, count, seed, "floor-0") for y in density.y_values]
        return np.stack(drawn)[:, :, None]
    return layout.exact(config, cell.problem, cell.noise).again[:measurements, :count]
