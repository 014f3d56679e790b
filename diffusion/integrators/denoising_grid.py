"""The coordinate that all formulations share, and a grid of times in it.

With x~ = x/m, lambda = -log(sigma/m) and the denoiser D = E[x_0 | x~] = x~ + (sigma^2/m) s the family of samplers is

    dx~ = -(1 + alpha) (x~ - D) dlambda + sqrt(2 alpha) sigma~ dW_lambda,

linear but for D, and D changes slowly. Steps are uniform in log(1 + (3 m/sigma)^(1/2)): uniform in lambda where sigma/m
is below the width of data of unit variance, ever longer above it, where D hardly changes. On Gaussians of any width
that halves the error of steps uniform in lambda (ours). Integrators that use the grid end with x_0 = D at t_min, as
Karras et al. do, so that no noise is left in a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fluxbench.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fluxbench.diffusion.formulations import Formulation
    from fluxbench.diffusion.integrators.integrator import Normals, Score
else:
    torch = LazyModule("torch")

TURN = 3.0
"""sigma/m about which the steps begin to grow."""


@dataclass(frozen=True)
class DenoisingGrid:
    """The times at which D is evaluated, and what the formulation says of them; each of shape (steps,), float64."""

    t: Tensor
    noise_ratio: Tensor
    m: Tensor
    sigma: Tensor

    @classmethod
    def start(cls, formulation: Formulation, normals: Normals, steps: int, t_min: float) -> tuple[Self, Tensor]:
        """Return the grid from t = 1 to ``t_min``, and x~ (B, d) at its start."""
        noise = normals()
        ends = torch.tensor([1.0, t_min], dtype=torch.float64, device=noise.device)
        first, last = torch.log1p((TURN / formulation.noise_ratio(ends)) ** 0.5)
        shares = torch.linspace(0.0, 1.0, steps, dtype=torch.float64, device=noise.device)
        noise_ratio = TURN / torch.expm1(first + shares * (last - first)) ** 2
        t = formulation.time(noise_ratio)
        t[0] = 1.0
        grid = cls(t, noise_ratio, formulation.m(t), formulation.sigma(t))
        return grid, (noise * grid.noise_ratio[0]).to(noise.dtype)

    def denoise(self, score: Score, x: Tensor, i: int, rows: Tensor) -> Tensor:
        """Return D at x~ (B, d) and the i-th time, shape (B, d): x~ + (sigma^2/m) s."""
        at = score((self.m[i] * x).to(x.dtype), self.t[i].expand(len(x)), rows)
        return (x + self.sigma[i] * self.noise_ratio[i] * at).to(x.dtype)
