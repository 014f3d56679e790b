"""Exponential Adams-Bashforth method in lambda = -log(sigma/m): D is extrapolated by a polynomial.

Over a step h in lambda the linear part of the process, the polynomial P through the last values of D, and the noise are
integrated exactly, with a = 1 + alpha:

    x~' = e^(-a h) x~ + a int_0^h e^(-a (h - s)) P(s) ds + sigma~' sqrt(1 - e^(-2 alpha h)) z.

For the ODE P is of degree two, through three values, for an SDE of degree one: its noise leaves nothing to gain. In
time rather than lambda, and for the ODE, this is DEIS (Zhang and Chen 2023, arXiv 2204.13902); with a midpoint rule in
place of the integral it is DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095). The first step of the ODE is taken again
when the second value is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, override

from fluxbench.diffusion.integrators.denoising_grid import DenoisingGrid
from fluxbench.diffusion.integrators.integrator import Integrator, Samples
from fluxbench.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fluxbench.diffusion.formulations import Formulation
    from fluxbench.diffusion.integrators.integrator import Normals, Score
else:
    torch = LazyModule("torch")


@dataclass(frozen=True)
class Exponential(Integrator):
    """The exponential multistep method, one evaluation a step, of order 3 for the ODE and 2 (weak) for SDEs.

    Attributes:
        alpha: 0 for the ODE, above 0 for an SDE.
        steps: evaluations of the network.
    """

    method: ClassVar[str] = "exponential"
    title: ClassVar[str] = "the exponential multistep method"
    sde: ClassVar[bool] = True

    steps: int

    @classmethod
    @override
    def ladder(cls) -> Sequence[Self]:
        ode = [cls(0.0, steps) for steps in (4, 6, 8, 12, 16, 32)]
        return [*ode, *(cls(1.0, steps) for steps in (8, 16, 32, 64))]

    @property
    @override
    def effort(self) -> str:
        return f"of order {self.order} in {self.steps:,} steps"

    @property
    def order(self) -> int:
        """Order of convergence, weak for SDEs, and values of D that the polynomial goes through."""
        return 3 if self.alpha == 0.0 else 2

    @override
    def integrate(self, score: Score, formulation: Formulation, normals: Normals, t_min: float) -> Samples:
        alpha, steps = self.alpha, self.steps
        grid, x = DenoisingGrid.start(formulation, normals, steps, t_min)
        rows = torch.arange(len(x), device=x.device)
        level, a = -torch.log(grid.noise_ratio), 1.0 + alpha
        stds = grid.noise_ratio[1:] * torch.sqrt(-torch.expm1(-2.0 * alpha * level.diff()))

        def step(x: Tensor, i: int, places: Tensor, denoised: list[Tensor]) -> Tensor:
            """From level i to the next one, with the polynomial through D at some places."""
            h = level[i + 1] - level[i]
            x = torch.exp(-a * h).to(x.dtype) * x
            for weight, value in zip(_weights(places - level[i], h, a).to(x.dtype), denoised, strict=True):
                x = x + weight * value
            return x

        start, seen = x, list["Tensor"]()
        for i in range(steps - 1):
            seen = [*seen[1 - self.order :], grid.denoise(score, x, i, rows)]
            if i == 1 and alpha == 0.0:  # with one value the first step was of order one: again, with two
                x = step(start, 0, level[:2], seen)
            x = step(x, i, level[i + 1 - len(seen) : i + 1], seen)
            if alpha > 0.0:
                x = x + stds[i].to(x.dtype) * normals()
        return Samples(grid.denoise(score, x, steps - 1, rows), float(steps))


def _weights(places: Tensor, h: Tensor, a: float) -> Tensor:
    """Weights w (k,) with sum_i w_i P(places_i) = a int_0^h e^(-a (h - s)) P(s) ds for polynomials P of degree k - 1.

    The integrals of s^j are I_0 = 1 - e^(-a h) and I_j = h^j - (j/a) I_(j-1).
    """
    integrals = [-torch.expm1(-a * h)]
    for j in range(1, len(places)):
        integrals.append(h**j - j / a * integrals[-1])
    powers = torch.stack([places**j for j in range(len(places))])
    return torch.linalg.solve(powers, torch.stack(integrals))
