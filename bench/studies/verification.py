"""How good the forward solvers are: ``fluxbench verify``.

A handful of samples is solved on the production mesh, on the paper's mesh, by stock SNES on the paper's mesh, and on
refined meshes, and the sensor values are compared with those of the finest one. Beside the errors stand the observed
orders, the mass balance, and the measurement map's Jacobian against finite differences.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fluxbench.provenance import provenance
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.discretisation import PAPER, AlignedMesh, Discretisation, discretisation
from fluxbench.solvers.fem.linear import sensor_operator
from fluxbench.solvers.fem.nonlinear import TOLERANCE, NonlinearSimulator, linearise, newton
from fluxbench.solvers.fem.simulators import simulator as production_simulator
from fluxbench.solvers.fem.stock import StockScript
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.storage import write_csv, write_text

Floats = NDArray[np.float64]

COLUMNS = ("problem", "quantity", "of", "unknowns", "value", "goal")
LAYERS = (0.05, 0.125, 0.25, 0.375)
FINEST = AlignedMesh(degree=9, layers=LAYERS)
"""The reference; the one below it says how far it is from the limit."""
NEXT_FINEST = AlignedMesh(degree=8, layers=LAYERS)
DEGREES = (2, 3, 4, 5, 6, 7)
TRIANGLES = ((85, 20), (170, 40), (340, 80), (850, 200))
STEP = 1e-3
"""Of the central differences, in units of flux; their own error is of its square."""
GOAL = 1e-6


@dataclass(frozen=True)
class Check:
    """One number: what was measured, of which problem and mesh, and what it should be below, if anything is asked."""

    problem: str
    quantity: str
    of: str
    value: float
    unknowns: int | None = None
    goal: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it is what it should be."""
        return self.goal is None or self.value < self.goal


def verify(root: Path, problems: Sequence[str], samples: int, say: Callable[[str], None]) -> bool:
    """Check flux problems and write the tables under ``results/verification``.

    Args:
        root: where ``results`` lies.
        problems: names of flux problems.
        samples: how many samples of the prior are compared.
        say: told each line of the table as it comes.

    Returns:
        Whether every goal is met.
    """
    made, rows = provenance(), []
    for name in problems:
        for check in checks(FLUX_PROBLEMS[name], samples):
            say(_line(check))
            rows.append(check)
    folder = root / "results" / "verification"
    write_csv(folder / "verification.csv", [_row(check) for check in rows], COLUMNS)
    write_text(folder / "verification.md", _page(rows, samples))
    write_text(folder / "provenance.json", json.dumps({"provenance": made, "samples": samples}, indent=1) + "\n")
    return all(check.passed for check in rows)


def checks(problem: FluxProblem, samples: int) -> list[Check]:
    """Every number for one problem."""
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
    simulator = production_simulator(problem)  # with all its linearisation points
    y = simulator.measure(flux)
    script = StockScript(problem)
    stock = error(np.array([script.measure(q) for q in flux]))
    found = [
        of_mesh(NEXT_FINEST, "the reference one degree lower"),
        Check(problem.name, "error at the sensors", "production mesh", error(y), len(system.mass), min(GOAL, stock)),
        Check(problem.name, "error at the sensors", "stock SNES, paper's mesh", stock, script.unknowns),
    ]

    degrees = [replace(production, degree=p) for p in DEGREES if isinstance(production, AlignedMesh)]
    found += [of_mesh(mesh_of, f"production mesh, degree {mesh_of.degree}") for mesh_of in degrees]
    triangles = [of_mesh(replace(PAPER, cells=cells), f"{cells[0]} x {cells[1]} P1") for cells in TRIANGLES]
    found += triangles
    for coarse, fine, (m, n) in zip(triangles[:-1], triangles[1:], pairwise(TRIANGLES), strict=True):
        order = float(np.log(coarse.value / fine.value) / np.log(n[0] / m[0]))
        of = f"{m[0]} x {m[1]} to {n[0]} x {n[1]} P1"
        found.append(Check(problem.name, "order observed", of, order))
        found.append(Check(problem.name, "its distance from 2", of, abs(order - 2.0), goal=0.2))

    # The discrete problem conserves mass to rounding (a test holds it); what is left is where the iteration stops.
    if isinstance(simulator, NonlinearSimulator):
        states = simulator.states(flux).T
    else:
        states = np.array([newton(system, q) for q in flux])
    imbalance = max(system.imbalance(u, q) for u, q in zip(states, flux, strict=True))
    found.append(
        Check(problem.name, "mass imbalance", "production mesh", imbalance, len(system.mass), 10.0 * TOLERANCE)
    )

    steps = STEP * np.eye(problem.prior.size)
    differences = np.array(
        [(simulator.measure(q + steps) - simulator.measure(q - steps)).T / (2.0 * STEP) for q in flux]
    )
    jacobian = simulator.jacobian(flux)
    defect = float(np.linalg.norm(differences - jacobian) / np.linalg.norm(jacobian))
    found.append(Check(problem.name, "Jacobian less differences", "production mesh", defect, len(system.mass), 1e-6))
    return found


def _line(check: Check) -> str:
    goal = "" if check.goal is None else f"  (goal: below {check.goal:.1e}{'' if check.passed else ', MISSED'})"
    return f"{check.problem:<10} {check.quantity:<26} {check.of:<32} {check.value:9.2e}{goal}"


def _row(check: Check) -> dict[str, Any]:
    row = {name: getattr(check, name) for name in COLUMNS}
    return row | {name: f"{row[name]:.3e}" for name in ("value", "goal") if row[name] is not None}


def _page(rows: list[Check], samples: int) -> str:
    lines = [
        "# Verification of the forward solvers\n",
        f"Made by `fluxbench verify` with {samples} samples of the prior a problem; commit and versions:",
        "`provenance.json`. Errors are relative L2 norms of sensor values over all samples, against quadrilaterals of",
        f"degree {FINEST.degree} with {len(LAYERS)} layers at each wall. The production mesh's goal is {GOAL:.0e}, or",
        "stock SNES on the paper's mesh where that is better.\n",
        "| problem | quantity | of | unknowns | value | goal |",
        "|---|---|---|---|---|---|",
    ]
    for check in rows:
        unknowns = "" if check.unknowns is None else f"{check.unknowns:,}"
        goal = "" if check.goal is None else f"< {check.goal:.1e}{'' if check.passed else ' **missed**'}"
        lines.append(f"| {check.problem} | {check.quantity} | {check.of} | {unknowns} | {check.value:.2e} | {goal} |")
    return "\n".join(lines) + "\n"
