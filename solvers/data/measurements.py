"""From clean sensor values to measurements: normalisation, noise, and sensors that are off.

A data set stores clean values once; what a model sees is made here, from per-sample random streams, so that one solved
data set serves every noise level and every share of working sensors. Both x and y are min-max normalised to [0, 1] with
one minimum and one maximum an array, fitted on the training split (one pair for all components, so that additive noise
has the same standard deviation in physical units at every sensor: choice). The noise is additive, independent and
Gaussian; its standard deviation is given in normalised units (choice).

Where sensors may be off (section 6.2.1), each sample draws a mask omega in {0, 1}^n, its sensors on independently with
one probability (Eq. 51). An off sensor reads -1 in normalised units, where no clean reading lies, and the network sees
(y, omega).
"""

from dataclasses import dataclass

import numpy as np

from fluxbench import streams
from fluxbench.arrays import Floats, Mask
from fluxbench.errors import InputError
from fluxbench.solvers import problems
from fluxbench.solvers.data.datasets import Dataset, Split

Noise = float | tuple[float, float]


@dataclass(frozen=True)
class MinMax:
    """The affine map that takes [low, high] to [0, 1]."""

    low: float
    high: float

    @classmethod
    def fit(cls, values: Floats) -> "MinMax":
        """Return the map whose interval is that of ``values``."""
        return cls(float(values.min()), float(values.max()))

    @property
    def span(self) -> float:
        """Length of the interval."""
        return self.high - self.low

    def normalise(self, values: Floats) -> Floats:
        """Convert physical to normalised units."""
        return (values - self.low) / self.span

    def restore(self, values: Floats) -> Floats:
        """Convert normalised to physical units."""
        return self.low + self.span * values


IDENTITY = MinMax(0.0, 1.0)

OFF = -1.0
"""Reading of a sensor that is off, in normalised units."""


@dataclass(frozen=True)
class Measured:
    """What a model sees of N samples.

    Attributes:
        x: normalised inferred vectors, shape (N, d).
        y: normalised noisy measurements, ``OFF`` where a sensor is off, shape (N, n).
        mask: omega, True where a sensor is on, shape (N, n); None where all of them always are.
        noise: standard deviation of each sample's noise in normalised units, shape (N,).
    """

    x: Floats
    y: Floats
    mask: Mask | None
    noise: Floats

    def rows(self, start: int, stop: int) -> "Measured":
        """Return samples ``start`` to ``stop - 1``."""
        mask = None if self.mask is None else self.mask[start:stop]
        return Measured(self.x[start:stop], self.y[start:stop], mask, self.noise[start:stop])


