"""Hamiltonian Monte Carlo (Neal 2011) for many posteriors at once, with one solve of the forward problem a trajectory.

A trajectory follows the second-order expansion of F around the mode of its posterior; where it ends, it is accepted or
not by E itself. The leapfrog is reversible and keeps volumes whatever force it follows, so that the posterior stays
invariant exactly, and a better expansion only means that more is accepted (Neal 2011, on approximate trajectories).

Momenta are N(0, I) in the coordinates u of a Gaussian posterior, the one linearised at the mode, z = z_mode + S u: in
turns as if nothing were clipped, which suits what is not, and as if what is clipped at the mode always were, which
suits that: it is as free as the prior leaves it. Trajectories have random lengths. Chains start from the first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxbench import streams
from fluxbench.arrays import Floats
from fluxbench.bench.references.effort import CHAINS, FARTHEST, LONGEST, STEP
from fluxbench.bench.references.posterior import FluxPosterior


@dataclass(frozen=True)
class Chains:
    """States of the chains of M measurements.

    Attributes:
        g: the fluxes before clipping, shape (M, chains, N, d).
        acceptance: share of trajectories that were accepted, shape (M,).
    """

    g: Floats
    acceptance: Floats


def sample(
    posterior: FluxPosterior,
    seed: int,
    stream: str,
    indices: NDArray[np.int64] | None = None,
    chains: int = CHAINS,
    warm_up: int = 50,
    kept: int = 250,
) -> Chains:
    """Run Hamiltonian Monte Carlo chains for every measurement.

    Every measurement has random numbers of its own, keyed by its index; only lengths and steps of the trajectories are
    common to all, so that they move together.

    Args:
        posterior: posteriors of M measurements.
        seed: seed of the run.
        stream: name of the random numbers.
        indices: indices of the measurements, shape (M,); 0, 1, ... if None.
        chains: number of chains of each measurement.
        warm_up: first trajectories of each chain, which are thrown away.
        kept: trajectories of each chain that are kept after these, N.
    """
    common = streams.generator(seed, stream)
    indices = np.arange(len(posterior.y)) if indices is None else indices
    own = [streams.generator(seed, f"{stream}/{index}") for index in indices]

    def normals() -> Floats:
        return np.stack([random.standard_normal(shape[1:]) for random in own])

    expansion = Expansion(posterior)
    shape = (len(posterior.y), chains, posterior.prior.size)
    z = expansion.modes + normals() @ expansion.spreads[0].swapaxes(1, 2)
    energy, force = posterior.energy(z), expansion.force(z)
    found, accepted = [], np.zeros(len(posterior.y))
    for trajectory in range(warm_up + kept):
        spread = expansion.spreads[trajectory % 2]
        momentum = normals()
        before = energy + 0.5 * (momentum**2).sum(axis=-1)
        size = STEP * common.uniform(0.8, 1.2)
        there, force_there = z, force
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(common.integers(1, LONGEST + 1)):
                momentum = momentum + 0.5 * size * force_there @ spread
                there = there + size * momentum @ spread.swapaxes(1, 2)
                force_there = expansion.force(there)
                momentum = momentum + 0.5 * size * force_there @ spread
            near = (np.abs(there) < FARTHEST).all(axis=-1)
            after = 0.5 * (momentum**2).sum(axis=-1)
        there = np.where(near[:, :, None], there, z)
        energy_there = posterior.energy(there)
        uniforms = np.stack([random.uniform(size=chains) for random in own])
        accept = near & (np.log(uniforms) < before - after - energy_there)
        z = np.where(accept[:, :, None], there, z)
        force = np.where(accept[:, :, None], force_there, force)
        energy = np.where(accept, energy_there, energy)
        if trajectory >= warm_up:
            found.append(posterior.unclipped(z))
            accepted += accept.mean(axis=1) / kept
    return Chains(np.stack(found, axis=2), accepted)


class Expansion:
    """The posterior with F(x) ~ F(x_0) + J (x - x_0) + (x - x_0)^T H (x - x_0) / 2 around its mode.

    Args:
        posterior: posteriors of M measurements.

    Attributes:
        modes: modes in z, shape (M, 1, d).
        spreads: S without and with clipping, each of shape (M, d, d).
    """

    def __init__(self, posterior: FluxPosterior) -> None:
        modes = posterior.modes()
        centre, free = posterior.flux(modes), posterior.unclipped(modes) > 0.0
        jacobian, hessian = posterior.simulator.jacobian(centre), posterior.simulator.hessian(centre)
        slope = posterior.weights[:, :, None] * jacobian
        self.spreads = [_spread(part @ posterior.prior.root) for part in (slope, slope * free[:, None])]
        self.modes, self._centre = modes[:, None], centre[:, None]
        self._posterior, self._slope = posterior, slope
        self._misfit = posterior.misfit(self.modes)
        count, sensors, size = slope.shape
        curvature = (posterior.weights[:, :, None, None] * hessian).reshape(count, sensors * size, size).swapaxes(1, 2)
        self._curvature = np.ascontiguousarray(curvature) if curvature.any() else None

    def force(self, z: Floats) -> Floats:
        """Return minus the gradient of the expanded energy with respect to z (M, C, d), same shape."""
        g = self._posterior.unclipped(z)
        away = np.maximum(g, 0.0) - self._centre
        misfit = self._misfit + away @ self._slope.swapaxes(1, 2)
        if self._curvature is None:
            by_flux = misfit @ self._slope
        else:
            bend = (away @ self._curvature).reshape(*misfit.shape, -1)  # H (x - x_0), (M, C, n, d)
            misfit += 0.5 * (bend @ away[..., None])[..., 0]
            by_flux = misfit @ self._slope + (misfit[:, :, None, :] @ bend)[:, :, 0]
        return -(z + (by_flux * (g > 0.0)) @ self._posterior.prior.root)


def _spread(slope: Floats) -> Floats:
    """Return S (M, d, d) with S S^T = (I + slope^T slope)^-1, the covariance of z for a slope (M, n, d) in noises."""
    _, s, right = np.linalg.svd(slope)
    shrink = np.ones((len(slope), slope.shape[2]))  # directions that no sensor sees keep the prior's deviation
    shrink[:, : s.shape[1]] = 1.0 / np.sqrt(1.0 + s**2)
    return right.swapaxes(1, 2) * shrink[:, None, :]
