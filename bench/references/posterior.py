"""The posterior of the flux problems' inferred vector, as it is: clipped prior, nonlinear map, masked sensors.

With x = max(0, g), g = mean + R z and z ~ N(0, I), the readings y = F(x) + noise of the sensors that are on leave

    log p(z | y) = -E(z) + constant,    E(z) = |z|^2 / 2 + |omega (y - F(x))|^2 / (2 noise^2).

Where nothing is clipped and F is linear it is Gaussian.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fluxbench.arrays import Floats, Mask
from fluxbench.solvers.boundary_flux import FluxPrior
from fluxbench.solvers.fem.flux_simulator import FluxSimulator


@dataclass(frozen=True)
class FluxPosterior:
    """Posteriors of z, and so of the fluxes x, of M measurements by n sensors.

    Attributes:
        prior: prior of the fluxes, gives mean and R.
        simulator: the map F from fluxes to readings.
        y: readings in physical units, shape (M, n); what stands at a sensor that is off does not count.
        noise_std: standard deviation of the noise in physical units, above 0.
        mask: omega, True where a sensor is on, shape (M, n); None where all are.
    """

    prior: FluxPrior
    simulator: FluxSimulator
    y: Floats
    noise_std: float
    mask: Mask | None = None

    def part(self, rows: NDArray[np.int64]) -> "FluxPosterior":
        """Return the posteriors of the measurements in the given rows alone."""
        return replace(self, y=self.y[rows], mask=None if self.mask is None else self.mask[rows])

    @property
    def weights(self) -> Floats:
        """The weights omega / noise of the readings, shape (M, n)."""
        on = np.ones_like(self.y) if self.mask is None else self.mask.astype(np.float64)
        return on / self.noise_std

    def unclipped(self, z: Floats) -> Floats:
        """Return the fluxes before clipping, g = mean + R z, of z (..., d), same shape."""
        return self.prior.mean + z @ self.prior.root

    def flux(self, z: Floats) -> Floats:
        """Return the fluxes x = max(0, mean + R z) of z (..., d), same shape."""
        return np.maximum(self.unclipped(z), 0.0)

    def misfit(self, z: Floats) -> Floats:
        """Return omega (F(x) - y) / noise of points z (M, C, d), C for each measurement, shape (M, C, n)."""
        readings = self.simulator.measure(self.flux(z).reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], -1)
        return (readings - self.y[:, None]) * self.weights[:, None]

    def energy(self, z: Floats) -> Floats:
        """Return the energy E, minus the log-density, of points z (M, C, d), C for each measurement, shape (M, C)."""
        return 0.5 * (z**2).sum(axis=-1) + 0.5 * (self.misfit(z) ** 2).sum(axis=-1)

    def modes(self, iterations: int = 5) -> Floats:
        """Return the z at which the energy is smallest or nearly so, shape (M, d).

        Gauss-Newton steps from the prior's mean are halved while they climb. A clipped component tells nothing, and
        goes where the prior sends it.
        """
        count, size = len(self.y), self.prior.size
        z = np.zeros((count, size))
        energy = self.energy(z[:, None])[:, 0]
        for _ in range(iterations):
            free = self.unclipped(z) > 0.0
            slope = self.weights[:, :, None] * (self.simulator.jacobian(self.flux(z)) * free[:, None]) @ self.prior.root
            target = np.einsum("mnd,md->mn", slope, z) - self.misfit(z[:, None])[:, 0]
            gram = slope @ slope.swapaxes(1, 2) + np.eye(slope.shape[1])
            step = np.einsum("mnd,mn->md", slope, np.linalg.solve(gram, target[:, :, None])[:, :, 0]) - z
            for _ in range(10):
                there = self.energy((z + step)[:, None])[:, 0]
                climbs = there > energy
                if not climbs.any():
                    break
                step[climbs] *= 0.5
            better = there < energy
            z, energy = np.where(better[:, None], z + step, z), np.where(better, there, energy)
        return z
