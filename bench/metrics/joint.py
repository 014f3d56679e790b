"""All components together: distances between samples of a posterior and a reference, each in whitened coordinates.

Whitening is by the reference's mean and covariance C, measurement by measurement: narrow directions count as much as
wide ones, and a wrong correlation is as visible as a wrong spread. Directions whose deviation is below a hundredth of
the widest one's are left out: those of components, say, that are clipped at zero in nearly all samples.

Samples have shape (M, S, d), references (M, R, d); every metric has one value for each measurement, shape (M,).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fluxbench.bench.metrics import marginal

Floats = NDArray[np.floating]

SMALLEST = marginal.SMALLEST**2
DIRECTIONS = 100
FOLDS = 5


def whiten(samples: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Samples (S, k) and reference (R, k) of one measurement along the k directions that count, the latter's covariance
    there I.
    """
    mean = reference.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(reference, rowvar=False)))
    kept = values > SMALLEST * values[-1]
    scale = vectors[:, kept] / np.sqrt(values[kept])
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

    In standard deviations; exact samples get about as much as :func:`marginal.wasserstein` gives them.
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
