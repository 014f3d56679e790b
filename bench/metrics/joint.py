"""All components together: distances between samples of a posterior and a reference, each in whitened coordinates.

Whitening is by the reference's mean and covariance C, measurement by measurement: narrow directions count as much as
wide ones, and a wrong correlation is as visible as a wrong spread. To the variance of each direction `SMALLEST` of the
largest one is added, lest components that are clipped at zero in nearly all samples outweigh the others.

Samples have shape (M, S, d), references (M, R, d); every metric has one value for each measurement, shape (M,).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.metrics import marginal

Floats = NDArray[np.floating]

SMALLEST = marginal.SMALLEST**2
DIRECTIONS = 100
FOLDS = 5


def whiten(samples: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Samples (S, d) and reference (R, d) of one measurement where the reference has a covariance of nearly I."""
    mean = reference.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(reference, rowvar=False)))
    scale = vectors / np.sqrt(np.maximum(values, 0.0) + SMALLEST * values[-1])
    return (samples - mean) @ scale, (reference - mean) @ scale


def energy_distances(samples: Floats, reference: Floats) -> Floats:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013), whitened; without bias: 0 on average if exact."""
    return np.array(
        [
            2.0 * cdist(white, exact).mean() - pdist(white).mean() - pdist(exact).mean()
            for white, exact in map(whiten, samples, reference)
        ]
    )


def sliced_wasserstein(samples: Floats, reference: Floats, seed: int = 0) -> Floats:
    """1-Wasserstein distance along `DIRECTIONS` random directions (Bonneel et al. 2015), their mean, whitened.

    In standard deviations, about 1.7 S^(-1/2) for exact samples and R = S.
    """
    random = np.random.default_rng(seed)
    found = []
    for white, exact in map(whiten, samples, reference):
        directions = random.normal(size=(white.shape[1], DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        ahead = marginal.quantiles((exact @ directions)[None], len(white))[0]
        found.append(np.abs(np.sort(white @ directions, axis=0) - ahead).mean())
    return np.array(found)


def classifier_accuracies(samples: Floats, reference: Floats, seed: int = 0) -> Floats:
    """How often a classifier tells samples from the reference (C2ST, Lopez-Paz and Oquab 2017): 0.5 if it cannot.

    A perceptron with one hidden layer on whitened coordinates, five-fold cross-validation, as many of each.
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
