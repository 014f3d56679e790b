"""How far samples are from a reference: definitions, units and sources of every number in the tables."""

import warnings

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # an escape in one of its docstrings, reported when it is compiled
    import ot

Floats = NDArray[np.floating]

SINKHORN_REGULARISATION = 0.01
SINKHORN_BIN = 0.0025
UNDERFLOW = 700.0
"""exp(-700) is about the smallest double that still has all its digits."""


def wasserstein_1d(samples: Floats, reference: Floats) -> float:
    """Exact 1-Wasserstein distance between two samples of scalars, in their units (POT, by sorting)."""
    return float(ot.wasserstein_1d(samples, reference))


def sinkhorn_1d(samples: Floats, reference: Floats, power: int) -> float:
    """Transport cost <P, M> of the entropic plan between scalars: the paper's Table 2 (Cuturi 2013).

    The ground cost is M = |x - x'|^power, the regularisation 0.01, the iteration POT's with its own defaults (at most
    1,000 sweeps). Samples are merged in bins of width 0.0025, each at the mean of what it holds; against the plan on
    all points that changes the cost by about 1e-4 and takes a hundredth of the time.

    Args:
        samples: shape (N,).
        reference: shape (M,).
        power: 1 for S1, 2 for S2.

    Returns:
        The cost, in units of x to that power.
    """
    at_samples, weights = _binned(samples)
    at_reference, reference_weights = _binned(reference)
    cost = np.abs(at_samples[:, None] - at_reference[None, :]) ** power
    # Where a point is so far from all others that exp(-cost / reg) underflows, the plain iteration drops its mass
    # without a word and the cost comes out too small; the log-domain one is ten times slower.
    isolation = max(cost.min(axis=1).max(), cost.min(axis=0).max())
    method = "sinkhorn" if isolation < UNDERFLOW * SINKHORN_REGULARISATION else "sinkhorn_log"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1,000 sweeps are the definition, converged or not
        return float(ot.sinkhorn2(weights, reference_weights, cost, SINKHORN_REGULARISATION, method))


def _binned(values: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of mass and weights of the occupied bins."""
    _, bins, counts = np.unique(np.round(values / SINKHORN_BIN), return_inverse=True, return_counts=True)
    return np.bincount(bins, weights=values) / counts, counts / counts.sum()


def segment_errors(posterior_mean: Floats, truth: Floats, mean_flux: float) -> Floats:
    """Normalised error of each segment (Figs 9, 14, 17): the mean over measurements of |posterior mean - truth|,
    divided by the mean flux of the test split.

    Args:
        posterior_mean: shape (M, d).
        truth: shape (M, d).
        mean_flux: over all segments and test samples.

    Returns:
        Shape (d,), dimensionless.
    """
    return np.abs(posterior_mean - truth).mean(axis=0) / mean_flux


def segment_stds(samples: Floats) -> Floats:
    """Posterior standard deviation of each segment (Figs 11, 19, 20), the mean over measurements.

    Args:
        samples: shape (M, S, d).

    Returns:
        Shape (d,), in units of flux.
    """
    return samples.std(axis=1, ddof=1).mean(axis=0)
