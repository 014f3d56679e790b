"""The posterior of a linear problem under a Gaussian prior, in closed form."""

from dataclasses import dataclass

import numpy as np

from fluxbench import streams
from fluxbench.arrays import Floats, Mask
from fluxbench.solvers.boundary_flux import FluxPrior


@dataclass(frozen=True)
class GaussianPosterior:
    """Gaussian posteriors of M measurements: means, shape (M, d), and covariances, shape (M, d, d)."""

    mean: Floats
    covariance: Floats

    @property
    def std(self) -> Floats:
        """Standard deviation of each component of each posterior, shape (M, d)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))

    def sample(self, seed: int, stream: str, count: int) -> Floats:
        """Draw ``count`` samples of each posterior from a stream of random numbers, shape (M, count, d)."""
        measurements, size = self.mean.shape
        normals = streams.normals(seed, stream, 0, measurements * count, size).reshape(measurements, count, size)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        return self.mean[:, None] + normals @ root.swapaxes(1, 2)


def linear_gaussian(
    prior: FluxPrior, operator: Floats, y: Floats, noise_std: float, mask: Mask | None = None
) -> GaussianPosterior:
    """Return the exact posteriors of x in y = G x + noise when the prior is the Gaussian process before clipping.

    With x = mean + R z, z ~ N(0, I) and the singular value decomposition G R = U diag(s) V^T,

        E[z | y] = V diag(s / (s^2 + noise^2)) U^T (y - G mean),    Cov[z | y] = V diag(noise^2 / (s^2 + noise^2)) V^T,

    well defined for zero noise too. The data's prior is clipped at zero, so this is the exact posterior of the
    unclipped problem and an estimator, a few per cent from the exact one, for the data at hand. Where sensors are off,
    G and y hold the rows of the others alone: one decomposition for each mask that occurs.

    Args:
        prior: gives mean and covariance of the Gaussian process.
        operator: G, shape (n, d).
        y: measurements in physical units, shape (M, n); what stands at an off sensor does not count.
        noise_std: standard deviation of the noise in physical units.
        mask: True where a sensor is on, shape (M, n); None where all are.
    """
    if mask is None:
        mean, covariance = _posterior(prior, operator, y, noise_std)
        return GaussianPosterior(mean, np.broadcast_to(covariance, (len(y), *covariance.shape)))
    patterns, pattern_of = np.unique(mask, axis=0, return_inverse=True)
    means, covariances = np.empty((len(y), prior.size)), np.empty((len(y), prior.size, prior.size))
    for i, on in enumerate(patterns):
        rows = pattern_of == i
        means[rows], covariances[rows] = _posterior(prior, operator[on], y[rows][:, on], noise_std)
    return GaussianPosterior(means, covariances)


def _posterior(prior: FluxPrior, operator: Floats, y: Floats, noise_std: float) -> tuple[Floats, Floats]:
    """Return posterior means (M, d) and the covariance (d, d) that they share, all measured by the same sensors."""
    left, s, right = np.linalg.svd(operator @ prior.root)
    seen = s > np.finfo(np.float64).eps * s.max(initial=0.0)
    gain = np.where(seen, s, 0.0) / np.where(seen, s**2 + noise_std**2, 1.0)
    shrink = np.ones(prior.size)  # directions that no sensor sees keep the prior's variance
    shrink[: len(s)] = np.where(seen, noise_std**2 / np.where(seen, s**2 + noise_std**2, 1.0), 1.0)
    mean_x = np.full(prior.size, prior.mean)
    z = (y - operator @ mean_x) @ (left[:, : len(s)] * gain) @ right[: len(s)]
    spread = prior.root @ (right.T * np.sqrt(shrink))
    return mean_x + z @ prior.root.T, spread @ spread.T
