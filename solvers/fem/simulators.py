"""Which solver a flux problem gets."""

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.discretisation import discretisation
from fluxbench.solvers.fem.flux_simulator import FluxSimulator
from fluxbench.solvers.fem.linear import LinearSimulator, sensor_operator
from fluxbench.solvers.fem.nonlinear import linearise


def simulator(problem: FluxProblem, mesh: str = "aligned") -> FluxSimulator:
    """Assemble a problem on one of ``discretisation.MESHES`` and return its solver.

    On the paper's mesh a factorisation takes half a gigabyte, so that there is one linearisation point.

    Raises:
        InputError: naming the problem, if it cannot be discretised or solved.
    """
    try:
        system = assembly.assemble(problem, discretisation(problem, mesh))
        if problem.is_linear:
            return LinearSimulator(problem, sensor_operator(system))
        return linearise(system, points=1) if mesh == "paper" else linearise(system)
    except InputError as error:
        raise InputError(f"{problem.name} on the {mesh} mesh: {error}") from error
