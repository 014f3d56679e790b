"""What every inverse problem of the suite answers: its name and sizes, its prior, how its pairs are simulated and
measured, and what is known of its posterior.

Nothing else asks what kind of problem it deals with. A problem is a small immutable object; its file in
``solvers/problems/`` is all there is of it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from fluxbench.arrays import Floats, Reals

Family = Literal["densities", "flux"]
"""Table of the configuration, and kind of recipe: section 6.1 of the paper, or sections 6.2 and 6.3."""
FAMILIES: tuple[Family, ...] = ("densities", "flux")


class Prior(Protocol):
    """The distribution of the inferred vector before anything is measured."""

    def sample(self, seed: int, stream: str, start: int, stop: int) -> Floats:
        """Draw samples ``start`` to ``stop - 1`` of a random stream, shape (stop - start, d)."""
        ...


class PairSimulator(Protocol):
    """What fills a data set with pairs (x, y)."""

    @property
    def operator(self) -> Floats | None:
        """The sensor operator, shape (n, d), where y is a linear function of x; else None."""
        ...

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Return samples ``start`` to ``stop - 1`` of a split: x (N, d), noise-free y (N, n), keyed by their indices.

        Raises:
            InputError: naming the sample that cannot be simulated.
        """
        ...


class Problem(Protocol):
    """An inverse problem: infer x of shape (d,) from a measurement y of shape (n,)."""

    @property
    def name(self) -> str:
        """Name in settings, files and tables."""
        ...

    @property
    def family(self) -> Family:
        """Where settings, recipes and the report have it."""
        ...

    @property
    def x_size(self) -> int:
        """Dimension d of the inferred vector."""
        ...

    @property
    def y_size(self) -> int:
        """Number n of readings in a measurement."""
        ...

    @property
    def x_units(self) -> str:
        """Units of the inferred vector."""
        ...

    @property
    def y_units(self) -> str:
        """Units of the readings."""
        ...

    @property
    def prior(self) -> Prior:
        """Distribution of x."""
        ...

    @property
    def noisy(self) -> bool:
        """Whether noise of a chosen level is added to clean readings; else y is random by itself."""
        ...

    @property
    def normalised(self) -> bool:
        """Whether x and y are normalised to [0, 1] by the extremes of the training split; else used as they are."""
        ...

    @property
    def sensors_on(self) -> float:
        """Probability that a sensor is on, independently of the others; 1 where all of them always are."""
        ...

    @property
    def y_values(self) -> tuple[float, ...] | None:
        """Values of a scalar y at which posteriors are asked for; None for the measurements of the test split."""
        ...

    @property
    def closed_form(self) -> bool:
        """Whether p(x | y) is known in closed form; else references are sampled by Monte Carlo."""
        ...

    @property
    def solver(self) -> str:
        """Module that :meth:`simulator` loads. MPI ranks load it together, since PETSc starts up collectively."""
        ...

    def simulator(self, mesh: str = "aligned") -> PairSimulator:
        """Return what simulates pairs, on one of the meshes of :mod:`fluxbench.solvers.fem.discretisation`.

        Raises:
            InputError: naming the problem, if it cannot be discretised or solved.
        """
        ...

    def definition(self, mesh: str) -> dict[str, Any]:
        """Return what determines the problem's pairs beside its name, seed and sizes, as JSON has it."""
        ...

    def admissible(self, x: Reals) -> Reals:
        """Return samples (..., d) with what cannot be put right: a flux below zero becomes zero."""
        ...


@dataclass(frozen=True)
class GivenPairs:
    """A problem of which pairs alone are known, such as a user's own: used as they are, nothing added, nothing off.

    Attributes:
        name: of the data set.
    """

    name: str
    family: ClassVar[Family] = "flux"
    noisy: ClassVar[bool] = True
    normalised: ClassVar[bool] = False
    sensors_on: ClassVar[float] = 1.0

    def admissible(self, x: Reals) -> Reals:
        """Return samples as they are."""
        return x
