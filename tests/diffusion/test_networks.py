"""Networks: the preconditioned one is exact for a Gaussian before training, and the same for every formulation."""

import numpy as np
import pytest
import torch

from fluxbench.diffusion.formulations import Formulation, LinearVarianceExploding, VarianceExploding, VariancePreserving
from fluxbench.diffusion.networks import FEATURES, PreconditionedNetwork, ResidualNetwork, perceptron

FORMULATIONS: list[Formulation] = [
    VarianceExploding(120.0),
    LinearVarianceExploding(80.0),
    *(VariancePreserving(k=k) for k in (1.0, 2.0, 4.0)),
]
each = pytest.mark.parametrize("process", FORMULATIONS, ids=lambda process: process.name)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_body(x_size: int, y_size: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return perceptron(FEATURES + x_size + y_size, x_size, 2, 32).double()


@each
def test_an_untrained_residual_denoiser_is_that_of_unit_normals(process: Formulation) -> None:
    network = PreconditionedNetwork(process, ResidualNetwork(FEATURES + 3 + 2, 3, 3, 16).double())
    t = torch.linspace(1e-4, 1.0, 50, dtype=torch.float64)
    m, sigma = process.m(t)[:, None], process.sigma(t)[:, None]
    x = normal(50, 3) * (m**2 + sigma**2).sqrt()
    np.testing.assert_allclose(network(x, normal(50, 2), t).detach(), -x / (m**2 + sigma**2), rtol=1e-9, atol=1e-9)


@each
def test_one_denoiser_serves_every_formulation(process: Formulation) -> None:
    """At equal x/m and sigma/m the same weights give the same D, whatever the clock."""
    reference = LinearVarianceExploding(80.0)
    ratio = torch.logspace(-3, 1.0, 30, dtype=torch.float64)
    x, y, body = normal(30, 3), normal(30, 2, seed=1), random_body(3, 2)

    def denoised(formulation: Formulation) -> torch.Tensor:
        t = formulation.time(ratio)
        m, sigma = formulation.m(t)[:, None], formulation.sigma(t)[:, None]
        return x + sigma**2 / m * PreconditionedNetwork(formulation, body)(m * x, y, t).detach()

    np.testing.assert_allclose(denoised(process), denoised(reference), rtol=1e-9, atol=1e-10)


def test_float32_loses_no_digits_as_the_noise_vanishes() -> None:
    process = VariancePreserving()
    body = random_body(3, 2)
    t = process.time(torch.logspace(-6, 0, 40, dtype=torch.float64))
    x, y = normal(40, 3), normal(40, 2, seed=1)
    exact = PreconditionedNetwork(process, body).noise_prediction(x, y, t)
    single = PreconditionedNetwork(process, body.float()).noise_prediction(x.float(), y.float(), t)
    np.testing.assert_allclose(single.detach().double(), exact.detach(), rtol=1e-4, atol=1e-5)
