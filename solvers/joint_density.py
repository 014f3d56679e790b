"""The three joint densities p(x, y) of section 6.1 (Eqs 47-49): Tanh, Bimodal and Spiral.

The paper's equations are lost; these are the definitions in the authors' public code for the same names. Both x
and y are scalars without units. Each density knows its joint sampler and its exact conditional p(x | y), which is
what makes the floor of Table 2 computable.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fluxbench import streams

Floats = NDArray[np.float64]


class JointDensity(ABC):
    """A joint density of two scalars; ``name`` is how configurations and files call it."""

    name: ClassVar[str]
    width: ClassVar[int]
    """Uniform numbers that one joint sample consumes."""

    y_values: ClassVar[tuple[float, ...]]
    """Where Table 2 conditions (choice: the paper's values are lost)."""

    x_units: ClassVar[str] = "1"
    y_units: ClassVar[str] = "1"

    @abstractmethod
    def joint(self, u: Floats) -> tuple[Floats, Floats]:
        """Map uniforms of shape (N, width) to samples x and y of shape (N,)."""

    @abstractmethod
    def conditional(self, y: float, u: Floats) -> Floats:
        """Map uniforms of shape (N, 2) to exact samples of p(x | y), shape (N,)."""

    @abstractmethod
    def log_conditional(self, x: Floats, y: float) -> Floats:
        """Log p(x | y), natural, for x of shape (N,)."""

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Joint samples ``start`` to ``stop - 1``: x of shape (N, 1) and y of shape (N, 1)."""
        x, y = self.joint(streams.uniforms(seed, f"{self.name}/{split}", start, stop, self.width))
        return x[:, None], y[:, None]

    def sample_conditional(self, y: float, count: int, seed: int, stream: str = "exact") -> Floats:
        """``count`` exact samples of p(x | y), shape (count,)."""
        return self.conditional(y, streams.uniforms(seed, f"{self.name}/{stream}/{y!r}", 0, count, 2))
