"""Optimal transport between samples of scalars: exact, and entropic in the readings of the paper's Table 2."""

import warnings

import numpy as np

from fluxbench.arrays import Floats, Reals

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # an escape in one of its docstrings, reported when it is compiled
    import ot

SINKHORN_REGULARISATION = 0.01
"""Entropic regularisation of the transport plan, in units of the cost."""
SINKHORN_BIN = 0.005
"""Width of the bins in which scalars are merged, in units of x."""
PAIRS_BIN = 0.01
"""Width of the bins in which pairs are merged, in units of x and y."""
UNDERFLOW = 700.0
"""Largest exponent before underflow: exp(-700) is about the smallest double that still has all its digits."""


def wasserstein_1d(samples: Reals, reference: Reals) -> float:
    """Return the exact 1-Wasserstein distance between scalars (N,) and (M,), in their units (POT, by sorting)."""
    return float(ot.wasserstein_1d(samples, reference))


def sinkhorn_1d(samples: Reals, reference: Reals, power: int) -> float:
    """Return the transport cost <P, M> of the entropic plan P between scalars: the paper's Table 2 (Cuturi 2013).

    The ground cost is M = |x - x'|^power, the regularisation 0.01, the iteration POT's with its own defaults (at most
    1,000 sweeps). Samples are merged in bins of width 0.005, each at the mean of what it holds; against the plan on
    all points that lowers S1 by about 2e-4, that of generated samples and of exact ones alike.

    Args:
        samples: shape (N,).
        reference: shape (M,).
        power: 1 for S1, 2 for S2.

    Returns:
        The cost, in units of x to that power.
    """
    at_samples, weights = _binned(samples[:, None], SINKHORN_BIN)
    at_reference, reference_weights = _binned(reference[:, None], SINKHORN_BIN)
    return _sinkhorn(weights, reference_weights, np.abs(at_samples - at_reference.T) ** power)


def sinkhorn_pairs(samples: Reals, reference: Reals, offsets: Reals) -> float:
    """Return the entropic transport cost between the pairs (x, y) and (x', y'), with regularisation 0.01.

    The ground cost is ((x - x')^2 + (y - y')^2)^(1/2). All samples share one y, so that only y' - y of the reference
    counts, and of it only the size. Bins have width 0.01 in x and in y' - y: against the plan on all points that
    changes the cost by about 1e-4.

    Args:
        samples: x, shape (N,).
        reference: x', shape (M,).
        offsets: y' - y, shape (M,).

    Returns:
        The cost, in units of x.
    """
    at_samples, weights = _binned(samples[:, None], PAIRS_BIN)
    at_reference, reference_weights = _binned(np.stack([reference, np.abs(offsets)], axis=1), PAIRS_BIN)
    cost = np.hypot(at_samples - at_reference[:, 0], at_reference[:, 1])
    return _sinkhorn(weights, reference_weights, cost)


def _sinkhorn(weights: Reals, reference_weights: Reals, cost: Reals) -> float:
    """Return the entropic transport cost between weights (N,) and (M,) at ground cost (N, M)."""
    # Where a point is so far from all others that exp(-cost / reg) underflows, the plain iteration drops its mass
    # without a word and the cost comes out too small; the log-domain one is ten times slower.
    isolation = max(cost.min(axis=1).max(), cost.min(axis=0).max())
    method = "sinkhorn" if isolation < UNDERFLOW * SINKHORN_REGULARISATION else "sinkhorn_log"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1,000 sweeps are the definition, converged or not
        return float(ot.sinkhorn2(weights, reference_weights, cost, SINKHORN_REGULARISATION, method))


def _binned(points: Reals, width: float) -> tuple[Floats, Floats]:
    """Return centres of mass (B, d) and weights (B,) of the occupied bins of points (N, d)."""
    _, bins, counts = np.unique(np.round(points / width), axis=0, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(bins, weights=column) for column in points.T], axis=1)
    return sums / counts[:, None], counts / counts.sum()
