"""Spiral, the joint density of Eq. 49 (section 6.1): a noisy spiral, of which y cuts several arms."""

from dataclasses import dataclass
from typing import ClassVar, override

import numpy as np
from scipy.special import logsumexp, ndtri

from fluxbench.arrays import Floats
from fluxbench.solvers.joint_density import JointDensity


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
        """Return the grid of angles a, shape (grid,), and p(a | y) on it up to a factor."""
        a = np.linspace(1.5 * np.pi, 4.5 * np.pi, self.grid)
        return a, np.exp(-((y - 0.1 * a * np.cos(a)) ** 2) / 0.02)


PROBLEM = SPIRAL = Spiral()
