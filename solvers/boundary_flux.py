"""The boundary-flux problems (sections 6.2, 6.3) as small immutable objects.

A species is carried through the rectangle [0, L] x [0, H] by b = (v(y/H), 0), diffuses and reacts:

    b . grad u - kappa Lap u = f(u),

with polynomials v and f, u = 0 on the left, zero flux on the right, and on both walls kappa du/dn = q for 0 < x <
L_q, piecewise constant on equal segments, zero beyond. The inferred vector x is q on the lower wall's segments, then
on the upper wall's, in the direction of the flow; the measurement y is u at the sensors, row by row. Lengths are in
units of the domain, u in units of concentration; only numbers marked "choice" are ours (the paper's were lost).

A problem is data: another velocity, reaction, geometry, prior or set of sensors is another object, and no solver
changes.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import ndtr

from fluxbench import streams
from fluxbench.arrays import Floats, Reals
from fluxbench.errors import InputError
from fluxbench.solvers.problem import Family

if TYPE_CHECKING:
    from fluxbench.solvers.fem.flux_simulator import FluxSimulator


@dataclass(frozen=True)
class Polynomial:
    """The polynomial c_0 + c_1 s + c_2 s^2 + ..., for numbers, arrays and symbolic expressions alike."""

    coefficients: tuple[float, ...] = ()

    def __call__(self, s: Any) -> Any:
        """Return the value at ``s``, by Horner's rule."""
        *lower, highest = self.coefficients or (0.0,)
        if not lower:
            return 0.0 * s + highest
        value = highest
        for c in reversed(lower):
            value = value * s + c
        return value

    @property
    def degree(self) -> int:
        """The highest power whose coefficient is not zero; 0 for constants."""
        return max((k for k, c in enumerate(self.coefficients) if c != 0.0), default=0)

    @property
    def derivative(self) -> "Polynomial":
        """The derivative, which is a polynomial again."""
        return Polynomial(tuple(k * c for k, c in enumerate(self.coefficients) if k > 0))


def poiseuille(max_velocity: float) -> Polynomial:
    """Return the parabolic velocity between two walls, 4 max_velocity s (1 - s) with s = y/H."""
    return Polynomial((0.0, 4.0 * max_velocity, -4.0 * max_velocity))


def logistic(rate: float, capacity: float) -> Polynomial:
    """Return logistic growth, rate u (1 - u/capacity), as a reaction of the concentration u."""
    return Polynomial((0.0, rate, -rate / capacity))


@dataclass(frozen=True)
class Geometry:
    """The channel and the flux segments on its two walls, in units of the domain.

    Attributes:
        length: L, along the flow.
        height: H, between the walls.
        flux_length: L_q, the part of each wall that has segments.
        segments: number of equal segments of each wall.
    """

    length: float = 8.5
    height: float = 2.0
    flux_length: float = 7.0
    segments: int = 15

    def __post_init__(self) -> None:
        if not 0.0 < self.flux_length < self.length or not self.height > 0.0 or self.segments < 1:
            raise InputError(f"geometry: expected 0 < flux_length < length, height > 0, segments > 0, found {self}")

    @property
    def edges(self) -> Floats:
        """Positions x of the ends of a wall's segments, shape (segments + 1,)."""
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

    Attributes:
        centres: of the segments, in the plane.
        mean: of the Gaussian process, in units of flux.
        std: of the Gaussian process, in units of flux.
        length_scale: distance over which fluxes are correlated, in units of the domain.
    """

    centres: tuple[tuple[float, float], ...]
    mean: float = 2.0
    std: float = 1.0
    length_scale: float = 2.0

    def __post_init__(self) -> None:
        if not (self.std > 0.0 and self.length_scale > 0.0):
            found = f"{self.std} and {self.length_scale}"
            raise InputError(f"prior: expected a std and a length_scale above 0, found {found}")

    @property
    def size(self) -> int:
        """Number of fluxes d, one for each segment of both walls."""
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
        """Draw the fluxes of samples ``start`` to ``stop - 1`` of a stream, shape (stop - start, size)."""
        z = streams.normals(seed, stream, start, stop, self.size)
        # einsum without BLAS: a sample's bits must not depend on how many samples are drawn with it.
        return np.maximum(0.0, self.mean + np.einsum("ij,kj->ik", z, self.root, optimize=False))


def smooth(geometry: Geometry) -> FluxPrior:
    """Return the paper's prior of the fluxes on the segments of ``geometry``."""
    return FluxPrior(tuple((float(x), float(y)) for x, y in geometry.centres))


CHANNEL = Geometry()
"""The paper's channel: 8.5 x 2, with fifteen segments on each wall."""
SMOOTH = smooth(CHANNEL)
"""The paper's prior on the segments of its channel."""


