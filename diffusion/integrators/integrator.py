"""One family of samplers, from the probability-flow ODE to the reverse SDE (sections 2.4-2.5, Eqs 22-28, 37-41).

With tau = 1 - t and coefficients taken at t = 1 - tau, for every alpha >= 0 the process

    dx = [ (beta/2) x + (1 + alpha)/2 g2 s ] dtau + sqrt(alpha g2) dW,    x(tau = 0) ~ N(0, terminal_std^2 I),

has the marginal densities of the forward process: alpha = 0 is the probability-flow ODE, alpha = 1 the reverse SDE
of Anderson (1982) and Song et al. (2021). What limits accuracy is then the score s and the integrator.

Every row of a batch is integrated on its own, so its result depends on what else is in the batch by rounding alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from torch import Tensor

    from fluxbench.diffusion.formulations import Formulation

type Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""score(x, t, rows): the score at x (B, d) and times t (B,); ``rows`` (B,) says which rows of the batch these are, so
that a conditional score can pick their measurements."""

type Normals = Callable[[], Tensor]
"""Each call yields the next standard normal numbers for the whole batch, shape (B, d)."""


@dataclass(frozen=True)
class Samples:
    """Samples of p_0 and what they cost.

    Attributes:
        x: shape (B, d).
        evaluations: network evaluations a sample, the mean over the batch.
    """

    x: Tensor
    evaluations: float


def sampler_label(alpha: float) -> str:
    """Return the paper's word for alpha = 0, ODE, or for the rest of the family, SDE."""
    return "ODE" if alpha == 0.0 else "SDE"


@dataclass(frozen=True)
class Integrator(ABC):
    """A method that integrates the reverse process, with its numbers. A subclass overrides :meth:`integrate`.

    A subclass is one file in ``diffusion/integrators/``; settings, reports and studies find it there.

    Attributes:
        alpha: 0 for the probability-flow ODE, above 0 for an SDE.
    """

    method: ClassVar[str]
    """Name in settings, files and tables."""
    title: ClassVar[str]
    """Name in texts."""
    ode: ClassVar[bool] = True
    """Whether it integrates the ODE."""
    sde: ClassVar[bool] = False
    """Whether it integrates SDEs."""

    alpha: float

    def __post_init__(self) -> None:
        if not self.alpha >= 0.0:
            raise ValueError(f"alpha must not be negative, found {self.alpha}")
        if not (self.ode if self.alpha == 0.0 else self.sde):
            raise ValueError(f"{self.title} does not integrate the {self.label}: alpha = {self.alpha:g}")

    @abstractmethod
    def integrate(self, score: Score, formulation: Formulation, normals: Normals, t_min: float) -> Samples:
        """Integrate from t = 1 to ``t_min`` and return samples of p_0, shape (B, d).

        Args:
            score: of the model, or exact.
            formulation: the forward process.
            normals: the only source of random numbers, in the order in which they are used.
            t_min: at which time to stop, above 0.

        Raises:
            RuntimeError: if a row cannot be integrated.
        """

    @property
    @abstractmethod
    def effort(self) -> str:
        """What is spent, in words, such as ``in 16 steps``."""

    @classmethod
    @abstractmethod
    def ladder(cls) -> Sequence[Self]:
        """Return the integrator at several efforts, for accuracy against cost."""

    @classmethod
    def configured(cls, alpha: float, settings: Mapping[str, Any]) -> Self:
        """Return the integrator with the numbers of the settings' table ``sampling``.

        ``steps`` are those of ``ode_steps`` or ``sde_steps``; other numbers have the setting of their own name.
        """
        steps = settings["ode_steps" if alpha == 0.0 else "sde_steps"]
        own = {each.name for each in fields(cls)} - {"alpha", "steps"}
        numbers = {name: settings[name] for name in own}
        if "steps" in {each.name for each in fields(cls)}:
            numbers["steps"] = steps
        return cls(alpha=alpha, **numbers)

    @property
    def label(self) -> str:
        """ODE or SDE."""
        return sampler_label(self.alpha)

    @property
    def description(self) -> str:
        """Sampler, method and effort, for texts beneath tables."""
        return f"{self.label} by {self.title} {self.effort}"

    @property
    def slug(self) -> str:
        """Method and alpha in the name of a file."""
        return f"{self.method}_alpha-{self.alpha:g}"

    def specification(self) -> dict[str, Any]:
        """Return what determines the samples of a network, as JSON has it."""
        return {"method": self.method, **asdict(self)}
