"""Heun's method on the probability-flow ODE in the noise ratio (Karras et al. 2022, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, override

from fluxbench.diffusion.integrators.denoising_grid import DenoisingGrid
from fluxbench.diffusion.integrators.integrator import Integrator, Samples
from fluxbench.lazy import LazyModule

if TYPE_CHECKING:
    import torch

    from fluxbench.diffusion.formulations import Formulation
    from fluxbench.diffusion.integrators.integrator import Normals, Score
else:
    torch = LazyModule("torch")


@dataclass(frozen=True)
class Heun(Integrator):
    """dx~/dsigma~ = (x~ - D)/sigma~ by the trapezoidal rule with Euler's prediction; the last step is Euler's.

    Attributes:
        alpha: 0, since it integrates the ODE.
        steps: two evaluations each, one in the last.
    """

    method: ClassVar[str] = "heun"
    title: ClassVar[str] = "Heun's method"

    steps: int

    @classmethod
    @override
    def ladder(cls) -> Sequence[Self]:
        return [cls(0.0, steps) for steps in (8, 16, 32)]

    @property
    @override
    def effort(self) -> str:
        return f"in {self.steps:,} steps"

    @override
    def integrate(self, score: Score, formulation: Formulation, normals: Normals, t_min: float) -> Samples:
        grid, x = DenoisingGrid.start(formulation, normals, self.steps, t_min)
        rows = torch.arange(len(x), device=x.device)
        for i in range(self.steps - 1):
            step = grid.noise_ratio[i + 1] - grid.noise_ratio[i]
            slope = (x - grid.denoise(score, x, i, rows)) / grid.noise_ratio[i]
            euler = (x + step * slope).to(x.dtype)
            ahead = (euler - grid.denoise(score, euler, i + 1, rows)) / grid.noise_ratio[i + 1]
            x = (x + 0.5 * step * (slope + ahead)).to(x.dtype)
        return Samples(grid.denoise(score, x, self.steps - 1, rows), 2.0 * self.steps - 1.0)
