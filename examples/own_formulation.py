"""A formulation of one's own: the cosine schedule, m = cos(w t) and sigma = sin(w t).

From dm/dt = -(beta/2) m and d(sigma^2)/dt = -beta sigma^2 + g2 follows beta = g2 = 2 w tan(w t), since
m^2 + sigma^2 = 1. A formulation is a frozen dataclass of functions of time; with a name in ``FORMULATIONS`` every
recipe and sampler takes it. Here its probability-flow ODE carries noise to a Gaussian whose score is known.
"""

import math
from dataclasses import dataclass
from typing import override

import torch
from torch import Tensor

from fluxbench.diffusion.formulations import FORMULATIONS, Formulation, formulation
from fluxbench.diffusion.integrators import Exponential

MEAN, STD = 0.7, 0.4


@dataclass(frozen=True)
class Cosine(Formulation):
    """The cosine schedule, all but the last half per cent of a quarter turn."""

    w: float = 0.995 * math.pi / 2.0

    @property
    @override
    def name(self) -> str:
        return "cosine"

    @override
    def m(self, t: Tensor) -> Tensor:
        return torch.cos(self.w * t)

    @override
    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(self.w * t)

    @override
    def beta(self, t: Tensor) -> Tensor:
        return 2.0 * self.w * torch.tan(self.w * t)

    @override
    def g2(self, t: Tensor) -> Tensor:
        return self.beta(t)

    @override
    def noise_ratio(self, t: Tensor) -> Tensor:
        return torch.tan(self.w * t)

    @override
    def time(self, noise_ratio: Tensor) -> Tensor:
        return torch.atan(noise_ratio) / self.w


FORMULATIONS["cosine"] = lambda sigma_max: Cosine()  # which needs no sigma_max


def main(count: int = 100_000) -> tuple[float, float]:
    """Sample N(MEAN, STD^2) by its exact score, and return mean and standard deviation of the samples."""
    process = formulation("cosine", sigma_max=1.0)

    def score(x: Tensor, t: Tensor, _rows: Tensor) -> Tensor:
        m, sigma = process.m(t)[:, None], process.sigma(t)[:, None]
        return -(x - m * MEAN) / (m**2 * STD**2 + sigma**2)

    generator = torch.Generator().manual_seed(0)
    normals = lambda: torch.randn(count, 1, dtype=torch.float64, generator=generator)  # noqa: E731
    x = Exponential(0.0, 32).integrate(score, process, normals, process.sampling_end(0.0, 2e-3)).x
    return x.mean().item(), x.std().item()


if __name__ == "__main__":
    mean, std = main()
    print(f"mean {mean:.3f} (exact {MEAN}), standard deviation {std:.3f} (exact {STD})")