@dataclass(frozen=True)
class FluxProblem:
    """A boundary-flux problem: where the species flows, how it reacts, what is inferred, what is measured.

    Attributes:
        name: of the problem, its data sets and its random streams.
        velocity: v(s) along the channel, with s = y/H.
        kappa: diffusivity.
        reaction: f(u), the rate at which the species grows.
        start: the concentration from which Newton's method starts; decides the branch where there are several.
        geometry: channel and segments.
        prior: distribution of the fluxes.
        sensor_rows: y of the rows of sensors.
        sensor_columns: x of the sensors of a row; None puts them above the segments' centres (choice).
        sensors_on: probability that a sensor works, independently of the others (section 6.2.1).
    """

    name: str
    velocity: Polynomial
    kappa: float
    reaction: Polynomial = Polynomial()
    start: float = 0.0
    geometry: Geometry = CHANNEL
    prior: FluxPrior = SMOOTH
    sensor_rows: tuple[float, ...] = (0.5, 1.5)
    sensor_columns: tuple[float, ...] | None = None
    sensors_on: float = 1.0
    family: ClassVar[Family] = "flux"
    x_units: ClassVar[str] = "flux"
    y_units: ClassVar[str] = "concentration"
    noisy: ClassVar[bool] = True
    normalised: ClassVar[bool] = True
    y_values: ClassVar[None] = None
    closed_form: ClassVar[bool] = False
    solver: ClassVar[str] = "fluxbench.solvers.fem.simulators"

    def __post_init__(self) -> None:
        if not self.kappa > 0.0:
            raise InputError(f"{self.name}.kappa: expected a diffusivity above 0, found {self.kappa}")
        if not 0.0 < self.sensors_on <= 1.0:
            raise InputError(f"{self.name}.sensors_on: expected a probability above 0, found {self.sensors_on}")
        if self.prior.size != 2 * self.geometry.segments:
            found, expected = self.prior.size, 2 * self.geometry.segments
            raise InputError(f"{self.name}.prior: expected {expected} fluxes, one a segment, found {found}")
        sides = {"sensor_rows": (self.sensor_rows, "y", self.geometry.height)}
        if self.sensor_columns is not None:
            sides["sensor_columns"] = (self.sensor_columns, "x", self.geometry.length)
        for key, (values, axis, end) in sides.items():
            if not values:
                raise InputError(f"{self.name}.{key}: expected at least one sensor, found none")
            for value in values:
                if not 0.0 <= value <= end:
                    raise InputError(f"{self.name}.{key}: expected sensors with 0 <= {axis} <= {end}, found {value}")

    @property
    def x_size(self) -> int:
        """Number of fluxes, on the lower wall first."""
        return self.prior.size

    @property
    def y_size(self) -> int:
        """Number of sensors."""
        return len(self.sensors)

    @property
    def is_linear(self) -> bool:
        """Whether the sensor values are a linear function of the fluxes."""
        return self.reaction.degree <= 1 and self.reaction(0.0) == 0.0

    @property
    def sensors(self) -> Floats:
        """Sensor positions, row by row, shape (n, 2)."""
        above_centres = self.geometry.centres[: self.geometry.segments, 0]
        x = above_centres if self.sensor_columns is None else self.sensor_columns
        return np.array([(a, y) for y in self.sensor_rows for a in x])

    @property
    def peclet(self) -> float:
        """The Peclet number v(1/2) (H/2) / kappa, by the velocity in the middle of the channel."""
        return float(self.velocity(0.5)) * self.geometry.height / 2.0 / self.kappa

    def simulator(self, mesh: str = "aligned") -> "FluxSimulator":
        """Return the solver of the problem on one of the meshes of :mod:`fluxbench.solvers.fem.discretisation`.

        Raises:
            InputError: naming the problem, if it cannot be discretised or solved.
        """
        found: FluxSimulator = import_module(self.solver).simulator(self, mesh)  # dolfinx, where it is needed
        return found

    def definition(self, mesh: str) -> dict[str, Any]:
        """Return the mesh and all that the problem is made of but its masks, since one data set serves all of these.

        Raises:
            InputError: if there is no such mesh.
        """
        from fluxbench.solvers.fem.discretisation import discretisation  # noqa: PLC0415 - which knows flux problems

        made_of = {key: value for key, value in asdict(self).items() if key != "sensors_on"}
        return {"mesh": mesh, "discretisation": asdict(discretisation(self, mesh)), "definition": made_of}

    def admissible(self, x: Reals) -> Reals:
        """Return samples (..., d) of the flux with what is below zero put to zero: no flux is."""
        return np.maximum(x, 0.0)
