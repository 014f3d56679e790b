"""Tanh, the joint density of Eq. 47 (section 6.1): noise of one sign on a hyperbolic tangent."""

from dataclasses import dataclass
from typing import override

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.solvers.joint_density import JointDensity


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


PROBLEM = TANH = Tanh()
