"""The loss is least at the exact score, times have the stated distribution, and training finds a density."""

import math

import pytest
import torch
from torch import Tensor, nn

from fluxbench.diffusion.formulations import VarianceExploding, VariancePreserving
from fluxbench.diffusion.integrators import Exponential
from fluxbench.diffusion.losses import denoising_score_matching, log_normal_times
from fluxbench.diffusion.networks import FEATURES, PreconditionedNetwork, ResidualNetwork, ScoreNetwork, given

COUNT = 200_000
STD = 0.5


class ExactBody(nn.Module):
    """sigma s of N(0, STD^2) data, at one time; inputs are features, x."""

    def __init__(self, variance: float, sigma: float) -> None:
        super().__init__()
        self.factor = -sigma / variance

    def forward(self, u: Tensor) -> Tensor:
        return self.factor * u[:, FEATURES:]


@pytest.mark.parametrize("k", [1.0, 2.0, 4.0])
def test_the_minimum_of_the_loss(k: float) -> None:
    """E |sigma s + z|^2 = m^2 STD^2 / (m^2 STD^2 + sigma^2) a component at the exact score, more at any other."""
    process = VariancePreserving(k=k)
    t = torch.full((COUNT,), 0.4, dtype=torch.float64)
    m, sigma = process.m(t[0]).item(), process.sigma(t[0]).item()
    generator = torch.Generator().manual_seed(0)
    x0, z = (torch.randn(COUNT, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    y = torch.zeros(COUNT, 0, dtype=torch.float64)
    variance = m**2 * STD**2 + sigma**2
    losses = [
        denoising_score_matching(ScoreNetwork(process, ExactBody(off * variance, sigma)), STD * x0, y, t, z).item()
        for off in (1.0, 0.9, 1.1)
    ]
    assert losses[0] == pytest.approx(2.0 * m**2 * STD**2 / variance, rel=0.02)
    assert losses[0] < min(losses[1:])


def test_a_preconditioned_loss_counts_the_error_of_the_body() -> None:
    """An untrained residual network is exact for unit normals: F = 0, whose target has variance 1 at every level."""
    process = VarianceExploding(120.0)
    network = PreconditionedNetwork(process, ResidualNetwork(FEATURES + 1, 1, 2, 8).double())
    generator = torch.Generator().manual_seed(0)
    x0, z = (torch.randn(COUNT, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    for ratio in (1e-2, 1.0, 20.0):
        t = process.time(torch.full((COUNT,), ratio, dtype=torch.float64))
        loss = denoising_score_matching(network, x0, torch.zeros(COUNT, 0, dtype=torch.float64), t, z).item()
        assert loss == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("process", [VarianceExploding(120.0), VariancePreserving()], ids=lambda process: process.name)
def test_log_normal_times(process: VarianceExploding | VariancePreserving) -> None:
    mean, std, least = -1.0, 1.5, 1e-3
    u = (torch.arange(COUNT, dtype=torch.float64) + 0.5) / COUNT
    t = log_normal_times(process, u, mean, std, least)
    assert t.min() > 0.0
    assert t.max() <= 1.0
    level = torch.log(process.noise_ratio(t))
    assert (level.diff() >= 0.0).all()
    end = math.log(process.noise_ratio(torch.ones((), dtype=torch.float64)).item())
    normal = torch.distributions.Normal(mean, std)
    low, high = (normal.cdf(torch.tensor(edge, dtype=torch.float64)) for edge in (math.log(least), end))
    for share in (0.1, 0.5, 0.9):
        exact = normal.icdf(low + share * (high - low)).item()
        assert level[int(share * COUNT)].item() == pytest.approx(exact, abs=1e-3)


def test_an_unconditional_model_learns_a_mixture() -> None:
    """No y at all: two bumps, one with twice the mass; the sampler returns both shares."""
    process = VariancePreserving()
    torch.manual_seed(0)
    network = PreconditionedNetwork(process, ResidualNetwork(FEATURES + 1, 1, 3, 64))
    generator = torch.Generator().manual_seed(0)
    parameters = list(network.parameters())
    means, squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))

    def mixture(count: int) -> Tensor:
        side = torch.where(torch.rand(count, 1, generator=generator) < 2.0 / 3.0, 0.7, -1.4)
        return side + 0.15 * torch.randn(count, 1, generator=generator)

    steps, batch = 400, 500
    for step in range(steps):
        rate = 3e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        u = (torch.arange(batch) + torch.rand(batch, generator=generator, dtype=torch.float64)) / batch
        t = log_normal_times(process, u, -1.0, 1.6, 2e-3)
        z = torch.randn(batch, 1, generator=generator)
        loss = denoising_score_matching(network, mixture(batch), torch.zeros(batch, 0), t, z)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():  # Adam by hand: torch.optim imports the compiler, which takes longer than this test
            for weight, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
                mean.lerp_(gradient, 0.1)
                square.lerp_(gradient**2, 0.001)
                deviation = (square / (1.0 - 0.999 ** (step + 1))).sqrt() + 1e-8
                weight.sub_(rate * mean / (1.0 - 0.9 ** (step + 1)) / deviation)

    count = 20_000
    nothing = torch.zeros(count, 0)
    with torch.no_grad():
        normals = lambda: torch.randn(count, 1, generator=generator)  # noqa: E731
        t_min = process.sampling_end(0.0, 2e-3)
        x = Exponential(0.0, 24).integrate(given(network, nothing), process, normals, t_min).x
    w1 = (x.sort(dim=0).values - mixture(count).sort(dim=0).values).abs().mean().item()
    assert w1 < 0.05
    right = x[x > 0.0]
    assert len(right) / count == pytest.approx(2.0 / 3.0, abs=0.03)
    assert right.std().item() == pytest.approx(0.15, rel=0.1)
