"""The linear flux problem: thirty solves serve every sample.

u depends linearly on the flux, so the noise-free measurement is y = G q with the sensor operator G = P J^-1 F, one
column a segment, J = A - M f'(0). One factorisation and one solve with d right-hand sides give it; a sample is then a
small product.
"""

from dataclasses import dataclass

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.solvers.fem.assembly import System
from fluxbench.solvers.fem.flux_simulator import FluxSimulator

RESIDUAL = 1e-9
"""Largest residual of the solutions for unit fluxes, relative to the load of the mean flux."""


@dataclass(frozen=True)
class LinearSimulator(FluxSimulator):
    """Noise-free sensor values of a linear problem, by its sensor operator."""

    operator: Floats

    def measure(self, flux: Floats) -> Floats:
        """Return the noise-free sensor values (B, n) of fluxes (B, d)."""
        # einsum without BLAS: a sample's bits must not depend on how many samples are solved with it.
        return np.einsum("ij,kj->ik", flux, self.operator, optimize=False)

    def jacobian(self, flux: Floats) -> Floats:
        """Return the derivatives of the sensor values with respect to fluxes (B, d): G for each, shape (B, n, d)."""
        return np.broadcast_to(self.operator, (len(flux), *self.operator.shape))

    def hessian(self, flux: Floats) -> Floats:
        """Return the second derivatives of the sensor values of fluxes (B, d): zeros, shape (B, n, d, d)."""
        sensors, fluxes = self.operator.shape
        return np.zeros((len(flux), sensors, fluxes, fluxes))


def sensor_operator(system: System) -> Floats:
    """Return the sensor operator G = P (A - M f'(0))^-1 F of a linear problem, shape (n, d).

    Raises:
        InputError: if the discrete problem is singular, or its solution's residual is not rounding.
    """
    load = system.load.copy()
    states = system.linearised(np.zeros(len(system.mass))).solve(load, np.empty_like(load))
    residual = system.residual(states, np.eye(load.shape[1])).max()
    if not residual <= RESIDUAL:
        raise InputError(f"expected a residual of at most {RESIDUAL:g}, found {residual:.2g}")
    return system.sensing @ states
