"""Bimodal, the joint density of Eq. 48 (section 6.1): its conditional density has two modes."""

from dataclasses import dataclass
from typing import override

import numpy as np
from scipy.special import ndtri

from fluxbench.arrays import Floats
from fluxbench.solvers.joint_density import JointDensity


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


PROBLEM = BIMODAL = Bimodal()
