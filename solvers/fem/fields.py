"""Concentration in the whole channel, for pictures; sensors alone are what data sets hold."""

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem.assembly import assemble
from fluxbench.solvers.fem.discretisation import discretisation
from fluxbench.solvers.fem.nonlinear import linearise


def fields(problem: FluxProblem, flux: Floats) -> tuple[Floats, Floats, Floats]:
    """Solve for the concentration u of fluxes (B, d) at the nodes of the aligned mesh, which are a grid.

    Returns:
        Coordinates along the channel (K,) and across it (L,), and u, shape (B, L, K).

    Raises:
        InputError: if a sample cannot be solved.
    """
    system = assemble(problem, discretisation(problem))
    if problem.is_linear:
        load = system.load @ flux.T
        states = system.linearised(np.zeros(len(system.mass))).solve(load, np.empty_like(load))
    else:
        states = linearise(system, points=1).states(flux)
    x, y = (np.unique(coordinate.round(9)) for coordinate in system.nodes.T)
    inside = states.T.reshape(len(flux), len(x), len(y))  # unknowns run across the channel first
    inlet = np.zeros((len(flux), 1, len(y)))
    return np.concatenate([[0.0], x]), y, np.concatenate([inlet, inside], axis=1).transpose(0, 2, 1)
