"""Score samples against what is known, and join the scores of a run to one tidy table."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fluxbench.bench import layout
from fluxbench.bench.config import Config
from fluxbench.bench.files import samples as sample_files
from fluxbench.bench.files import scores as files
from fluxbench.bench.files.references import Reference
from fluxbench.bench.files.samples import PosteriorSamples, sampler_kind
from fluxbench.bench.published import PRINTED, TABLE2
from fluxbench.bench.scoring import densities, flux
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.problems import DENSITIES, FLUX_PROBLEMS
from fluxbench.storage import Row, check_specification
from fluxbench.training.cells import Cell

COLUMNS = (
    *("problem", "noise", "sensors_on", "recipe", "amortised", "formulation", "sampler", "alpha", "seed"),
    *("metric", "wall", "segment", "value", "value_error", "floor", "floor_error", "prior", "linear_gaussian", "paper"),
    *("reference", "measurements", "generated", "evaluations", "seconds", "epochs"),
)
"""Of `scores.csv`; `docs/metrics.md` says what they are."""
BOUNDS = ("floor", "floor_error", "prior", "linear_gaussian")

Noise = float | None


def score(config: Config, cell: Cell, by: sample_files.Integrator, progress: Callable[[int], None]) -> None:
    """Score one set of samples, unless that is done.

    Raises:
        InputError: if an input is missing, damaged or made otherwise.
    """
    path, expected = layout.sample_path(config, cell, by), layout.expected_samples(config, cell, by)
    check_specification(path, sample_files.specification(path), expected)

    def rows() -> list[Row]:
        found, dataset = sample_files.read(path), datasets.read(layout.solved(config, cell.problem))
        scored = _rows(config, cell, by, found, dataset)
        spent = {"evaluations": round(found.evaluations, 1), "seconds": round(found.seconds, 2)}
        return [_common(cell, by, found) | spent | row for row in scored]

    files.ensure(layout.score_path(config, cell, by), _scored(config, cell, by), rows)
    progress(1)


def bound(config: Config, problem: str, noise: Noise, progress: Callable[[int], None]) -> None:
    """Score what bounds the scores of a problem at a noise level, unless that is done.

    Raises:
        InputError: as :func:`score`.
    """

    def rows() -> list[Row]:
        dataset = datasets.read(layout.solved(config, problem))
        sizes = config.sizes(problem)
        if noise is None:
            return densities.bounds(dataset, sizes.generated)
        return flux.bounds(dataset, noise, (sizes.measurements, sizes.generated), _exact(config, problem, noise))

    files.ensure(layout.bound_path(config, problem, noise), _bounded(config, problem, noise), rows)
    progress(1)


def table(config: Config) -> list[Row]:
    """Every score of a run beside its bounds: the rows of ``scores.csv``.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    known: dict[tuple[str, Noise], dict[tuple[Any, ...], Row]] = {}
    for problem, noise in bounded(config):
        beside = known.setdefault((problem, noise), defaultdict(dict))
        for row in files.read(layout.bound_path(config, problem, noise), _bounded(config, problem, noise)):
            beside[_number(row)][row["bound"]] = row["value"]
            if row["bound"] == "floor":
                beside[_number(row)]["floor_error"] = row["error"]
    found = []
    for cell, by in layout.sampled(config):
        beside = known[cell.problem, _noise(cell)]
        for row in files.read(layout.score_path(config, cell, by), _scored(config, cell, by)):
            printed = row["metric"] in PRINTED
            paper = TABLE2.get((cell.formulation, by.alpha, cell.problem)) if printed else None
            bounds = {name: beside[_number(row)].get(name) for name in BOUNDS}
            noise = _noise(cell)
            found.append({**row, **bounds, "noise": noise, "value_error": row["error"], "paper": paper})
    return [{name: row.get(name) for name in COLUMNS} for row in found]


def bounded(config: Config) -> list[tuple[str, Noise]]:
    """Problems and noise levels, None for the joint densities, whose scores have bounds of their own."""
    return list(dict.fromkeys((cell.problem, _noise(cell)) for cell in config.cells()))


def _noise(cell: Cell) -> Noise:
    return None if cell.problem in DENSITIES else cell.noise


def _number(row: Row) -> tuple[Any, ...]:
    """What tells a row from the others of its file."""
    return row["metric"], row.get("wall"), row.get("segment")


def _scored(config: Config, cell: Cell, by: sample_files.Integrator) -> dict[str, Any]:
    """What determines the scores of a set of samples: these, and the reference."""
    return layout.expected_samples(config, cell, by) | _reference(config, cell.problem, cell.noise)


def _bounded(config: Config, problem: str, noise: Noise) -> dict[str, Any]:
    """What determines the bounds of a problem at a noise level."""
    data, sizes = layout.data_specification(config, problem), config.sizes(problem)
    if noise is None:
        return densities.bounds_specification(data, sizes.generated)
    counts = {"measurements": sizes.measurements, "generated": sizes.generated}
    return {"data": data, "noise": noise} | counts | _reference(config, problem, noise)


def _exact(config: Config, problem: str, noise: float) -> Reference | None:
    return layout.exact(config, problem, noise) if (problem, noise) in layout.referenced(config) else None


def _reference(config: Config, problem: str, noise: float) -> dict[str, Any]:
    there = (problem, noise) in layout.referenced(config)
    return {"reference": layout.expected_reference(config, problem, noise)} if there else {}


def _rows(
    config: Config, cell: Cell, by: sample_files.Integrator, found: PosteriorSamples, dataset: Dataset
) -> list[Row]:
    if cell.problem in FLUX_PROBLEMS:
        known = flux.Known.of(dataset, len(found.x), _exact(config, cell.problem, cell.noise))
        return flux.rows(found.x, known, FLUX_PROBLEMS[cell.problem].geometry)

    def log_densities(x: NDArray[np.float64]) -> NDArray[np.float64]:
        from fluxbench.bench.log_density import log_densities as at  # noqa: PLC0415 - torch, for this score alone

        return at(layout.checkpoint_path(config, cell), cell, dataset, x)

    # The log-density is that of the flow, whatever solves it.
    return densities.rows(dataset, found.x[:, :, 0].astype(np.float64), log_densities if by.alpha == 0.0 else None)


def _common(cell: Cell, by: sample_files.Integrator, found: PosteriorSamples) -> Row:
    """What all rows of a set of samples say."""
    problem = FLUX_PROBLEMS.get(cell.problem)
    return {
        "problem": cell.problem,
        "noise": cell.noise,
        "sensors_on": 1.0 if problem is None else problem.sensors_on,
        "recipe": cell.recipe,
        "amortised": None if cell.amortised is None else "yes",
        "formulation": cell.formulation,
        "sampler": sampler_kind(by.alpha),
        "alpha": by.alpha,
        "seed": cell.seed,
        "generated": found.x.shape[1],
        "epochs": cell.hyperparameters.epochs,
    }
