"""Where the mesh lines run, and of which degree the polynomials between them are; it needs no dolfinx.

Accuracy comes from the mesh, not from its size. On a channel of the paper's kind the sensors are smooth functionals
of a solution that is rough only where flux segments meet at the walls: mesh lines through the segments' ends and high
order between them give more digits with 85 quadrilaterals than the paper's 340,000 triangles (``fluxbench study
verification``).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem


@dataclass(frozen=True)
class AlignedMesh:
    """Quadrilaterals with lines through the segments' ends; Gauss-Lobatto-Legendre nodes.

    Attributes:
        degree: polynomial degree p.
        layers: mesh lines between the walls, as fractions of the height from the nearest wall; 0.5 is the middle.
        tail: cells along x beyond the last flux segment.
        refinement: every interval between mesh lines is cut into this many.
    """

    degree: int = 6
    layers: tuple[float, ...] = (0.125, 0.25)
    tail: int = 2
    refinement: int = 1
    quadrilaterals: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if np.any(np.diff([0.0, *self.layers]) <= 0.0) or max(self.layers, default=0.0) > 0.5:
            raise InputError(f"layers: expected increasing fractions above 0, up to 0.5, found {self.layers}")

    def lines(self, problem: FluxProblem) -> tuple[Floats, Floats]:
        """Return the coordinates of the mesh lines, x of those across the channel and y of those along it."""
        geometry = problem.geometry
        x = np.concatenate([geometry.edges, np.linspace(geometry.flux_length, geometry.length, self.tail + 1)[1:]])
        y = geometry.height * np.unique([0.0, 1.0, *self.layers, *(1.0 - a for a in self.layers)])
        return _refine(x, self.refinement), _refine(y, self.refinement)


@dataclass(frozen=True)
class UniformMesh:
    """A uniform grid of rectangles; for degree 1 each is cut into two triangles.

    Attributes:
        degree: polynomial degree p.
        cells: rectangles along x and y.
    """

    degree: int = 1
    cells: tuple[int, int] = (850, 200)

    @property
    def quadrilaterals(self) -> bool:
        """Whether cells are rectangles, not triangles."""
        return self.degree > 1

    def lines(self, problem: FluxProblem) -> tuple[Floats, Floats]:
        """Return the coordinates of the mesh lines, x of those across the channel and y of those along it.

        Raises:
            InputError: if the degree is above 1 and the lines miss a segment's end: a kink inside a cell spoils every
                order but the first.
        """
        geometry = problem.geometry
        x, y = (
            np.linspace(0.0, end, n + 1) for end, n in zip((geometry.length, geometry.height), self.cells, strict=True)
        )
        missed = np.abs(geometry.edges[:, None] - x).min(axis=1) > 1e-9 * geometry.length
        if self.degree > 1 and missed.any():
            raise InputError(
                f"mesh of {self.cells[0]} x {self.cells[1]} cells: expected lines at the segments' ends for degree "
                f"{self.degree}, found none at x = {geometry.edges[missed][0]:.6g}"
            )
        return x, y


Discretisation = AlignedMesh | UniformMesh

PAPER = UniformMesh()
"""The paper's mesh (section 6.2): 340,000 linear triangles of legs 0.01."""

MESHES = ("aligned", "paper")
"""Names of meshes that configurations know."""


def discretisation(problem: FluxProblem, mesh: str = "aligned") -> Discretisation:
    """Return the discretisation on which the samples of a problem are solved, by the name of a mesh in ``MESHES``.

    A linear problem is solved once for all samples and can afford more cells. For the others the second layer is put so
    that the sensors lie inside cells, which keeps the error below 1e-6 with fewer unknowns.

    Raises:
        InputError: if no mesh has that name.
    """
    if mesh not in MESHES:
        raise InputError(f"mesh: expected one of {', '.join(MESHES)}, found {mesh!r}")
    if mesh == "paper":
        return PAPER
    return AlignedMesh() if problem.is_linear else AlignedMesh(layers=(0.2, 0.5), tail=1)


def _refine(lines: Floats, pieces: int) -> Floats:
    """Cut every interval between lines into so many equal pieces."""
    knots = np.arange(len(lines), dtype=np.float64)
    return np.interp(np.linspace(0.0, knots[-1], pieces * (len(lines) - 1) + 1), knots, lines)
