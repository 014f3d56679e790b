"""The three joint densities p(x, y) of section 6.1 (Eqs 47-49): Tanh, Bimodal and Spiral.

The paper's equations are lost; these are the definitions in the authors' public code for the same names. Both x
and y are scalars without units. Each density knows its joint sampler and its exact conditional p(x | y), which is
what makes the floor of Table 2 computable.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, override

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri

from solvers import streams

Floats = NDArray[np.float64]


class JointDensity(ABC):
    """A joint density of two scalars; ``name`` is how configurations and files call it."""

    name: ClassVar[str]
    width: ClassVar[int]
    """Uniform numbers that one joint sample consumes."""

    y_values: ClassVar[tuple[float, ...]]
    """Where Table 2 conditions (choice: the paper's values are lost)."""

    x_units: ClassVar[str] = "1"
    y_units: ClassVar[str] = "1"

    @abstractmethod
    def joint(self, u: Floats) -> tuple[Floats, Floats]:
        """Map uniforms of shape (N, width) to samples x and y of shape (N,)."""

    @abstractmethod
    def conditional(self, y: float, u: Floats) -> Floats:
        """Map uniforms of shape (N, 2) to exact samples of p(x | y), shape (N,)."""

    @abstractmethod
    def log_conditional(self, x: Floats, y: float) -> Floats:
        """Log p(x | y), natural, for x of shape (N,)."""

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Joint samples ``start`` to ``stop - 1``: x of shape (N, 1) and y of shape (N, 1)."""
        x, y = self.joint(streams.uniforms(seed, f"{self.name}/{split}", start, stop, self.width))
        return x[:, None], y[:, None]

    def sample_conditional(self, y: float, count: int, seed: int, stream: str = "exact") -> Floats:
        """``count`` exact samples of p(x | y), shape (count,)."""
        return self.conditional(y, streams.uniforms(seed, f"{self.name}/{stream}/{y!r}", 0, count, 2))


@dataclass(frozen=True)
class Tanh(JointDensity):
    """y ~ U(-3, 3), x = tanh(y) + Gamma(shape 1, scale 0.3)."""

    name = "tanh"
    width = 2
    y_values = (-1.0, -0.5, 0.5, 1.0)

    @override
    def joint(self, u: Floats) -> tuple[Floats, Floats]:
        y = 6.0 * u[:, 0] - 3.0
        return np.tanh(y) + self._noise(u[:, 1]), y

    @override
    def conditional(self, y: float, u: Floats) -> Floats:
        return np.tanh(y) + self._noise(u[:, 1])

    @override
    def log_conditional(self, x: Floats, y: float) -> Floats:
        noise = x - np.tanh(y)
        return np.where(noise >= 0.0, -np.log(0.3) - noise / 0.3, -np.inf)

    def _noise(self, u: Floats) -> Floats:
        return -0.3 * np.log(u)  # a Gamma of shape 1 is an exponential


@dataclass(frozen=True)
class Bimodal(JointDensity):
    """y, w ~ N(0, 1), x = (y + w)^(1/3), the real cube root: p(x | y) has two modes for y near 0."""

    name = "bimodal"
    width = 2
    y_values = (-1.0, -0.5, 0.5, 1.0)

    @override
    def joint(self, u: Floats) -> tuple[Floats, Floats]:
        y = ndtri(u[:, 0])
        return np.cbrt(y + ndtri(u[:, 1])), y

    @override
    def conditional(self, y: float, u: Floats) -> Floats:
        return np.cbrt(y + ndtri(u[:, 1]))

    @override
    def log_conditional(self, x: Floats, y: float) -> Floats:
        w = x**3 - y
        with np.errstate(divide="ignore"):  # no density at x = 0
            return -0.5 * w**2 - 0.5 * np.log(2.0 * np.pi) + np.log(3.0 * x**2)


@dataclass(frozen=True)
class Spiral(JointDensity):
    """h ~ U(0, 1), a = 3 pi/2 (1 + 2 h), x = 0.1 a sin a + 0.1 w, y = 0.1 a cos a + 0.1 v with w, v ~ N(0, 1).

    Given y the angle has density p(a | y) proportional to exp(-(y - 0.1 a cos a)^2 / 0.02) on [3 pi/2, 9 pi/2]. Its
    distribution function is tabulated by the trapezoidal rule (error far below sampling noise) and inverted.
    """

    name = "spiral"
    width = 3
    y_values = (-0.6, -0.2, 0.2, 0.6)
    grid: ClassVar[int] = 20_001

    @override
    def joint(self, u: Floats) -> tuple[Floats, Floats]:
        a = 1.5 * np.pi * (1.0 + 2.0 * u[:, 0])
        return 0.1 * a * np.sin(a) + 0.1 * ndtri(u[:, 1]), 0.1 * a * np.cos(a) + 0.1 * ndtri(u[:, 2])

    @override
    def conditional(self, y: float, u: Floats) -> Floats:
        a, density = self._angles(y)
        cumulative = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
        a = np.interp(u[:, 0], cumulative / cumulative[-1], a)
        return 0.1 * a * np.sin(a) + 0.1 * ndtri(u[:, 1])

    @override
    def log_conditional(self, x: Floats, y: float) -> Floats:
        a, density = self._angles(y)
        weights = density / density.sum()  # at both ends the trapezoidal rule's halves are far below rounding
        away = (x[:, None] - 0.1 * a * np.sin(a)) / 0.1
        return logsumexp(-0.5 * away**2, axis=1, b=weights) - np.log(0.1 * np.sqrt(2.0 * np.pi))

    def _angles(self, y: float) -> tuple[Floats, Floats]:
        """The grid of a, and p(a | y) on it up to a factor."""
        a = np.linspace(1.5 * np.pi, 4.5 * np.pi, self.grid)
        return a, np.exp(-((y - 0.1 * a * np.cos(a)) ** 2) / 0.02)


DENSITIES: dict[str, JointDensity] = {density.name: density for density in (Tanh(), Bimodal(), Spiral())}
