"""Score samples against what is known: one small JSON file of rows for each set of samples, then tidy tables.

A row is a dictionary with one number. list[Row] of the joint densities go to `table2.csv`, rows of the flux problems to
`flux.csv`. Scoring again needs no sampling again.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import samples as sample_files
from bench.metrics import marginal, transport
from bench.published import PRINTED, TABLE2
from bench.references.gaussian import linear_gaussian
from bench.samples import PosteriorSamples, sampler_kind
from solvers import datasets
from solvers.datasets import Dataset
from solvers.densities import DENSITIES
from solvers.errors import InputError
from solvers.flux_problems import FLUX_PROBLEMS
from solvers.measurements import MeasurementOperator
from solvers.storage import Row, check_specification, provenance, write_text
from training.cells import Cell

VERSION = 3
"""Raise it when a metric or a column changes: scores of another version are made again."""

BAND = 0.05
"""Half-width of the band of y whose test samples stand for p(x | y), as in the paper."""
EXACT_DRAWS = 100_000
REFERENCE_DRAWS = 3
"""Test sets with which samples are compared: two bands moved the score of one model from 0.033 to 0.024."""
FLOOR_DRAWS = 3

Floats = NDArray[np.float64]
DENSITY_METRICS = ("S1", "S1-pairs", "S2", "W1")
"""S1, S1-pairs and S2 compare with the test samples in the band, as the paper does; W1 with the exact conditional."""


def score(
    cell: Cell,
    data_path: Path,
    sample_path: Path,
    path: Path,
    expected: dict[str, Any],
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Score one set of samples and write the file ``path``, or do nothing if that is done.

    Args:
        cell: whose samples.
        data_path: the data set with the truth.
        sample_path: the samples.
        path: where the scores go.
        expected: the specification that the samples must carry.
        progress: called with 1 at the end.

    Raises:
        InputError: if the samples are missing, damaged or made otherwise.
    """
    check_specification(sample_path, sample_files.specification(sample_path), expected)
    if not _is_current(path, _specification(expected)):
        samples = sample_files.read(sample_path)
        dataset = datasets.read(data_path)
        rows = _density_rows(dataset, samples) if cell.problem in DENSITIES else _flux_rows(cell, dataset, samples)
        alpha = expected["integrator"]["alpha"]
        common = {
            "recipe": cell.recipe,
            **formulation_columns(cell.formulation),
            "sampler": sampler_kind(alpha),
            "alpha": alpha,
            "seed": cell.seed,
            "generated": samples.x.shape[1],
            "evaluations": round(samples.evaluations, 1),
            "epochs": cell.hyperparameters.epochs,
        }
        _write_rows(path, _specification(expected), [common | row for row in rows])
    progress(1)


def _specification(samples: dict[str, Any]) -> dict[str, Any]:
    return {"version": VERSION, "samples": samples}


def _write_rows(path: Path, specification: dict[str, Any], rows: list[Row]) -> None:
    write_text(path, json.dumps({"specification": specification, "provenance": provenance(), "rows": rows}, indent=1))


def _is_current(path: Path, specification: dict[str, Any]) -> bool:
    try:
        read_rows(path, specification)
    except InputError:
        return False  # a score costs seconds: make it again
    return True


def band(x: Floats, y: Floats, centre: float) -> tuple[Floats, Floats]:
    """The samples (x, y) whose measurement lies within ``BAND`` of ``centre``: the paper's stand-in for p(x | y).

    Args:
        x: shape (N, 1).
        y: shape (N, 1).
        centre: the value of y to condition on.

    Returns:
        x and y - centre, both of shape (M,).
    """
    inside = np.abs(y[:, 0] - centre) < BAND
    return x[inside, 0], y[inside, 0] - centre


def _references(dataset: Dataset) -> list[tuple[Floats, Floats]]:
    """``REFERENCE_DRAWS`` test sets (x, y) of a joint density: the data set's own, and others drawn alike.

    Raises:
        InputError: if one has no sample in a band.
    """
    problem, seed = dataset.specification["problem"], dataset.specification["seed"]
    density, count = DENSITIES[problem], len(dataset.test.x)
    others = [density.simulate(seed, f"reference-{i}", 0, count) for i in range(1, REFERENCE_DRAWS)]
    references = [(dataset.test.x, dataset.test.y), *others]
    for x, y in references:
        for centre in density.y_values:
            if len(band(x, y, centre)[0]) == 0:
                raise InputError(
                    f"densities.test_samples: expected enough for some of {problem} near y = {centre:g}, found none"
                )
    return references


def _density_rows(dataset: Dataset, samples: PosteriorSamples) -> list[Row]:
    """Table 2: every metric, its mean over the values of y, then mean and standard deviation over reference draws."""
    distances = _distances(dataset, list(samples.x[:, :, 0].astype(np.float64)))
    problem = dataset.specification["problem"]
    return [
        {
            "dataset": problem,
            "metric": name,
            "score": float(np.mean(found)),
            "score_std": float(np.std(found, ddof=1)),
            "references": len(found),
        }
        for name, found in distances.items()
    ]


