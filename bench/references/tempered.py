"""Tempered sequential Monte Carlo (Del Moral, Doucet and Jasra 2006): a second sampler of the same posteriors.

Particles start as draws of the prior and follow exp(-|z|^2 / 2 - t |misfit|^2 / 2) as t rises from 0 to 1. Each rise is
the one that leaves half of the effective particles; then they are drawn anew by their weights and moved by
preconditioned Crank-Nicolson steps (Cotter et al. 2013) around the Gaussian of the particles' own mean and covariance,
with the step that a third of them accepts. No derivative, expansion or mode is used: what :mod:`hamiltonian` has in
common with it is the posterior alone.
"""

import numpy as np

from fluxbench import streams
from fluxbench.arrays import Floats
from fluxbench.bench.references.posterior import FluxPosterior

MOVES = 12
"""Crank-Nicolson steps after each rise of t."""


def sample(posterior: FluxPosterior, seed: int, stream: str, particles: int = 2_000) -> Floats:
    """Draw fluxes before clipping from the posterior of every measurement by itself, shape (M, particles, d).

    Args:
        posterior: posteriors of M measurements.
        seed: seed of the run.
        stream: name of the random numbers.
        particles: number of particles of each measurement, all of which are returned.
    """
    return np.stack([_one(posterior, i, seed, f"{stream}/{i}", particles) for i in range(len(posterior.y))])


def _one(posterior: FluxPosterior, index: int, seed: int, stream: str, particles: int) -> Floats:
    """Draw fluxes before clipping from the posterior of one measurement, shape (particles, d)."""
    random = streams.generator(seed, stream)
    only = posterior.part(np.array([index]))

    def potential(z: Floats) -> Floats:
        return 0.5 * (only.misfit(z[None])[0] ** 2).sum(axis=-1)

    size, t, share = posterior.prior.size, 0.0, 0.5
    z = random.standard_normal((particles, size))
    phi = potential(z)
    while t < 1.0:
        rise = _rise(phi, 1.0 - t)
        t = 1.0 if rise >= 1.0 - t else t + rise
        weights = np.exp(-rise * (phi - phi.min()))
        offsets = (np.arange(particles) + random.uniform()) / particles  # systematic resampling
        drawn = np.searchsorted(np.cumsum(weights / weights.sum()), offsets).clip(max=particles - 1)
        z, phi = z[drawn], phi[drawn]
        for _ in range(MOVES):
            mean, covariance = z.mean(axis=0), np.cov(z, rowvar=False)
            inverse, root = np.linalg.inv(covariance), np.linalg.cholesky(covariance)
            fresh = mean + random.standard_normal(z.shape) @ root.T
            there = mean + np.sqrt(1.0 - share**2) * (z - mean) + share * (fresh - mean)
            phi_there = potential(there)

            gain = _log_ratio(there, phi_there, t, mean, inverse) - _log_ratio(z, phi, t, mean, inverse)
            accept = np.log(random.uniform(size=particles)) < gain
            z, phi = np.where(accept[:, None], there, z), np.where(accept, phi_there, phi)
            share = min(1.0, max(0.02, share * np.exp(accept.mean() - 1.0 / 3.0)))
    return posterior.prior.mean + z @ posterior.prior.root


def _log_ratio(z: Floats, phi: Floats, t: float, mean: Floats, inverse: Floats) -> Floats:
    """Return the log of the target's density at t over that of the Gaussian, which the steps keep, at points (S, d)."""
    away = z - mean
    return 0.5 * ((away @ inverse) * away).sum(axis=1) - 0.5 * (z**2).sum(axis=1) - t * phi


def _rise(phi: Floats, most: float) -> float:
    """Return the rise of t, at most ``most``, after which half of the particles are effective."""

    def effective(rise: float) -> float:
        weights = np.exp(-rise * (phi - phi.min()))
        return float(weights.sum() ** 2 / (weights**2).sum())

    if effective(most) >= 0.5 * len(phi):
        return most
    low, high = 0.0, most
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) > 0.5 * len(phi) else (low, middle)
    return low
