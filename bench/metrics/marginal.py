"""Component by component: errors, spreads, coverage, and distances from a reference.

Samples have shape (M, S, d): S samples of d components for each of M measurements. References are other samples of the
same posteriors, (M, R, d).
"""

import numpy as np
import scoringrules
from numpy.typing import NDArray

Floats = NDArray[np.floating]

LEVEL = 0.9
"""Of the central credible interval."""


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


def mean_shift(samples: Floats, mean: Floats, std: Floats) -> float:
    """Root mean square of (mean of the samples - reference mean) / reference std, over measurements and components.

    Exact samples get (1/S)^(1/2).

    Args:
        samples: shape (M, S, d).
        mean: of the reference, shape (M, d).
        std: of the reference, shape (M, d), above 0.
    """
    return float(np.sqrt(np.mean(((samples.mean(axis=1) - mean) / std) ** 2)))


def std_ratio(samples: Floats, std: Floats) -> float:
    """Standard deviation of the samples over the reference's, the mean over measurements and components: 1 if exact."""
    return float((samples.std(axis=1, ddof=1) / std).mean())


def coverage(samples: Floats, truth: Floats) -> float:
    """Share of true components (M, d) within the central 90 % interval of the samples: 0.9 if exact."""
    low, high = np.quantile(samples, (0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0), axis=1)
    return float(((low <= truth) & (truth <= high)).mean())


def crps(samples: Floats, truth: Floats) -> float:
    """Continuous ranked probability score E|X - x| - E|X - X'| / 2 (Gneiting and Raftery 2007), in units of x.

    The mean over measurements and components; the estimator that is fair to few samples (scoringrules).
    """
    return float(scoringrules.crps_ensemble(truth, samples, m_axis=1, estimator="fair").mean())


def marginal_wasserstein(samples: Floats, reference: Floats, std: Floats) -> float:
    """Exact 1-Wasserstein distance between the marginals in units of the reference's std, the mean over all of them.

    By quantiles: sorted samples against sorted samples, of which there must be as many.

    Args:
        samples: shape (M, S, d).
        reference: shape (M, S, d).
        std: of the reference, shape (M, d), above 0.
    """
    distance = np.abs(np.sort(samples, axis=1) - np.sort(reference, axis=1)).mean(axis=1)
    return float((distance / std).mean())
