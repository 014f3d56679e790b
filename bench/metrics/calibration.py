"""Whether posteriors are calibrated, by the truths alone: no reference is needed.

Where truth and measurement come from the model, the truth is one more sample of the exact posterior. Both tests rank it
among the S samples of its measurement; ranks of exact posteriors are uniform on 0, ..., S.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstest

Floats = NDArray[np.floating]


def ranks(samples: Floats, truth: Floats, seed: int = 0) -> Floats:
    """Ranks of true components (M, d) among samples (M, S, d) as shares in (0, 1) (Talts et al. 2018), shape (M, d).

    Ties, of components that are clipped at zero, are broken at random, and so is the place between two samples.
    """
    random = np.random.default_rng(seed)
    below = (samples < truth[:, None]).sum(axis=1)
    equal = (samples == truth[:, None]).sum(axis=1)
    return (below + (equal + 1) * random.uniform(size=truth.shape)) / (samples.shape[1] + 1)


def uniformity(shares: Floats) -> float:
    """P-value of uniform ranks (M, d): the smallest of d Kolmogorov-Smirnov tests, times d (Bonferroni), at most 1."""
    smallest = min(kstest(column, "uniform").pvalue for column in shares.T)
    return float(min(1.0, smallest * shares.shape[1]))


def tarp(samples: Floats, truth: Floats, seed: int = 0) -> Floats:
    """Shares of samples (M, S, d) that are closer to a random point than the truth (M, d) is, shape (M,).

    Lemos et al. (2023), Tests of accuracy with random points: the points are the truths of other measurements,
    distances in units of each component's standard deviation over these. Uniform for exact posteriors.
    """
    random = np.random.default_rng(seed)
    count, size = samples.shape[:2]
    scale = truth.std(axis=0) + np.finfo(np.float64).tiny
    point = truth[(np.arange(count) + random.integers(1, count, count)) % count] / scale
    of_truth = np.linalg.norm(truth / scale - point, axis=1)
    of_samples = np.linalg.norm(samples / scale - point[:, None], axis=2)
    below = (of_samples < of_truth[:, None]).sum(axis=1)
    return (below + random.uniform(size=count)) / (size + 1)
