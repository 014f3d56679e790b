"""Which solver a flux problem gets, and the samples that it makes."""

from dataclasses import dataclass
from typing import Protocol

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import Floats, FluxProblem
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.discretisation import discretisation
from fluxbench.solvers.fem.linear import LinearSimulator, sensor_operator
from fluxbench.solvers.fem.nonlinear import UnsolvedError, linearise


class Simulator(Protocol):
    """The measurement map of a flux problem, for batches of samples."""

    @property
    def operator(self) -> Floats | None:
        """The sensor operator (n, d) if the map is linear."""
        ...

    def measure(self, flux: Floats) -> Floats:
        """Noise-free sensor values (B, n) of fluxes (B, d)."""
        ...

    def jacobian(self, flux: Floats) -> Floats:
        """Derivatives of the sensor values with respect to the fluxes (B, d), shape (B, n, d)."""
        ...

    def hessian(self, flux: Floats) -> Floats:
        """Second derivatives of the sensor values with respect to the fluxes (B, d), shape (B, n, d, d)."""
        ...


def simulator(problem: FluxProblem, mesh: str = "aligned") -> Simulator:
    """The simulator of a problem on one of ``discretisation.MESHES``.

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


@dataclass(frozen=True)
class FluxSource:
    """Pairs (x, y) of flux and noise-free sensor values."""

    problem: FluxProblem
    simulator: Simulator
    x_units: str = "flux"
    y_units: str = "concentration"

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Samples ``start`` to ``stop - 1`` of a split: fluxes (N, d) and noise-free sensor values (N, n).

        Raises:
            InputError: naming the sample that cannot be solved.
        """
        x = self.problem.prior.sample(seed, f"{self.problem.name}/{split}/flux", start, stop)
        try:
            return x, self.simulator.measure(x)
        except UnsolvedError as error:
            raise InputError(
                f"{self.problem.name}: {split} sample {start + error.sample} of seed {seed}: {error}"
            ) from error
