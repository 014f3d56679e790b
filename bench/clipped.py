"""Posterior of the linear flux problem under its true prior, clipped at zero: a Monte Carlo reference.

With x = max(0, g), g = mean + R z and z ~ N(0, I), measurements y = G x + noise leave z with the density

    log p(z | y) = -|z|^2 / 2 - |y - G max(0, mean + R z)|^2 / (2 noise^2) + constant,

quadratic where the signs of g do not change. Hamiltonian Monte Carlo (Neal 2011) samples it, many measurements and
several chains each at once, in the coordinates u of the unclipped problem's posterior, z = z_y + S u, in which that one
is N(0, I). Trajectories have random lengths, since a clipped segment is as free as the prior leaves it: far wider in u.
Chains start from the unclipped posterior. Whether they agree is measured (split R-hat, Gelman et al. 2013), and so is
whether the truth ranks uniformly among the samples, as it must where truth and measurements come from the model.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from solvers.problems import Floats, FluxPrior

STEP = 0.25
LONGEST = 60
"""Leapfrog steps of a trajectory, at most."""


@dataclass(frozen=True)
class ClippedPosterior:
    """Samples of x and how far the chains agree.

    Attributes:
        x: shape (M, S, d), in physical units.
        r_hat: split R-hat of each component of g, shape (M, d): 1 where the chains agree.
        acceptance: share of accepted trajectories.
    """

    x: Floats
    r_hat: Floats
    acceptance: float


def clipped_posterior(
    prior: FluxPrior,
    operator: Floats,
    y: Floats,
    noise_std: float,
    seed: int = 0,
    chains: int = 4,
    warm_up: int = 100,
    kept: int = 250,
) -> ClippedPosterior:
    """Sample the posterior of every measurement.

    Args:
        prior: of the fluxes, with its clipping.
        operator: G, shape (n, d).
        y: measurements in physical units, shape (M, n).
        noise_std: standard deviation of the noise in physical units, above 0.
        seed: of the chains.
        chains: for each measurement.
        warm_up: trajectories that are thrown away.
        kept: trajectories that are kept, a chain.

    Returns:
        Samples of all chains, S = chains x kept.
    """
    generator = torch.Generator().manual_seed(seed)
    root, sensors = (torch.as_tensor(array, dtype=torch.float64) for array in (prior.root, operator))
    left, s, right = np.linalg.svd(operator @ prior.root)
    shrink, gain = np.ones(prior.size), np.zeros(prior.size)
    shrink[: len(s)] = noise_std / np.hypot(s, noise_std)
    gain[: len(s)] = s / (s**2 + noise_std**2)
    spread = torch.as_tensor(right.T * shrink)  # S: columns are principal directions
    centre = torch.as_tensor(((y - operator @ np.full(prior.size, prior.mean)) @ left * gain) @ right)
    centre, data = (t.repeat_interleave(chains, dim=0) for t in (centre, torch.as_tensor(y)))

    def flux(u: Tensor) -> tuple[Tensor, Tensor]:
        z = centre + u @ spread.T
        return z, prior.mean + z @ root.T

    def energy_and_gradient(u: Tensor) -> tuple[Tensor, Tensor]:
        z, g = flux(u)
        misfit = (g.clamp(min=0.0) @ sensors.T - data) / noise_std
        energy = 0.5 * z.square().sum(dim=1) + 0.5 * misfit.square().sum(dim=1)
        gradient = z + ((misfit / noise_std) @ sensors * (g > 0.0)) @ root
        return energy, gradient @ spread

    def normal() -> Tensor:
        return torch.randn(centre.shape, dtype=torch.float64, generator=generator)

    u = normal()
    energy, gradient = energy_and_gradient(u)
    found, accepted = [], 0.0
    for trajectory in range(warm_up + kept):
        momentum = normal()
        before = energy + 0.5 * momentum.square().sum(dim=1)
        steps = int(torch.randint(1, LONGEST + 1, (), generator=generator))
        size = STEP * (0.8 + 0.4 * torch.rand((), dtype=torch.float64, generator=generator))
        there, slope, energy_there = u, gradient, energy
        for _ in range(steps):
            momentum = momentum - 0.5 * size * slope
            there = there + size * momentum
            energy_there, slope = energy_and_gradient(there)
            momentum = momentum - 0.5 * size * slope
        after = energy_there + 0.5 * momentum.square().sum(dim=1)
        accept = torch.log(torch.rand(len(u), dtype=torch.float64, generator=generator)) < before - after
        u = torch.where(accept[:, None], there, u)
        gradient = torch.where(accept[:, None], slope, gradient)
        energy = torch.where(accept, energy_there, energy)
        if trajectory >= warm_up:
            found.append(flux(u)[1])
            accepted += accept.double().mean().item() / kept
    g = torch.stack(found).reshape(kept, len(y), chains, -1).permute(1, 2, 0, 3)  # (M, chains, kept, d)
    x = g.clamp(min=0.0).reshape(len(y), chains * kept, -1)
    return ClippedPosterior(x.numpy(), split_r_hat(g).numpy(), accepted)


def split_r_hat(g: Tensor) -> Tensor:
    """Gelman et al. (2013), section 11.4, each chain cut into halves; g of shape (M, chains, N, d), result (M, d)."""
    half = g.shape[2] // 2
    parts = torch.cat([g[:, :, :half], g[:, :, half : 2 * half]], dim=1)
    within = parts.var(dim=2).mean(dim=1)
    between = parts.mean(dim=2).var(dim=1)
    return torch.sqrt((half - 1) / half + between / within)
