"""Tests of calibration by the truths alone, without a reference.

Where truth and measurement come from the model, the truth is one more sample of the exact posterior. Both tests rank it
among the S samples of its measurement; ranks of exact posteriors are uniform on 0, ..., S.
"""

import numpy as np
from scipy.stats import kstest

from fluxbench.arrays import Reals

GROUPS = 50
"""Groups of measurements that the jackknife leaves out, one after the other."""


def ranks(samples: Reals, truth: Reals, seed: int = 0) -> Reals:
    """Rank true components (M, d) among samples (M, S, d), as shares in (0, 1) (Talts et al. 2018), shape (M, d).

    Ties, of components that are clipped at zero, are broken at random, and so is the place between two samples.
    """
    random = np.random.default_rng(seed)
    below = (samples < truth[:, None]).sum(axis=1)
    equal = (samples == truth[:, None]).sum(axis=1)
    return (below + (equal + 1) * random.uniform(size=truth.shape)) / (samples.shape[1] + 1)


def uniformity(shares: Reals) -> float:
    """Return the p-value of uniform ranks (M, d): the least of 2 d Kolmogorov-Smirnov tests, times 2 d (Bonferroni).

    It is at most 1. At most a share p of exact posteriors gets a p-value below p; fewer do where components depend on
    each other. Each component's ranks u are tested, which tell a shift, and |2 u - 1|, which tells too wide and too
    narrow posteriors.
    """
    tested = [each for u in shares.T for each in (u, np.abs(2.0 * u - 1.0))]
    return float(min(1.0, len(tested) * min(kstest(each, "uniform").pvalue for each in tested)))


def error(shares: Reals) -> float:
    """Return the mean over levels of |coverage - level| of central credible intervals, by all ranks (M, d) of truths.

    It is the area between the distribution function of |2 u - 1| and the diagonal: 0.31 n^(-1/2) for n independent
    ranks of exact posteriors. It tells too wide and too narrow posteriors, and no shift of one component against
    another's.
    """
    level, coverage = coverage_curve(shares)
    gap = coverage - level
    return float(np.trapezoid(np.abs(gap), level))


def error_std(shares: Reals) -> float:
    """Return the standard error of :func:`error` by ranks (M, d), NaN for one measurement.

    By the jackknife over at most ``GROUPS`` groups of measurements.
    """
    groups = min(GROUPS, len(shares))
    if groups < 2:
        return float("nan")
    group = np.arange(len(shares)) % groups
    without = np.array([error(shares[group != g]) for g in range(groups)])
    return float(np.sqrt((groups - 1) * without.var()))


def coverage_curve(shares: Reals) -> tuple[Reals, Reals]:
    """Return levels of central credible intervals from 0 to 1, shape (201,), and the share of ranks (M, d) in each."""
    level = np.linspace(0.0, 1.0, 201)
    inner = np.sort(np.abs(2.0 * shares.ravel() - 1.0))
    return level, np.searchsorted(inner, level, side="right") / len(inner)


def tarp(samples: Reals, truth: Reals, seed: int = 0) -> Reals:
    """Return the share of samples (M, S, d) that are closer to a random point than the truth (M, d) is, shape (M,).

    Tests of accuracy with random points (Lemos et al. 2023); the point is the first of the samples, which lies where
    the posterior does. Shares are uniform in (0, 1) for exact posteriors.
    """
    random = np.random.default_rng(seed)
    point, others = samples[:, :1], samples[:, 1:]
    of_truth = np.linalg.norm(truth - point[:, 0], axis=1)
    below = (np.linalg.norm(others - point, axis=2) < of_truth[:, None]).sum(axis=1)
    return (below + random.uniform(size=len(truth))) / (others.shape[1] + 1)
