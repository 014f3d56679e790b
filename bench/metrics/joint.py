"""Distances between samples of a posterior and a reference, all components together, in whitened coordinates.

Whitening is by the reference's mean and covariance C, measurement by measurement: narrow directions count as much as
wide ones, and a wrong correlation is as visible as a wrong spread. Directions whose deviation is below a hundredth of
the widest one's are left out: those of components, say, that are clipped at zero in nearly all samples.

Samples have shape (M, S, d), references (M, R, d); every metric has one value for each measurement, shape (M,).
"""

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fluxbench.arrays import Reals
from fluxbench.bench.metrics import marginal

SMALLEST = marginal.SMALLEST**2
"""Directions whose variance is below this share of the widest one's are left out."""
DIRECTIONS = 100
"""Random directions of the sliced Wasserstein distance."""
FOLDS = 5
"""Folds of the classifier's cross-validation."""


def whiten(samples: Reals, reference: Reals) -> tuple[Reals, Reals]:
    """Whiten samples (S, d) and reference (R, d) of one measurement by the reference: shapes (S, k) and (R, k).

    The k directions that are wide enough are left; the reference has mean 0 and covariance I along them.
    """
    mean = reference.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(reference, rowvar=False)))
    kept = values > SMALLEST * values[-1]
    scale = vectors[:, kept] / np.sqrt(values[kept])
    return (samples - mean) @ scale, (reference - mean) @ scale


def energy_distances(samples: Reals, reference: Reals) -> Reals:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, whitened, of samples (M, S, d) and references (M, R, d), shape (M,).

    Without bias: 0 on average for exact samples (Szekely and Rizzo 2013).
    """
    return np.array(
        [
            2.0 * cdist(white, exact).mean() - pdist(white).mean() - pdist(exact).mean()
            for white, exact in map(whiten, samples, reference)
        ]
    )


def sliced_wasserstein(samples: Reals, reference: Reals, seed: int = 0) -> Reals:
    """Return the mean 1-Wasserstein distance along ``DIRECTIONS`` random directions, whitened, shape (M,).

    In standard deviations of references (M, R, d); exact samples (M, S, d) get about as much as
    :func:`marginal.wasserstein` gives them (Bonneel et al. 2015).
    """
    random = np.random.default_rng(seed)
    found = []
    for white, exact in map(whiten, samples, reference):
        directions = random.normal(size=(white.shape[1], DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        ahead = marginal.quantiles((exact @ directions)[None], len(white))[0]
        found.append(np.abs(np.sort(white @ directions, axis=0) - ahead).mean())
    return np.array(found)


def classifier_accuracies(samples: Reals, reference: Reals, seed: int = 0) -> Reals:
    """Return how often a classifier tells samples (M, S, d) from references (M, R, d), shape (M,): 0.5 if it cannot.

    The classifier two-sample test C2ST (Lopez-Paz and Oquab 2017): a perceptron with one hidden layer on whitened
    coordinates, cross-validation in ``FOLDS`` folds, as many samples of either kind.
    """
    found = []
    for x, y in zip(samples, reference, strict=True):
        white, exact = whiten(x, y)
        count = min(len(white), len(exact))
        network = MLPClassifier((64,), max_iter=200, early_stopping=True, random_state=seed)
        classifier = make_pipeline(StandardScaler(), network)
        both, label = np.concatenate([white[:count], exact[:count]]), np.repeat([0, 1], count)
        found.append(cross_val_score(classifier, both, label, cv=FOLDS).mean())
    return np.array(found)