@dataclass(frozen=True)
class MeasurementOperator:
    """What a model sees of a data set.

    Attributes:
        problem: names the random streams of noise and masks.
        seed: the data set's seed.
        x_scale: normalisation of the inferred vector.
        y_scale: normalisation of the measurement vector.
        noise: standard deviation of the additive noise in normalised units, or the two ends of a range in which every
            sample has a level of its own, log-uniform.
        sensors_on: probability that a sensor is on.
    """

    problem: str
    seed: int
    x_scale: MinMax
    y_scale: MinMax
    noise: Noise
    sensors_on: float

    @classmethod
    def of(cls, dataset: Dataset, noise: Noise, sensors_on: float | None = None) -> "MeasurementOperator":
        """Return the operator of a data set at a noise level.

        Args:
            dataset: clean values.
            noise: standard deviation in normalised units, or a range.
            sensors_on: probability that a sensor is on, in place of the problem's own.

        Raises:
            InputError: if the noise is negative, or ``sensors_on`` is not in (0, 1].
        """
        if isinstance(noise, tuple):
            if not 0.0 < noise[0] <= noise[1]:
                raise InputError(f"noise: expected a range from above 0 upwards, found {noise[0]} to {noise[1]}")
        elif not noise >= 0.0:
            raise InputError(f"noise: expected a standard deviation of at least 0, found {noise}")
        problem, seed = dataset.specification["problem"], dataset.specification["seed"]
        known = problems.known(problem)
        if sensors_on is None:
            sensors_on = known.sensors_on
        if not 0.0 < sensors_on <= 1.0:
            raise InputError(f"sensors_on: expected a probability above 0 and at most 1, found {sensors_on}")
        if not known.normalised:
            return cls(problem, seed, IDENTITY, IDENTITY, noise, sensors_on)
        return cls(problem, seed, MinMax.fit(dataset.train.x), MinMax.fit(dataset.train.y), noise, sensors_on)

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise in physical units.

        Raises:
            InputError: if the operator is that of a range of noise levels.
        """
        if isinstance(self.noise, tuple):
            raise InputError(f"noise: expected one level, found the range {self.noise[0]:g} to {self.noise[1]:g}")
        return self.noise * self.y_scale.span

    def levels(self, split: str, count: int) -> Floats:
        """Return the standard deviation of each sample's noise in normalised units, shape (count,)."""
        if not isinstance(self.noise, tuple):
            return np.full(count, self.noise)
        low, high = self.noise
        shares = streams.uniforms(self.seed, f"{self.problem}/{split}/noise-level", 0, count, 1)[:, 0]
        return low * (high / low) ** shares

    def measure(self, clean: Split, split: str) -> Measured:
        """Return what a model sees of the first samples of a split.

        The random numbers belong to the sample, not to the noise level or to the probability: noise levels differ by
        scale alone, and a sensor that is on stays on when the probability rises.
        """
        y = self.y_scale.normalise(clean.y)
        count, size = y.shape
        noise = self.levels(split, count)
        if noise.max() > 0.0:
            y = y + noise[:, None] * streams.normals(self.seed, f"{self.problem}/{split}/noise", 0, count, size)
        mask = None
        # A problem of a family of operators has a mask at every rate: its networks are made for one.
        if min(self.sensors_on, problems.known(self.problem).sensors_on) < 1.0:
            mask = streams.uniforms(self.seed, f"{self.problem}/{split}/mask", 0, count, size) < self.sensors_on
            y = np.where(mask, y, OFF)
        return Measured(self.x_scale.normalise(clean.x), y, mask, noise)


def observations(dataset: Dataset, noise: float, count: int) -> Measured:
    """Return the measurements of a data set at which posteriors are asked for, M of them.

    Args:
        dataset: whose problem has values of y of its own, or whose test split is measured.
        noise: standard deviation in normalised units.
        count: measurements of the test split, the first ones; a problem's own values of y are all taken.
    """
    values = getattr(problems.known(dataset.specification["problem"]), "y_values", None)
    if values is not None:
        y = np.array(values)[:, None]
        return Measured(np.zeros_like(y), y, None, np.zeros(len(y)))
    return MeasurementOperator.of(dataset, noise).measure(dataset.test.first(count), "test")


def as_measured(readings: Floats, scale: MinMax, noise: float, masked: bool, mask: Mask | None) -> Measured:
    """Return somebody's readings as a network sees measurements.

    Args:
        readings: in physical units, shape (M, n).
        scale: normalisation of the measurement vector.
        noise: standard deviation in normalised units.
        masked: whether the network was trained with sensors that are off.
        mask: True where a sensor is on, shape (M, n), or (1, n) for all alike; None if all are.

    Raises:
        InputError: if there is a mask and the network knows of none, or it is of another shape.
    """
    y = scale.normalise(readings)
    if not masked:
        if mask is not None:
            raise InputError("mask: expected none, the network knows of no sensors that are off")
    else:
        mask = np.ones(y.shape, dtype=bool) if mask is None else mask
        if mask.shape[1] != y.shape[1] or len(mask) not in {1, len(y)}:
            raise InputError(f"mask: expected the measurement's shape {y.shape}, found {mask.shape}")
        mask = np.broadcast_to(mask, y.shape)
        y = np.where(mask, y, OFF)
    return Measured(np.zeros((len(y), 1)), y, mask, np.full(len(y), noise))
