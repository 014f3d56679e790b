"""Euler-Maruyama with uniform steps in t, the paper's SDE sampler (Eqs 26, 39)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

from fluxbench.diffusion.integrators.integrator import Integrator, Samples
from fluxbench.lazy import LazyModule

if TYPE_CHECKING:
    import torch

    from fluxbench.diffusion.formulations import Formulation
    from fluxbench.diffusion.integrators.integrator import Normals, Score
else:
    torch = LazyModule("torch")


@dataclass(frozen=True)
class EulerMaruyama(Integrator):
    """x' = x + h [ (beta/2) x + (1 + alpha)/2 g2 s ] + sqrt(alpha h g2) z, which ends at t_min.

    Attributes:
        alpha: 0 for the ODE, above 0 for an SDE.
        steps: from t = 1 to t_min, uniform in t; one evaluation each.
    """

    method: ClassVar[str] = "euler-maruyama"
    title: ClassVar[str] = "Euler-Maruyama"
    sde: ClassVar[bool] = True

    steps: int

    @classmethod
    @override
    def configured(cls, alpha: float, settings: Mapping[str, Any]) -> Self:
        return cls(alpha, settings["euler_maruyama_steps"])

    @classmethod
    @override
    def ladder(cls) -> Sequence[Self]:
        return [cls(1.0, steps) for steps in (16, 64, 256)]

    @property
    @override
    def effort(self) -> str:
        return f"in {self.steps:,} steps"

    @override
    def integrate(self, score: Score, formulation: Formulation, normals: Normals, t_min: float) -> Samples:
        alpha, steps = self.alpha, self.steps
        x = formulation.terminal_std * normals()
        rows = torch.arange(len(x), device=x.device)
        times = torch.linspace(1.0, t_min, steps + 1, dtype=torch.float64, device=x.device)
        h = (1.0 - t_min) / steps
        half_beta = 0.5 * formulation.beta(times)
        g2 = formulation.g2(times)
        for i in range(steps):
            drift = half_beta[i] * x + 0.5 * (1.0 + alpha) * g2[i] * score(x, times[i].expand(len(x)), rows)
            x = (x + h * drift).to(x.dtype)
            if alpha > 0.0:
                x = x + ((alpha * h * g2[i]) ** 0.5).to(x.dtype) * normals()
        return Samples(x, float(steps))
