"""Metrics of each component of posterior samples: errors, spreads, coverage, and distances from a reference.

Samples have shape (M, S, d): S samples of d components for each of M measurements. References are other samples of the
same posteriors, (M, R, d); truths have shape (M, d). Every metric has one value for each measurement and component,
shape (M, d); where the reference hardly varies, as where it is clipped at zero, those in its units are NaN.
"""

import numpy as np
import scoringrules

from fluxbench.arrays import Reals

LEVEL = 0.9
"""Level of the central credible interval."""
SMALLEST = 0.01
"""Components whose deviation is below this share of the widest one's are left out."""


def errors(samples: Reals, truth: Reals, mean_flux: float) -> Reals:
    """Return |mean of samples (M, S, d) - truth (M, d)| / mean flux of the test split, dimensionless, shape (M, d).

    The error of the paper's Figs 9, 14 and 17. It does not reach 0: a perfect sampler gets what the posterior's own
    mean does.
    """
    return np.abs(samples.mean(axis=1) - truth) / mean_flux


def stds(samples: Reals) -> Reals:
    """Return the standard deviation of samples (M, S, d), in units of x (the paper's Figs 11, 19, 20), shape (M, d)."""
    return samples.std(axis=1, ddof=1)


def mean_shifts(samples: Reals, reference: Reals) -> Reals:
    """Return |mean - reference's mean| / reference's std of samples (M, S, d) and references (M, R, d), shape (M, d).

    Exact samples get (2/pi)^(1/2) (1/S + 1/R)^(1/2) on average. NaN where the reference hardly varies.
    """
    return np.abs(samples.mean(axis=1) - reference.mean(axis=1)) / _scale(reference)


def std_ratios(samples: Reals, reference: Reals) -> Reals:
    """Return std / reference's std of samples (M, S, d) and references (M, R, d), shape (M, d): 1 for exact samples.

    NaN where the reference hardly varies.
    """
    return stds(samples) / _scale(reference)


def covered(samples: Reals, truth: Reals) -> Reals:
    """Return 1 where the truth (M, d) lies in the central 90 % interval of samples (M, S, d), else 0, shape (M, d).

    Exact samples get 0.9 on average, for the interval's quantiles hold for any number of samples; they get more where
    truth and samples may be clipped at the same place.
    """
    low, high = np.quantile(samples, (0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0), axis=1, method="weibull")
    return ((low <= truth) & (truth <= high)).astype(np.float64)


def crps(samples: Reals, truth: Reals) -> Reals:
    """Return the continuous ranked probability score of samples (M, S, d) at truths (M, d) in units of x, shape (M, d).

    E|X - x| - E|X - X'| / 2 (Gneiting and Raftery 2007) is smallest on average for the exact posterior; it is estimated
    by probability weighted moments, which is fair to few samples.
    """
    return np.asarray(scoringrules.crps_ensemble(truth, samples, m_axis=1, estimator="pwm"))


def wasserstein(samples: Reals, reference: Reals) -> Reals:
    """Return the 1-Wasserstein distance of each component in units of the reference's standard deviation, shape (M, d).

    Sorted samples (M, S, d) are compared with S quantiles of the reference (M, R, d). Exact samples get 1.8 S^(-1/2) on
    average if R = S. NaN where the reference hardly varies.
    """
    return np.abs(np.sort(samples, axis=1) - quantiles(reference, samples.shape[1])).mean(axis=1) / _scale(reference)


def quantiles(reference: Reals, count: int) -> Reals:
    """Return the quantiles (i + 1/2)/count, i < count, of a reference (M, R, d), shape (M, count, d).

    The sorted reference's sample j is taken for its quantile (j + 1/2)/R, with straight lines between.
    """
    ordered, size = np.sort(reference, axis=1), reference.shape[1]
    place = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0.0, size - 1.0)
    below = np.minimum(place.astype(np.int64), max(size - 2, 0))
    share = (place - below)[:, None]
    return (1.0 - share) * ordered[:, below] + share * ordered[:, np.minimum(below + 1, size - 1)]


def _scale(reference: Reals) -> Reals:
    """Return the reference's standard deviation (M, d), NaN where it is below ``SMALLEST`` of the widest one."""
    scale = stds(reference).astype(np.float64)
    return np.where(scale >= SMALLEST * scale.max(axis=1, keepdims=True), scale, np.nan)
