"""Scores of the flux problems: against the truth everywhere, against the exact posterior where there is a reference.

A metric is a mean over measurements, and its Monte Carlo error the standard error of that mean; calibration is judged
on all measurements together. Fluxes are not negative, which a network only knows from its data: a sample below zero
counts as zero (choice).
"""

from dataclasses import dataclass

import numpy as np

from fluxbench.arrays import Reals
from fluxbench.bench.files.references import Reference
from fluxbench.bench.metrics import calibration, joint, marginal
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import Geometry
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.problems import flux_problem
from fluxbench.storage import Row

TRUTH, REFERENCE = "truth", "reference posterior"
CLASSIFIED = 10
"""Measurements on which a classifier is trained, each seconds of work."""


@dataclass(frozen=True)
class Known:
    """What samples of M posteriors are compared with.

    Attributes:
        truth: shape (M, d).
        mean_flux: over all segments and test samples.
        exact: samples of the reference posteriors, shape (M, R, d); None where there are none.
    """

    truth: Reals
    mean_flux: float
    exact: Reals | None = None

    @classmethod
    def of(cls, dataset: Dataset, measurements: int, reference: Reference | None) -> "Known":
        """Return what is known of a data set's first test measurements."""
        exact = None if reference is None else reference.x
        return cls(dataset.test.x[:measurements], float(dataset.test.x.mean()), exact)


def rows(samples: Reals, known: Known, geometry: Geometry) -> list[Row]:
    """Return every metric of samples (M, S, d), a row each, and error and std segment by segment too.

    Args:
        samples: of the posteriors, below zero or not.
        known: what they are compared with.
        geometry: of the segments.
    """
    x = np.maximum(samples, 0.0)
    shares = calibration.ranks(x, known.truth)
    errors, stds = marginal.errors(x, known.truth, known.mean_flux), marginal.stds(x)
    crps, tarp = marginal.crps(x, known.truth), calibration.tarp(x, known.truth)[:, None]
    found = [
        _row("error", errors, TRUTH),
        _row("std", stds, ""),
        _row("coverage", marginal.covered(x, known.truth), TRUTH),
        _row("CRPS", crps, TRUTH),
        _number("calibration error", calibration.error(shares), shares, calibration.error_std(shares)),
        _number("SBC p-value", calibration.uniformity(shares), shares),
        _number("TARP p-value", calibration.uniformity(tarp), tarp),
    ]
    if known.exact is not None:
        exact = known.exact
        found += [
            _row("excess error", errors - marginal.errors(exact, known.truth, known.mean_flux), REFERENCE),
            _row("excess CRPS", crps - marginal.crps(exact, known.truth), REFERENCE),
            _row("mean shift", marginal.mean_shifts(x, exact), REFERENCE),
            _row("std ratio", marginal.std_ratios(x, exact), REFERENCE),
            _row("marginal W1", marginal.wasserstein(x, exact), REFERENCE),
            _row("energy distance", joint.energy_distances(x, exact), REFERENCE),
            _row("sliced W1", joint.sliced_wasserstein(x, exact), REFERENCE),
        ]
        accuracies = joint.classifier_accuracies(x[:CLASSIFIED], exact[:CLASSIFIED])
        found.append(_row("C2ST", accuracies, REFERENCE))
    for j in range(x.shape[2]):
        where = {"wall": ("lower", "upper")[j // geometry.segments], "segment": j % geometry.segments + 1}
        found += [_row("error", errors[:, j], TRUTH) | where, _row("std", stds[:, j], "") | where]
    return found


def bounds(dataset: Dataset, noise: float, sizes: tuple[int, int], reference: Reference | None) -> list[Row]:
    """Return the rows of :func:`rows` for the prior, and for exact and linear-Gaussian samples where there are such.

    Each has the name of its column of the table as ``bound``.

    Args:
        dataset: the truth.
        noise: level in normalised units.
        sizes: measurements M, and samples S of each.
        reference: exact posteriors.

    Raises:
        InputError: if a linear problem's data set lacks its operator.
    """
    problem, (measurements, generated) = flux_problem(dataset.specification["problem"]), sizes
    seed = dataset.specification["seed"]
    known = Known.of(dataset, measurements, reference)
    prior = problem.prior.sample(seed, f"{problem.name}/bound", 0, measurements * generated).reshape(
        measurements, generated, -1
    )
    found = [row | {"bound": "prior"} for row in rows(prior, known, problem.geometry)]
    if reference is not None:
        kept = np.linspace(0, reference.again.shape[1] - 1, min(generated, reference.again.shape[1])).round()
        exact = reference.again[:, kept.astype(np.int64)]
        found += [row | {"bound": "floor"} for row in rows(exact, known, problem.geometry)]
    if problem.is_linear:
        if dataset.operator is None:
            raise InputError(f"{problem.name}: expected a data set with its sensor operator, found none")
        operator = MeasurementOperator.of(dataset, noise)
        seen = operator.measure(dataset.test.first(measurements), "test")
        y = operator.y_scale.restore(seen.y)
        gaussian = linear_gaussian(problem.prior, dataset.operator, y, operator.noise_std, seen.mask)
        x = gaussian.sample(seed, f"{problem.name}/linear-gaussian/{noise:g}", generated)
        found += [row | {"bound": "linear_gaussian"} for row in rows(x, known, problem.geometry)]
    return found


def _row(metric: str, values: Reals, reference: str) -> Row:
    """The mean over components, where a metric has a value, then over measurements."""
    each = values if values.ndim == 1 else np.nanmean(values, axis=1)
    error = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
    return {
        "metric": metric,
        "value": float(each.mean()),
        "error": float(error),
        "reference": reference,
        "measurements": len(each),
    }


def _number(metric: str, value: float, shares: Reals, error: float | None = None) -> Row:
    """Of all measurements together."""
    return {"metric": metric, "value": value, "error": error, "reference": TRUTH, "measurements": len(shares)}
