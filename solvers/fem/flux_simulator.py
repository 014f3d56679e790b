"""What every solver of a flux problem answers, and the pairs that follow from it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem


class UnsolvedError(InputError):
    """A sample that cannot be solved.

    Attributes:
        sample: its index in the batch.
        why: what was expected and what was found.
    """

    def __init__(self, sample: int, why: str) -> None:
        super().__init__(sample, why)  # both, so that it can travel between ranks
        self.sample, self.why = sample, why

    def __str__(self) -> str:
        return f"cannot be solved: {self.why}"


@dataclass(frozen=True)
class FluxSimulator(ABC):
    """The map F from a flux to noise-free sensor values, for batches of samples, with its derivatives.

    Attributes:
        problem: the flux problem.
        operator: the sensor operator G, shape (n, d), in concentration per unit of flux, where F(x) = G x; else None.
    """

    problem: FluxProblem
    operator: Floats | None

    @abstractmethod
    def measure(self, flux: Floats) -> Floats:
        """Return sensor values (B, n) of fluxes (B, d).

        Raises:
            UnsolvedError: naming the first sample of the batch that cannot be solved.
        """

    @abstractmethod
    def jacobian(self, flux: Floats) -> Floats:
        """Return the derivatives of the sensor values with respect to the fluxes (B, d), shape (B, n, d)."""

    @abstractmethod
    def hessian(self, flux: Floats) -> Floats:
        """Return the second derivatives with respect to the fluxes (B, d), shape (B, n, d, d)."""

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Return samples ``start`` to ``stop - 1`` of a split: fluxes (N, d) and noise-free sensor values (N, n).

        Raises:
            InputError: naming the sample that cannot be solved.
        """
        name = self.problem.name
        x = self.problem.prior.sample(seed, f"{name}/{split}/flux", start, stop)
        try:
            return x, self.measure(x)
        except UnsolvedError as error:
            raise InputError(f"{name}: {split} sample {start + error.sample} of seed {seed}: {error}") from error
