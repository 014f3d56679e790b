"""What a network sees of x and y, by statistics of the training split: x of mean 0 and variance 1, y of at most that.

x is standardised by component. y is whitened, as far as can be: its features are the best linear estimate of the clean
readings' standardised principal components, which are all that a measurement can say of x by way of the readings. With
the mean and the covariance C = U diag(v) U^T of the clean readings, noise of standard deviation s and sensors S on,

    f = diag(v)^(1/2) U_S^T (C_SS + s^2 I)^-1 (y_S - mean_S).

With all sensors on this is diag(v)^(1/2) diag(v + s^2)^(-1) U^T (y - mean), of unit covariance where there is no noise;
directions below the noise vanish. Whitening brings out the directions in which sensors hardly differ, and which carry
most of what is known about the finer structure of x; the mean of x, as far as it is linear in the readings, is the same
function of f at every noise level and for every mask. `FLOOR` times the largest variance is added to the first v and to
s^2: float32 tells no smaller ones apart.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fluxbench.solvers.data.measurements import Measured

Floats = NDArray[np.float64]

FLOOR = 1e-9
"""Variances of y below this share of the largest count as noise."""
BLOCK = 1_000
"""Samples whose masked covariances are held at once."""


@dataclass(frozen=True)
class Normalisation:
    """Affine maps between the normalised units of a data set and a network's.

    Attributes:
        x_mean: shape (d,).
        x_std: shape (d,).
        y_mean: of the clean readings, shape (n,); None if the network sees y as it is.
        y_axes: principal axes of the clean readings, the columns of U, shape (n, n); None likewise.
        y_variances: along these, v, shape (n,); None likewise.
        noise_range: of the levels that the network is told, as part of omega; None if it is told none.
    """

    x_mean: Floats
    x_std: Floats
    y_mean: Floats | None = None
    y_axes: Floats | None = None
    y_variances: Floats | None = None
    noise_range: tuple[float, float] | None = None

    @classmethod
    def identity(cls, x_size: int) -> "Normalisation":
        """The paper's: none beyond the data set's own."""
        return cls(np.zeros(x_size), np.ones(x_size))

    @classmethod
    def fit(cls, x: Floats, y: Floats) -> "Normalisation":
        """From a training split: x of shape (N, d), and clean y of shape (N, n)."""
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(y, rowvar=False)))
        return cls(x.mean(axis=0), x.std(axis=0), y.mean(axis=0), axes, np.maximum(variances, 0.0))

    def standardise(self, x: Floats) -> Floats:
        """From normalised units to the network's; any shape (..., d)."""
        return (x - self.x_mean) / self.x_std

    def restore(self, x: Floats) -> Floats:
        """The inverse of :meth:`standardise`."""
        return self.x_mean + self.x_std * x

    def condition(self, measured: Measured) -> Floats:
        """What the network is told of N measurements: y or f, shape (N, n), and what belongs to omega: the mask as n
        columns, the logarithm of the noise as one, from -1 to 1 over its range.
        """
        parts = [measured.y]
        if self.y_mean is not None and self.y_axes is not None and self.y_variances is not None:
            parts = [_whitened(measured, self.y_mean, self.y_axes, self.y_variances)]
        if measured.mask is not None:
            parts.append(measured.mask.astype(np.float64))
        if self.noise_range is not None:
            low, high = self.noise_range
            parts.append((2.0 * np.log(measured.noise / low) / np.log(high / low) - 1.0)[:, None])
        return np.concatenate(parts, axis=-1)

    def record(self) -> dict[str, Any]:
        """For a checkpoint: tensors in place of arrays."""
        return {
            name: torch.as_tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Normalisation":
        """The inverse of :meth:`record`."""
        values: dict[str, Any] = {
            name: value.numpy() if isinstance(value, torch.Tensor) else value for name, value in record.items()
        }
        return cls(**values)


def _whitened(measured: Measured, mean: Floats, axes: Floats, variances: Floats) -> Floats:
    smallest = FLOOR * variances.max()
    noise = measured.noise[:, None] ** 2 + smallest
    centred = measured.y - mean
    scale = np.sqrt(variances + smallest)
    if measured.mask is None:
        return centred @ axes * scale / (variances + noise)
    covariance = (axes * variances) @ axes.T
    found = np.empty_like(centred)
    diagonal = np.arange(len(variances))
    for start in range(0, len(centred), BLOCK):
        rows = slice(start, start + BLOCK)
        on = measured.mask[rows].astype(np.float64)
        matrices = covariance * on[:, :, None] * on[:, None, :]
        matrices[:, diagonal, diagonal] += np.where(measured.mask[rows], noise[rows], 1.0)
        found[rows] = np.linalg.solve(matrices, (on * centred[rows])[:, :, None])[:, :, 0]
    return found @ axes * scale
