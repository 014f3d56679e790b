"""Joint densities p(x, y) of two scalars, such as the three of section 6.1 (Eqs 47-49): Tanh, Bimodal and Spiral.

The paper's equations are lost; these are the definitions in the authors' public code for the same names. Both x
and y are scalars without units. Each density knows its joint sampler and its exact conditional p(x | y), which is
what makes the floor of Table 2 computable.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from fluxbench import streams
from fluxbench.arrays import Floats, Reals
from fluxbench.solvers.problem import Family


class JointDensity(ABC):
    """A joint density of two scalars; ``name`` is how configurations and files call it."""

    name: ClassVar[str]
    width: ClassVar[int]
    """Uniform numbers that one joint sample consumes."""

    y_values: ClassVar[tuple[float, ...]]
    """Values of y on which Table 2 conditions (choice: the paper's are lost)."""

    family: ClassVar[Family] = "densities"
    x_size: ClassVar[int] = 1
    y_size: ClassVar[int] = 1
    x_units: ClassVar[str] = "1"
    y_units: ClassVar[str] = "1"
    noisy: ClassVar[bool] = False
    normalised: ClassVar[bool] = False
    sensors_on: ClassVar[float] = 1.0
    closed_form: ClassVar[bool] = True
    solver: ClassVar[str] = __name__
    operator: ClassVar[None] = None

    @abstractmethod
    def joint(self, u: Floats) -> tuple[Floats, Floats]:
        """Map uniform numbers of shape (N, width) to joint samples x and y, each of shape (N,)."""

    @abstractmethod
    def conditional(self, y: float, u: Floats) -> Floats:
        """Map uniform numbers of shape (N, 2) to exact samples of p(x | y) at one y, shape (N,)."""

    @abstractmethod
    def log_conditional(self, x: Floats, y: float) -> Floats:
        """Return the natural logarithm of p(x | y) for x of shape (N,) at one y, shape (N,)."""

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Draw joint samples ``start`` to ``stop - 1`` of a split: x of shape (N, 1) and y of shape (N, 1)."""
        x, y = self.joint(streams.uniforms(seed, f"{self.name}/{split}", start, stop, self.width))
        return x[:, None], y[:, None]

    def sample_conditional(self, y: float, count: int, seed: int, stream: str = "exact") -> Floats:
        """Draw ``count`` exact samples of p(x | y) at one y from a stream of random numbers, shape (count,)."""
        return self.conditional(y, streams.uniforms(seed, f"{self.name}/{stream}/{y!r}", 0, count, 2))

    @property
    def prior(self) -> "MarginalPrior":
        """The marginal density p(x)."""
        return MarginalPrior(self)

    def simulator(self, mesh: str = "aligned") -> "JointDensity":  # noqa: ARG002 - there is nothing to solve
        """Return the density itself, which needs no mesh."""
        return self

    def definition(self, mesh: str) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: the name says it all."""
        return {}

    def admissible(self, x: Reals) -> Reals:
        """Return samples as they are: any number is possible."""
        return x


@dataclass(frozen=True)
class MarginalPrior:
    """p(x), by dropping y of joint samples.

    Attributes:
        density: p(x, y).
    """

    density: JointDensity

    def sample(self, seed: int, stream: str, start: int, stop: int) -> Floats:
        """Draw samples ``start`` to ``stop - 1`` of a random stream, shape (stop - start, 1)."""
        return self.density.joint(streams.uniforms(seed, stream, start, stop, self.density.width))[0][:, None]
