"""Where the mesh lines run, and how high the polynomials between them are; no dolfinx needed to know it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.problems import FluxProblem

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Discretisation:
    """A mesh of quadrilaterals aligned with the problem, and the degree of the polynomials on it.

    Attributes:
        degree: polynomial degree p; nodes are Gauss-Lobatto-Legendre points.
        tail: cells along x beyond the last flux segment.
        wall_layers: distances from a wall of the mesh lines between it and the sensor rows; the solution is rough where
            segments meet.
        refinement: every interval between mesh lines is cut into this many.
    """

    degree: int = 6
    tail: int = 2
    wall_layers: tuple[float, ...] = (0.25,)
    refinement: int = 1

    def lines(self, problem: FluxProblem) -> tuple[Floats, Floats]:
        """Coordinates of the mesh lines along x and y."""
        geometry = problem.geometry
        x = np.concatenate([geometry.edges, np.linspace(geometry.flux_length, geometry.length, self.tail + 1)[1:]])
        layers = [*self.wall_layers, *(geometry.height - a for a in self.wall_layers)]
        y = np.unique([0.0, geometry.height, *layers, *problem.sensor_rows])
        return _refine(x, self.refinement), _refine(y, self.refinement)


PRODUCTION = Discretisation()


def _refine(lines: Floats, pieces: int) -> Floats:
    knots = np.arange(len(lines), dtype=np.float64)
    return np.interp(np.linspace(0.0, knots[-1], pieces * (len(lines) - 1) + 1), knots, lines)
