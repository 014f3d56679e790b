"""The boundary-flux problems (sections 6.2, 6.3) as small immutable objects.

A species is carried through the rectangle [0, L] x [0, H] by b = (U_max 4 (y/H)(1 - y/H), 0) and diffuses:

    b . grad u - kappa Lap u = 0,

with u = 0 on the left, zero flux on the right, and on both walls kappa du/dn = q for 0 < x < L_q, piecewise constant on
equal segments, zero beyond. The inferred vector x is q on the lower wall's segments, then on the upper wall's, in the
direction of the flow; the measurement y is u at the sensors, row by row. Lengths are in units of the domain, u in
units of concentration; only numbers marked "choice" are ours (the paper's were lost).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from solvers import streams
from solvers.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """The channel and the flux segments on its two walls."""

    length: float = 8.5
    height: float = 2.0
    flux_length: float = 7.0
    segments: int = 15

    def __post_init__(self) -> None:
        if not 0.0 < self.flux_length < self.length or not self.height > 0.0 or self.segments < 1:
            raise InputError(f"geometry: expected 0 < flux_length < length, height > 0, segments > 0, found {self}")

    @property
    def edges(self) -> Floats:
        """X of the segments' ends, shape (segments + 1,)."""
        return np.linspace(0.0, self.flux_length, self.segments + 1)

    @property
    def centres(self) -> Floats:
        """Centres of all segments in the plane, lower wall first, shape (2 segments, 2)."""
        x = 0.5 * (self.edges[1:] + self.edges[:-1])
        return np.array([(a, wall) for wall in (0.0, self.height) for a in x])


@dataclass(frozen=True)
class FluxPrior:
    """q = max(0, mean + GP) with a squared-exponential covariance of the distance between segment centres.

    The covariance is std^2 exp(-|c_i - c_j|^2 / (2 length_scale^2)). Both walls belong to one Gaussian process: the
    distance is Euclidean in the plane, as the text says literally. std = 1 and length_scale = 2 domain units: choice.
    """

    centres: tuple[tuple[float, float], ...]
    mean: float = 2.0
    std: float = 1.0
    length_scale: float = 2.0

    @property
    def size(self) -> int:
        """Number of fluxes."""
        return len(self.centres)

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of the Gaussian process before clipping, shape (size, size)."""
        centres = np.array(self.centres)
        squared = ((centres[:, None] - centres[None]) ** 2).sum(axis=-1)
        return self.std**2 * np.exp(-0.5 * squared / self.length_scale**2)

    @cached_property
    def root(self) -> Floats:
        """The symmetric square root R of the covariance, R R = covariance.

        By eigenvalues, since Cholesky stumbles on rounding when the covariance is nearly singular; symmetric, since it
        is then unique, and the same on every machine up to rounding.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T

    @property
    def clipped_moments(self) -> tuple[float, float]:
        """Mean and standard deviation of one component of max(0, N(mean, std^2))."""
        a = self.mean / self.std
        density = np.exp(-0.5 * a**2) / np.sqrt(2.0 * np.pi)
        first = self.mean * ndtr(a) + self.std * density
        second = (self.mean**2 + self.std**2) * ndtr(a) + self.mean * self.std * density
        return float(first), float(np.sqrt(second - first**2))

    def sample(self, seed: int, stream: str, start: int, stop: int) -> Floats:
        """Fluxes of samples ``start`` to ``stop - 1``, shape (stop - start, size)."""
        z = streams.normals(seed, stream, start, stop, self.size)
        # einsum without BLAS: a sample's bits must not depend on how many samples are drawn with it.
        return np.maximum(0.0, self.mean + np.einsum("ij,kj->ik", z, self.root, optimize=False))


def smooth(geometry: Geometry) -> FluxPrior:
    """The paper's prior on the segments of ``geometry``."""
    return FluxPrior(tuple((float(x), float(y)) for x, y in geometry.centres))


CHANNEL = Geometry()
SMOOTH = smooth(CHANNEL)


@dataclass(frozen=True)
class FluxProblem:
    """One inverse problem: where the species flows, what is inferred, what is measured."""

    name: str
    max_velocity: float
    kappa: float
    geometry: Geometry = CHANNEL
    prior: FluxPrior = SMOOTH
    sensor_rows: tuple[float, ...] = (0.5, 1.5)

    def __post_init__(self) -> None:
        if not self.kappa > 0.0:
            raise InputError(f"{self.name}.kappa: expected a diffusivity above 0, found {self.kappa}")
        if self.prior.size != 2 * self.geometry.segments:
            found, expected = self.prior.size, 2 * self.geometry.segments
            raise InputError(f"{self.name}.prior: expected {expected} fluxes, one a segment, found {found}")
        for y in self.sensor_rows:
            if not 0.0 <= y <= self.geometry.height:
                raise InputError(f"{self.name}.sensor_rows: expected 0 <= y <= {self.geometry.height}, found {y}")

    @property
    def sensors(self) -> Floats:
        """Sensor positions, one above each segment centre (choice), row by row, shape (n, 2)."""
        x = self.geometry.centres[: self.geometry.segments, 0]
        return np.array([(a, y) for y in self.sensor_rows for a in x])

    @property
    def peclet(self) -> float:
        """U_max (H/2) / kappa."""
        return self.max_velocity * self.geometry.height / 2.0 / self.kappa


LINEAR = FluxProblem(name="linear", max_velocity=0.1, kappa=0.016)  # kappa: choice

FLUX_PROBLEMS: dict[str, FluxProblem] = {problem.name: problem for problem in (LINEAR,)}
