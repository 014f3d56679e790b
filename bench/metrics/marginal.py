"""Component by component: errors, spreads, coverage, and distances from a reference.

Samples have shape (M, S, d): S samples of d components for each of M measurements. References are other samples of the
same posteriors, (M, R, d); truths have shape (M, d). Every metric has one value for each measurement and component,
shape (M, d); where the reference hardly varies, as where it is clipped at zero, those in its units are NaN.
"""

import numpy as np
import scoringrules
from numpy.typing import NDArray

Floats = NDArray[np.floating]

LEVEL = 0.9
"""Of the central credible interval."""
SMALLEST = 0.01
"""Components whose deviation is below this share of the widest one's are left out."""


def errors(samples: Floats, truth: Floats, mean_flux: float) -> Floats:
    """|posterior mean - truth| / mean flux of the test split (Figs 9, 14, 17), dimensionless; 0 is never reached.

    A perfect sampler gets what the posterior's own mean does.
    """
    return np.abs(samples.mean(axis=1) - truth) / mean_flux


def stds(samples: Floats) -> Floats:
    """Posterior standard deviation (Figs 11, 19, 20), in units of x."""
    return samples.std(axis=1, ddof=1)


def mean_shifts(samples: Floats, reference: Floats) -> Floats:
    """|mean - mean of the reference| / std of the reference: (2/pi)^(1/2) (1/S + 1/R)^(1/2) for exact samples."""
    return np.abs(samples.mean(axis=1) - reference.mean(axis=1)) / _scale(reference)


def std_ratios(samples: Floats, reference: Floats) -> Floats:
    """Standard deviation of the samples over the reference's: 1 for exact ones."""
    return stds(samples) / _scale(reference)


def covered(samples: Floats, truth: Floats) -> Floats:
    """Whether the truth lies within the samples' central 90 % interval: 0.9 on average for exact ones.

    Of quantiles that hold for any number of samples; more where truth and samples may be clipped at the same place.
    """
    low, high = np.quantile(samples, (0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0), axis=1, method="weibull")
    return ((low <= truth) & (truth <= high)).astype(np.float64)


def crps(samples: Floats, truth: Floats) -> Floats:
    """Continuous ranked probability score E|X - x| - E|X - X'| / 2 (Gneiting and Raftery 2007), in units of x.

    Smallest on average for the exact posterior; by probability weighted moments, which is fair to few samples.
    """
    return np.asarray(scoringrules.crps_ensemble(truth, samples, m_axis=1, estimator="pwm"))


def wasserstein(samples: Floats, reference: Floats) -> Floats:
    """1-Wasserstein distance between the marginals in units of the reference's std: 1.8 S^(-1/2) if exact, R = S.

    By quantiles: sorted samples against as many quantiles of the reference.
    """
    return np.abs(np.sort(samples, axis=1) - quantiles(reference, samples.shape[1])).mean(axis=1) / _scale(reference)


def quantiles(reference: Floats, count: int) -> Floats:
    """The quantiles (i + 1/2)/count of a reference (M, R, d), whose sample j is the (j + 1/2)/R one: (M, count, d)."""
    ordered, size = np.sort(reference, axis=1), reference.shape[1]
    place = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0.0, size - 1.0)
    below = np.minimum(place.astype(np.int64), max(size - 2, 0))
    share = (place - below)[:, None]
    return (1.0 - share) * ordered[:, below] + share * ordered[:, np.minimum(below + 1, size - 1)]


def _scale(reference: Floats) -> Floats:
    scale = stds(reference).astype(np.float64)
    return np.where(scale >= SMALLEST * scale.max(axis=1, keepdims=True), scale, np.nan)
