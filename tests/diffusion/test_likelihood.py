"""Log-densities against those of Gaussians and mixtures, whose scores are exact."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fluxbench.diffusion.formulations import Formulation, LinearVarianceExploding, VarianceExploding, VariancePreserving
from fluxbench.diffusion.integrators.integrator import Score
from fluxbench.diffusion.likelihood import log_density

FORMULATIONS: list[Formulation] = [
    VarianceExploding(200.0),
    LinearVarianceExploding(80.0),
    *(VariancePreserving(k=k) for k in (1.0, 2.0, 4.0)),
]
each = pytest.mark.parametrize("process", FORMULATIONS, ids=lambda process: process.name)
COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 0.8, -0.2], [0.0, -0.2, 0.5]], dtype=torch.float64)
CENTRES = torch.tensor([[-1.0, 0.5], [1.0, 0.0], [0.3, -1.2]], dtype=torch.float64)
WIDTH = 0.3


def normal(count: int, size: int) -> Tensor:
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gaussian_score(process: Formulation) -> Score:
    """p_t = N(0, m^2 C + sigma^2 I)."""

    def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        m, sigma = process.m(t)[:, None, None], process.sigma(t)[:, None, None]
        matrix = m**2 * COVARIANCE + sigma**2 * torch.eye(3, dtype=torch.float64)
        return -torch.linalg.solve(matrix, x)

    return score


def mixture_log_density(process: Formulation, x: Tensor, t: Tensor) -> Tensor:
    """Of equal normals of standard deviation WIDTH at CENTRES, after the forward process."""
    m, sigma = process.m(t)[:, None], process.sigma(t)[:, None]
    variance = m**2 * WIDTH**2 + sigma**2
    distance = (x[:, None, :] - m[:, :, None] * CENTRES).square().sum(dim=2)
    return torch.logsumexp(-0.5 * distance / variance, dim=1) - torch.log(2.0 * math.pi * variance[:, 0] * len(CENTRES))


def mixture_score(process: Formulation) -> Score:
    def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        m, sigma = process.m(t)[:, None], process.sigma(t)[:, None]
        variance = m**2 * WIDTH**2 + sigma**2
        offsets = m[:, :, None] * CENTRES - x[:, None, :]
        weights = torch.softmax(-0.5 * offsets.square().sum(dim=2) / variance, dim=1)
        return (weights[:, :, None] * offsets).sum(dim=1) / variance

    return score


@each
def test_gaussian(process: Formulation) -> None:
    """Exact but for the start: the model's density is that of the Gaussian that N(0, terminal_std^2) flows into."""
    t_min = process.sampling_end(0.0, 1e-2)
    t = torch.tensor([t_min, 1.0], dtype=torch.float64)
    m, sigma = process.m(t), process.sigma(t)
    variances, axes = torch.linalg.eigh(COVARIANCE)
    there = m[1] ** 2 * variances + sigma[1] ** 2
    here = (m[0] ** 2 * variances + sigma[0] ** 2) * process.terminal_std**2 / there  # linear flow, axis by axis
    x = normal(20, 3)
    exact = -0.5 * ((x @ axes).square() / here).sum(dim=1) - 0.5 * torch.log(2.0 * math.pi * here).sum()
    found = log_density(gaussian_score(process), process, x, t_min, tolerance=1e-9)
    np.testing.assert_allclose(found.value, exact, rtol=0.0, atol=1e-6)


@each
def test_mixture(process: Formulation) -> None:
    """The modes are not at zero, which the start neglects: by |centre| / (sigma/m)(1) standard deviations."""
    t_min = process.sampling_end(0.0, 1e-2)
    x = CENTRES.repeat(5, 1) + 0.5 * normal(15, 2)
    found = log_density(mixture_score(process), process, x, t_min, tolerance=1e-7)
    exact = mixture_log_density(process, x, torch.full((15,), t_min, dtype=torch.float64))
    distance = (exact - exact.max()).abs().sqrt() + 1.0
    start = 1.5 / process.noise_ratio(torch.ones((), dtype=torch.float64)).item()
    assert ((found.value - exact).abs() < 2.0 * start * distance).all()


def test_hutchinsons_estimate_converges_to_the_exact_divergence() -> None:
    """Without bias, and exactly where the Jacobian of the score is diagonal."""
    process = VariancePreserving()
    x = normal(4, 3)
    score = gaussian_score(process)
    exact = log_density(score, process, x, 1e-2).value
    generator = torch.Generator().manual_seed(1)
    probes = torch.randint(0, 2, (400, 4, 3), generator=generator).double() * 2.0 - 1.0
    one_each = probes[None, :40].reshape(1, 160, 3)  # forty estimates of each point, one probe each, as rows of a batch
    each = log_density(score, process, x.repeat(40, 1), 1e-2, probes=one_each).value.reshape(40, 4)
    spread = each.std(dim=0)
    assert (spread > 0.01).all()
    assert ((each.mean(dim=0) - exact).abs() < 4.0 * spread / math.sqrt(len(each))).all()
    together = log_density(score, process, x, 1e-2, probes=probes).value
    assert ((together - exact).abs() < 4.0 * spread / math.sqrt(len(probes))).all()
    axis_parallel = lambda x, t, rows: -x / (1.0 + t[:, None])  # noqa: E731
    one = log_density(axis_parallel, process, x, 1e-2, probes=probes[:1]).value
    np.testing.assert_allclose(one, log_density(axis_parallel, process, x, 1e-2).value, rtol=1e-12, atol=1e-12)


def test_rows_do_not_depend_on_the_batch() -> None:
    process = VariancePreserving()
    x = CENTRES.repeat(3, 1) + 0.5 * normal(9, 2)
    whole = log_density(mixture_score(process), process, x, 1e-2)
    parts = [log_density(mixture_score(process), process, part, 1e-2) for part in x.split(2)]
    np.testing.assert_allclose(torch.cat([part.value for part in parts]), whole.value, rtol=1e-11, atol=1e-11)
