"""Scores of the joint densities: Table 2 in every reading, and the log score."""

from collections.abc import Callable

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.bench.metrics import transport
from fluxbench.errors import InputError
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.problems import joint_density
from fluxbench.storage import Row

BAND = 0.05
"""Half-width of the band of y whose test samples stand for p(x | y), as in the paper."""
EXACT_DRAWS = 100_000
REFERENCE_DRAWS = 3
"""Test sets with which samples are compared: two bands moved the score of one model from 0.033 to 0.024."""
FLOOR_DRAWS = 3
LOG_DRAWS = 250
"""Exact samples, for each value of y, at which log-densities are taken."""

BAND_REFERENCE, EXACT_REFERENCE = "test samples in the band", "exact conditional"
REFERENCES = {
    "S1": BAND_REFERENCE,
    "S1-pairs": BAND_REFERENCE,
    "S2": BAND_REFERENCE,
    "W1": EXACT_REFERENCE,
    "log score": EXACT_REFERENCE,
}
"""With what each metric compares."""
DISTANCES = ("S1", "S1-pairs", "S2", "W1")


def band(x: Floats, y: Floats, centre: float) -> tuple[Floats, Floats]:
    """Return the samples (x, y) with y within ``BAND`` of ``centre``: the paper's stand-in for p(x | y).

    Args:
        x: shape (N, 1).
        y: shape (N, 1).
        centre: the value of y to condition on.

    Returns:
        x and y - centre, both of shape (M,).
    """
    inside = np.abs(y[:, 0] - centre) < BAND
    return x[inside, 0], y[inside, 0] - centre


def rows(dataset: Dataset, samples: Floats, log_densities: Callable[[Floats], Floats] | None) -> list[Row]:
    """Return every metric of samples, a row each.

    A distance is a mean over the values of y, then over ``REFERENCE_DRAWS`` draws of what samples are compared with.
    Its Monte Carlo error is that of these draws; several training seeds tell the rest. The log score is the mean of
    -log q(x | y) over exact draws, in nats.

    Args:
        dataset: the test split and the density's name.
        samples: shape (Y, S), for each of the density's own values of y.
        log_densities: log q(x | y) of the model at x (Y, N); None where there is no density.

    Raises:
        InputError: if a band has no test sample.
    """
    found = []
    for name, values in _distances(dataset, samples).items():
        found.append(_row(name, float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))), samples))
    if log_densities is not None:
        found.append(_log_score(log_densities(log_score_points(dataset)), samples))
    return found


def bounds(dataset: Dataset, generated: int) -> list[Row]:
    """Return the rows of :func:`rows` for exact samples, the mean over ``FLOOR_DRAWS`` draws, and for the prior p(x).

    Each has the name of its column of the table as ``bound``.
    """
    density, seed = joint_density(dataset.specification["problem"]), dataset.specification["seed"]
    draws = [
        _distances(
            dataset, np.stack([density.sample_conditional(y, generated, seed, stream) for y in density.y_values])
        )
        for stream in (f"floor-{i}" for i in range(FLOOR_DRAWS))
    ]
    prior = np.tile(density.simulate(seed, "prior", 0, generated)[0][:, 0], (len(density.y_values), 1))
    floors = [
        _row(name, float(np.mean([draw[name] for draw in draws])), None, prior) | {"bound": "floor"}
        for name in DISTANCES
    ]
    exact = [density.log_conditional(x, y) for x, y in zip(log_score_points(dataset), density.y_values, strict=True)]
    floors.append(_log_score(np.stack(exact), prior) | {"bound": "floor"})
    return floors + [row | {"bound": "prior"} for row in rows(dataset, prior, None)]


def log_score_points(dataset: Dataset) -> Floats:
    """Draw the exact samples at which the log score takes the density, shape (Y, LOG_DRAWS)."""
    density, seed = joint_density(dataset.specification["problem"]), dataset.specification["seed"]
    return np.stack([density.sample_conditional(y, LOG_DRAWS, seed, "log-score") for y in density.y_values])


def _log_score(log_densities: Floats, samples: Floats) -> Row:
    """The same draws for all: between two of them, only the difference of their densities counts."""
    error = log_densities.std(ddof=1) / np.sqrt(log_densities.size)
    return _row("log score", float(-log_densities.mean()), float(error), samples)


def _row(metric: str, value: float, error: float | None, samples: Floats) -> Row:
    return {
        "metric": metric,
        "value": value,
        "error": error,
        "reference": REFERENCES[metric],
        "measurements": len(samples),
    }


def _references(dataset: Dataset) -> list[tuple[Floats, Floats]]:
    """``REFERENCE_DRAWS`` test sets (x, y) of a joint density: the data set's own, and others drawn alike."""
    problem, seed = dataset.specification["problem"], dataset.specification["seed"]
    density, count = joint_density(problem), len(dataset.test.x)
    others = [density.simulate(seed, f"reference-{i}", 0, count) for i in range(1, REFERENCE_DRAWS)]
    references = [(dataset.test.x, dataset.test.y), *others]
    for x, y in references:
        for centre in density.y_values:
            if len(band(x, y, centre)[0]) == 0:
                raise InputError(
                    f"densities.test_samples: expected enough for some of {problem} near y = {centre:g}, found none"
                )
    return references


def _distances(dataset: Dataset, samples: Floats) -> dict[str, list[float]]:
    """Every distance of samples (Y, S), the mean over the values of y; one number a reference draw."""
    density = joint_density(dataset.specification["problem"])
    found: dict[str, list[float]] = {name: [] for name in DISTANCES}
    for i, (test_x, test_y) in enumerate(_references(dataset)):
        each: dict[str, list[float]] = {name: [] for name in DISTANCES}
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
