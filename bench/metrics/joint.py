"""All components together: distances between samples of a posterior and a reference, each in whitened coordinates.

Whitening is by the reference's mean and covariance C, measurement by measurement: directions that hardly vary count as
much as the others, and a wrong correlation is as visible as a wrong spread. Directions whose variance is below
`SMALLEST` of the largest, such as those of components that are clipped in all samples, are left out.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.floating]

SMALLEST = 1e-6
DIRECTIONS = 100
FOLDS = 5


def whiten(samples: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Samples (S, d) and reference (R, d) of one measurement in coordinates where the reference has covariance I."""
    mean = reference.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(reference, rowvar=False)))
    kept = values > SMALLEST * values[-1]
    scale = vectors[:, kept] / np.sqrt(values[kept])
    return (samples - mean) @ scale, (reference - mean) @ scale


def energy_distance(samples: Floats, reference: Floats) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013), whitened; shapes (M, S, d), (M, R, d).

    Without bias: 0 on average for exact samples. The mean over measurements.
    """
    found = []
    for x, y in zip(samples, reference, strict=True):
        white, exact = whiten(x, y)
        found.append(2.0 * cdist(white, exact).mean() - pdist(white).mean() - pdist(exact).mean())
    return float(np.mean(found))


def sliced_wasserstein(samples: Floats, reference: Floats, seed: int = 0) -> float:
    """1-Wasserstein distance along random directions (Bonneel et al. 2015), whitened, in standard deviations.

    The mean over `DIRECTIONS` directions and measurements; samples and reference of one shape (M, S, d).
    """
    random = np.random.default_rng(seed)
    found = []
    for x, y in zip(samples, reference, strict=True):
        white, exact = whiten(x, y)
        directions = random.normal(size=(white.shape[1], DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        found.append(np.abs(np.sort(white @ directions, axis=0) - np.sort(exact @ directions, axis=0)).mean())
    return float(np.mean(found))


def classifier_accuracy(samples: Floats, reference: Floats, seed: int = 0) -> float:
    """How often a classifier tells samples from the reference (C2ST, Lopez-Paz and Oquab 2017): 0.5 if it cannot.

    A perceptron with one hidden layer on whitened coordinates, five-fold cross-validation; the mean over measurements.
    """
    found = []
    for x, y in zip(samples, reference, strict=True):
        both = np.concatenate(whiten(x, y))
        label = np.repeat([0, 1], [len(x), len(y)])
        network = MLPClassifier((64,), max_iter=200, early_stopping=True, random_state=seed)
        classifier = make_pipeline(StandardScaler(), network)
        found.append(cross_val_score(classifier, both, label, cv=FOLDS).mean())
    return float(np.mean(found))
