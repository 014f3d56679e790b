"""How good the forward solvers are: against refined meshes and stock SNES.

A handful of samples is solved on the production mesh, on the paper's mesh, by stock SNES on the paper's mesh, and on
refined meshes, and the sensor values are compared with those of the finest one. Beside the errors stand the observed
orders, the mass balance, and the measurement map's Jacobian against finite differences.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.discretisation import PAPER, AlignedMesh, Discretisation, discretisation
from fluxbench.solvers.fem.linear import sensor_operator
from fluxbench.solvers.fem.nonlinear import TOLERANCE, NonlinearSimulator, linearise, newton
from fluxbench.solvers.fem.stock import StockScript
from fluxbench.solvers.problems import flux_problem, names
from fluxbench.storage import Row

TITLE = "Verification of the forward solvers"
PROBLEMS = [problem for problem in map(flux_problem, names("flux")) if problem.sensors_on == 1.0]
"""A problem with some sensors off is solved as the one that it was made from."""
SAMPLES = 8
"""Samples of the prior that are compared, of each problem."""
LAYERS = (0.05, 0.125, 0.25, 0.375)
FINEST = AlignedMesh(degree=9, layers=LAYERS)
"""The reference; the next one says how far it is from the limit."""
NEXT_FINEST = AlignedMesh(degree=8, layers=LAYERS)
DEGREES = (2, 3, 4, 5, 6, 7)
TRIANGLES = ((85, 20), (170, 40), (340, 80), (850, 200))
STEP = 1e-3
"""Of the central differences, in units of flux; their own error is of its square."""
GOAL = 1e-6
"""For the production mesh, or stock SNES on the paper's mesh where that is better."""


@dataclass(frozen=True)
class Check:
    """One number of one problem.

    Attributes:
        problem: name of the problem.
        quantity: what was measured.
        of: the mesh, or the pair of meshes.
        value: the number.
        unknowns: of the mesh; None for a pair.
        goal: what the value should be below; None if nothing is asked.
    """

    problem: str
    quantity: str
    of: str
    value: float
    unknowns: int | None = None
    goal: float | None = None

    @property
    def row(self) -> Row:
        """The number as a row of the table."""
        unknowns = {} if self.unknowns is None else {"unknowns": self.unknowns}
        return {"problem": self.problem, "quantity": self.quantity, "of": self.of} | unknowns | {"value": self.value}

    def reached(self, bar: float) -> Row:
        """Return the row of the table of goals."""
        what = f"{self.problem}: {self.quantity}, {self.of}"
        return goal(what, self.value, self.value < bar, f"below {bar:.1e}")


def measure(_options: Options) -> Findings:
    """Check every problem: one table of numbers, and their goals."""
    rows, goals = [], []
    for problem in PROBLEMS:
        for check in checks(problem, SAMPLES):
            rows.append(check.row)
            print(line(check.row), flush=True)
            if check.goal is not None:
                goals.append(check.reached(check.goal))
    title = (
        f"Errors: relative L2 norms of sensor values over {SAMPLES} samples of the prior, against quadrilaterals of "
        f"degree {FINEST.degree} with {len(LAYERS)} layers at each wall"
    )
    return {title: rows}, goals


def checks(problem: FluxProblem, samples: int) -> list[Check]:
    """Return every number of one problem, compared over so many samples of its prior."""
    flux = problem.prior.sample(0, f"{problem.name}/verification", 0, samples)

    def measured(mesh_of: Discretisation) -> tuple[Floats, assembly.System]:
        system = assembly.assemble(problem, mesh_of)
        if problem.is_linear:
            return flux @ sensor_operator(system).T, system
        return linearise(system, points=1).measure(flux), system

    exact, _ = measured(FINEST)

    def error(y: Floats) -> float:
        return float(np.linalg.norm(y - exact) / np.linalg.norm(exact))

    def of_mesh(mesh_of: Discretisation, name: str) -> Check:
        y, system = measured(mesh_of)
        return Check(problem.name, "error at the sensors", name, error(y), len(system.mass))

    production = discretisation(problem)
    system = assembly.assemble(problem, production)
    simulator = problem.simulator()  # with all its linearisation points
    y = simulator.measure(flux)
    script = StockScript(problem)
    stock = error(np.array([script.measure(q) for q in flux]))
    numbers = [
        of_mesh(NEXT_FINEST, "the reference one degree lower"),
        Check(problem.name, "error at the sensors", "production mesh", error(y), len(system.mass), min(GOAL, stock)),
        Check(problem.name, "error at the sensors", "stock SNES, paper's mesh", stock, script.unknowns),
    ]

    degrees = [replace(production, degree=p) for p in DEGREES if isinstance(production, AlignedMesh)]
    numbers += [of_mesh(mesh_of, f"production mesh, degree {mesh_of.degree}") for mesh_of in degrees]
    triangles = [of_mesh(replace(PAPER, cells=cells), f"{cells[0]} x {cells[1]} P1") for cells in TRIANGLES]
    numbers += triangles
    for coarse, fine, (m, n) in zip(triangles[:-1], triangles[1:], pairwise(TRIANGLES), strict=True):
        order = float(np.log(coarse.value / fine.value) / np.log(n[0] / m[0]))
        of = f"{m[0]} x {m[1]} to {n[0]} x {n[1]} P1"
        numbers.append(Check(problem.name, "order observed", of, order))
        numbers.append(Check(problem.name, "its distance from 2", of, abs(order - 2.0), goal=0.2))

    # The discrete problem conserves mass to rounding (a test holds it); what is left is where the iteration stops.
    if isinstance(simulator, NonlinearSimulator):
        states = simulator.states(flux).T
    else:
        states = np.array([newton(system, q) for q in flux])
    imbalance = max(system.imbalance(u, q) for u, q in zip(states, flux, strict=True))
    numbers.append(
        Check(problem.name, "mass imbalance", "production mesh", imbalance, len(system.mass), 10.0 * TOLERANCE)
    )

    steps = STEP * np.eye(problem.prior.size)
    differences = np.array(
        [(simulator.measure(q + steps) - simulator.measure(q - steps)).T / (2.0 * STEP) for q in flux]
    )
    jacobian = simulator.jacobian(flux)
    defect = float(np.linalg.norm(differences - jacobian) / np.linalg.norm(jacobian))
    numbers.append(Check(problem.name, "Jacobian less differences", "production mesh", defect, len(system.mass), 1e-6))
    return numbers
