"""From clean sensor values to measurements: normalisation and noise.

A data set stores clean values once; what a model sees is made here, from per-sample random streams, so that one solved
data set serves every noise level. Both x and y are min-max normalised to [0, 1] with one minimum and one maximum an
array, fitted on the training split (one pair for all components, so that additive noise has the same standard deviation
in physical units at every sensor: choice). The noise is additive, independent and Gaussian; its standard deviation is
given in normalised units (choice).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers import streams
from solvers.datasets import Dataset, Split
from solvers.errors import InputError
from solvers.problems import FLUX_PROBLEMS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MinMax:
    """The affine map that takes [low, high] to [0, 1]."""

    low: float
    high: float

    @classmethod
    def fit(cls, values: Floats) -> "MinMax":
        """From the extremes of ``values``."""
        return cls(float(values.min()), float(values.max()))

    @property
    def span(self) -> float:
        """Length of the interval."""
        return self.high - self.low

    def normalise(self, values: Floats) -> Floats:
        """Physical to normalised units."""
        return (values - self.low) / self.span

    def restore(self, values: Floats) -> Floats:
        """Normalised to physical units."""
        return self.low + self.span * values


IDENTITY = MinMax(0.0, 1.0)


@dataclass(frozen=True)
class MeasurementOperator:
    """What a model sees of a data set.

    Attributes:
        problem: names the noise's random streams.
        seed: the data set's seed.
        x_scale: normalisation of the inferred vector.
        y_scale: normalisation of the measurement vector.
        noise: standard deviation of the additive noise in normalised units.
    """

    problem: str
    seed: int
    x_scale: MinMax
    y_scale: MinMax
    noise: float

    @classmethod
    def of(cls, dataset: Dataset, noise: float) -> "MeasurementOperator":
        """The operator of a data set at a noise level.

        The flux problems are normalised on their training split; the joint densities are used as they are.
        """
        if not noise >= 0.0:
            raise InputError(f"noise: expected a standard deviation of at least 0, found {noise}")
        problem, seed = dataset.specification["problem"], dataset.specification["seed"]
        if problem not in FLUX_PROBLEMS:
            return cls(problem, seed, IDENTITY, IDENTITY, noise)
        return cls(problem, seed, MinMax.fit(dataset.train.x), MinMax.fit(dataset.train.y), noise)

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise in the measurement's units."""
        return self.noise * self.y_scale.span

    def measure(self, clean: Split, split: str) -> Split:
        """Normalised x and normalised noisy y of the first samples of a split, shapes (N, d) and (N, n).

        The standard normal numbers belong to the sample, not to the noise level: levels differ by scale alone.
        """
        y = self.y_scale.normalise(clean.y)
        if self.noise > 0.0:
            stream = f"{self.problem}/{split}/noise"
            y = y + self.noise * streams.normals(self.seed, stream, 0, len(y), y.shape[1])
        return Split(self.x_scale.normalise(clean.x), y)
