"""Every formulation satisfies the relations of its PDE, far from and close to t = 0."""

import numpy as np
import pytest
import torch

from fluxbench.diffusion.formulations import (
    Formulation,
    LinearVarianceExploding,
    VarianceExploding,
    VariancePreserving,
    formulation,
)

FORMULATIONS: list[Formulation] = [
    VarianceExploding(12.0),
    VarianceExploding(5.0),
    LinearVarianceExploding(6.0),
    *(VariancePreserving(k=k) for k in (0.5, 1.0, 2.0, 3.0, 4.0)),
]
each = pytest.mark.parametrize("process", FORMULATIONS, ids=lambda process: process.name)


def derivative(f, t: torch.Tensor) -> torch.Tensor:  # noqa: ANN001
    """Central differences of fourth order with a step proportional to t."""
    h = 1e-3 * t
    return (8.0 * (f(t + h) - f(t - h)) - (f(t + 2 * h) - f(t - 2 * h))) / (12.0 * h)


@each
def test_consistency_relations(process: Formulation) -> None:
    t = torch.logspace(-6, -0.01, 200, dtype=torch.float64)
    rounding = 1e-12 / t  # of a difference of two numbers near one over a distance of t / 1000
    dm = derivative(process.m, t)
    expected = -0.5 * process.beta(t) * process.m(t)
    assert ((dm - expected).abs() <= 1e-6 * expected.abs() + rounding).all()
    dv = derivative(lambda s: process.sigma(s) ** 2, t)
    expected = process.g2(t) - process.beta(t) * process.sigma(t) ** 2
    assert ((dv - expected).abs() <= 1e-6 * expected.abs() + 1e-6 * process.sigma(t) ** 2).all()


@each
def test_data_at_the_start(process: Formulation) -> None:
    start = torch.zeros((), dtype=torch.float64)
    assert process.m(start).item() == 1.0
    assert process.sigma(start).item() == 0.0


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0, 3.0, 4.0])
def test_variance_preserving_family_is_the_transformed_exploding_process(k: float) -> None:
    process = VariancePreserving(k=k)
    t = torch.logspace(-8, 0, 50, dtype=torch.float64)
    m, sigma = process.m(t), process.sigma(t)
    np.testing.assert_allclose(m**k + sigma**k, torch.ones_like(t), rtol=1e-12, atol=0.0)
    np.testing.assert_allclose(m, (1.0 + (sigma / m) ** k) ** (-1.0 / k), rtol=1e-12, atol=0.0)


def test_second_order_is_the_process_of_song_et_al() -> None:
    t = torch.linspace(0.01, 1.0, 20, dtype=torch.float64)
    process = VariancePreserving(k=2.0)
    np.testing.assert_allclose(process.g2(t), process.beta(t), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(process.m(t) ** 2 + process.sigma(t) ** 2, torch.ones_like(t), rtol=1e-7, atol=1e-7)
    assert process.terminal_std == pytest.approx(1.0, abs=5e-4)


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0, 4.0])
def test_sigma_keeps_its_digits_as_t_vanishes(k: float) -> None:
    t = 1e-10
    integral = 0.5 * t * (0.001 + 0.5 * t * (15.0 - 0.001))
    leading = (k * integral) ** (1.0 / k)  # 1 - exp(-k integral) to first order
    sigma = VariancePreserving(k=k).sigma(torch.tensor(t, dtype=torch.float64)).item()
    assert sigma == pytest.approx(leading, rel=1e-10)


def test_geometric_schedule_of_the_paper() -> None:
    # equations.md: sigma_max = 12 and 5 give sigma(1) = 5.36 and 2.73.
    assert VarianceExploding(12.0).terminal_std == pytest.approx(5.36, abs=0.005)
    assert VarianceExploding(5.0).terminal_std == pytest.approx(2.73, abs=0.005)


@each
def test_noise_ratio_and_its_inverse_keep_their_digits(process: Formulation) -> None:
    t = torch.logspace(-10, 0, 60, dtype=torch.float64)
    ratio = process.noise_ratio(t)
    np.testing.assert_allclose(ratio, process.sigma(t) / process.m(t), rtol=1e-12, atol=0.0)
    np.testing.assert_allclose(process.time(ratio), t, rtol=1e-12, atol=0.0)
    assert (ratio.diff() > 0.0).all()


@each
def test_names_are_read_back(process: Formulation) -> None:
    sigma_max = process.sigma_max if isinstance(process, VarianceExploding | LinearVarianceExploding) else 2.0
    assert formulation(process.name, sigma_max) == process


@pytest.mark.parametrize("name", ["", "vp", "vp-k", "vp-k-1", "vp-k0", "VE", "vp-k2x"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no formulation is called|k must be positive"):
        formulation(name, 2.0)
