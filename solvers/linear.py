"""The linear flux problem: thirty solves serve every sample.

u depends linearly on the flux, so the noise-free measurement is y = G q with the sensor operator G = P A^-1 F, one
column a segment. One factorisation and one solve with d right-hand sides give it; a sample is then a small product.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers import assembly
from solvers.problems import FluxProblem

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearSimulator:
    """Pairs (x, y) of flux and noise-free sensor values.

    Attributes:
        problem: the flux problem.
        operator: sensor operator G, shape (n, d), units of concentration per unit of flux.
    """

    problem: FluxProblem
    operator: Floats
    x_units: str = "flux"
    y_units: str = "concentration"

    @property
    def name(self) -> str:
        """The problem's name."""
        return self.problem.name

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Samples ``start`` to ``stop - 1`` of a split: fluxes (N, d) and noise-free sensor values (N, n)."""
        x = self.problem.prior.sample(seed, f"{self.name}/{split}/flux", start, stop)
        # einsum without BLAS: a sample's bits must not depend on how many samples are solved with it.
        return x, np.einsum("ij,kj->ik", x, self.operator, optimize=False)


def sensor_operator(problem: FluxProblem) -> Floats:
    """Sensor operator G = P A^-1 F of a linear problem on the production mesh, shape (n, d)."""
    system = assembly.assemble(problem)
    return system.sensing @ assembly.solve(system.stiffness, system.load)