def _distances(dataset: Dataset, samples: list[Floats]) -> dict[str, list[float]]:
    """Every metric of samples given for each value of y, the mean over these; one number a reference draw."""
    density = DENSITIES[dataset.specification["problem"]]
    found: dict[str, list[float]] = {name: [] for name in DENSITY_METRICS}
    for i, (test_x, test_y) in enumerate(_references(dataset)):
        each: dict[str, list[float]] = {name: [] for name in DENSITY_METRICS}
        for y, generated in zip(density.y_values, samples, strict=True):
            reference, offsets = band(test_x, test_y, y)
            exact = density.sample_conditional(y, EXACT_DRAWS, dataset.specification["seed"], f"exact-{i}")
            each["S1"].append(transport.sinkhorn_1d(generated, reference, power=1))
            each["S1-pairs"].append(transport.sinkhorn_pairs(generated, reference, offsets))
            each["S2"].append(transport.sinkhorn_1d(generated, reference, power=2))
            each["W1"].append(transport.wasserstein_1d(generated, exact))
        for name, values in each.items():
            found[name].append(float(np.mean(values)))
    return found


def score_floor(
    problem: str, data_path: Path, path: Path, generated: int, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Score exact samples as generated ones are, the mean over ``FLOOR_DRAWS`` draws: what a perfect sampler gets."""
    dataset = datasets.read(data_path)
    specification = floor_specification(dataset.specification, generated)
    if not _is_current(path, specification):
        density, seed = DENSITIES[problem], dataset.specification["seed"]
        draws = [
            _distances(
                dataset, [density.sample_conditional(y, generated, seed, f"floor-{i}") for y in density.y_values]
            )
            for i in range(FLOOR_DRAWS)
        ]
        rows = [
            {"dataset": problem, "metric": name, "floor": float(np.mean([draw[name] for draw in draws]))}
            for name in DENSITY_METRICS
        ]
        _write_rows(path, specification, rows)
    progress(1)


def floor_specification(data: dict[str, Any], generated: int) -> dict[str, Any]:
    """What a floor file must carry."""
    values = list(DENSITIES[data["problem"]].y_values)
    return {"version": VERSION, "data": data, "y_values": values, "generated": generated}


def _flux_rows(cell: Cell, dataset: Dataset, samples: PosteriorSamples) -> list[Row]:
    """Figs 9-11, 14, 17-20: error and posterior standard deviation by segment, beside the prior's and, where the
    problem is linear, the linear-Gaussian ones.
    """
    problem = FLUX_PROBLEMS[cell.problem]
    count = len(samples.x)
    truth = dataset.test.x[:count]
    mean_flux = float(dataset.test.x.mean())
    prior_mean, prior_std = problem.prior.clipped_moments
    prior_error = marginal.segment_errors(np.full_like(truth, prior_mean), truth, mean_flux)
    exact_error = exact_std = None
    if problem.is_linear:
        if dataset.operator is None:
            raise InputError(f"{cell.problem}: expected a data set with its sensor operator, found none")
        operator = MeasurementOperator.of(dataset, cell.noise)
        y = operator.y_scale.restore(samples.y)
        exact = linear_gaussian(problem.prior, dataset.operator, y, cell.noise * operator.y_scale.span, samples.mask)
        exact_error = marginal.segment_errors(exact.mean, truth, mean_flux)
        exact_std = exact.std.mean(axis=0)
    columns = {
        "error": (marginal.segment_errors(samples.x.mean(axis=1), truth, mean_flux), prior_error, exact_error),
        "std": (marginal.segment_stds(samples.x), np.full(truth.shape[1], prior_std), exact_std),
    }
    segments = problem.geometry.segments
    return [
        {
            "problem": cell.problem,
            "noise": cell.noise,
            "amortised": None if cell.amortised is None else "yes",
            "wall": ("lower", "upper")[j // segments],
            "segment": j % segments + 1,
            "metric": metric,
            "value": float(value[j]),
            "prior": float(prior[j]),
            "exact": None if reference is None else float(reference[j]),
            "measurements": count,
        }
        for metric, (value, prior, reference) in columns.items()
        for j in range(2 * segments)
    ]


def read_rows(path: Path, specification: dict[str, Any]) -> list[Row]:
    """The rows of a score file that must carry ``specification``.

    Raises:
        InputError: if the file is missing, damaged or made otherwise.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, rows = content["specification"], list(content["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a score file; `fluxbench score` makes it") from error
    check_specification(path, found, specification)
    return rows


def read_scores(path: Path, samples: dict[str, Any]) -> list[Row]:
    """The rows of a set of samples with this specification, as :func:`read_rows`."""
    return read_rows(path, _specification(samples))


def table2_rows(rows: list[Row], floors: list[Row]) -> list[Row]:
    """Scores of the joint densities, each beside its floor and the number that the paper printed."""
    floor = {(row["dataset"], row["metric"]): row["floor"] for row in floors}

    def paper(row: Row) -> float | None:
        return TABLE2.get((formulation_name(row), row["alpha"], row["dataset"])) if row["metric"] in PRINTED else None

    return [
        row | {"floor": floor[row["dataset"], row["metric"]], "paper": paper(row)} for row in rows if "dataset" in row
    ]


def formulation_columns(name: str) -> dict[str, str]:
    """A table's two columns, from the name that configurations use; k is empty outside the VP family."""
    family, _, k = name.partition("-k") if name.startswith("vp-k") else (name, "", "")
    return {"formulation": family, "k": k}


def formulation_name(row: Row) -> str:
    """The inverse of :func:`formulation_columns`."""
    return f"{row['formulation']}-k{row['k']}" if row["k"] else row["formulation"]
