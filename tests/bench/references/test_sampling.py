"""References by Monte Carlo: the closed form where nothing is clipped, calibration where some is, two methods alike."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

from fluxbench.arrays import Floats
from fluxbench.bench.references import hamiltonian, tempered
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.bench.references.posterior import FluxPosterior
from fluxbench.solvers.boundary_flux import FluxPrior
from fluxbench.solvers.fem.linear import LinearSimulator
from fluxbench.solvers.problems.linear import LINEAR

CENTRES = tuple((0.5 * i, 0.0) for i in range(8))
OPERATOR = np.tril(np.ones((8, 8))) * 0.3


@dataclass(frozen=True)
class Quadratic:
    """F(x) = G x + c (G x)^2: a curved map whose derivatives are known."""

    curvature: float
    operator: Floats | None = None

    def measure(self, flux: Floats) -> Floats:
        y = flux @ OPERATOR.T
        return y + self.curvature * y**2

    def jacobian(self, flux: Floats) -> Floats:
        return (1.0 + 2.0 * self.curvature * flux @ OPERATOR.T)[:, :, None] * OPERATOR

    def hessian(self, flux: Floats) -> Floats:
        one = 2.0 * self.curvature * np.einsum("nj,nk->njk", OPERATOR, OPERATOR)
        return np.broadcast_to(one, (len(flux), *one.shape))


LINE = Quadratic(0.0)
CURVE = Quadratic(0.2)


def case(mean: float, simulator: Quadratic, noise: float, count: int) -> tuple[Floats, FluxPosterior]:
    """True fluxes and the posteriors of their measurements; every fourth sensor is off in every other one."""
    prior = FluxPrior(CENTRES, mean=mean)
    x = prior.sample(0, "test", 0, count)
    y = simulator.measure(x) + noise * np.random.default_rng(0).normal(size=x.shape)
    mask = np.ones(y.shape, dtype=bool)
    mask[::2, ::4] = False
    return x, FluxPosterior(prior, simulator, np.where(mask, y, 1e6), noise, mask)


def test_far_from_zero_it_is_the_gaussian_posterior() -> None:
    _, posterior = case(20.0, LINE, 0.05, 10)
    exact = linear_gaussian(posterior.prior, OPERATOR, posterior.y, 0.05, posterior.mask)
    found = hamiltonian.sample(posterior, 0, "test")
    effective = array_stats.ess(found.g, chain_axis=1, draw_axis=2)
    assert effective.min() > 400
    assert array_stats.rhat(found.g, chain_axis=1, draw_axis=2).max() < 1.02
    g = found.g.reshape(10, -1, 8)
    error = np.abs(g.mean(axis=1) - exact.mean) / exact.std
    assert (error < 5.0 / np.sqrt(effective)).all()
    np.testing.assert_allclose(g.std(axis=1), exact.std, rtol=0.15)


@pytest.mark.parametrize("noise", [0.05, 0.5])
@pytest.mark.parametrize("simulator", [LINE, CURVE], ids=["line", "curve"])
def test_the_truth_ranks_uniformly_where_some_is_clipped(simulator: Quadratic, noise: float) -> None:
    """Simulation-based calibration (Talts et al. 2018) where a fifth of the samples are zero somewhere."""
    count = 300
    x, posterior = case(1.5, simulator, noise, count)
    assert (x.min(axis=1) == 0.0).mean() > 0.1
    found = hamiltonian.sample(posterior, 0, "test", chains=2, kept=100)
    assert found.acceptance.mean() > 0.85
    samples = np.maximum(found.g, 0.0).reshape(count, -1, 8).sum(axis=2)
    total = x.sum(axis=1)[:, None]
    ties = (samples == total).mean(axis=1)  # all of it clipped: any rank among those
    shares = (samples < total).mean(axis=1) + np.random.default_rng(1).random(count) * ties
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        deviation = abs((shares < level).mean() - level)
        assert deviation < 4.0 * np.sqrt(level * (1.0 - level) / count)


@pytest.mark.parametrize("simulator", [LINE, CURVE], ids=["line", "curve"])
def test_two_methods_agree(simulator: Quadratic) -> None:
    """One follows gradients from the mode, the other carries particles from the prior."""
    _, posterior = case(1.0, simulator, 0.2, 4)
    ours = np.maximum(hamiltonian.sample(posterior, 0, "test", kept=500).g, 0.0).reshape(4, -1, 8)
    other = np.maximum(tempered.sample(posterior, 0, "test", particles=4_000), 0.0)
    std = ours.std(axis=1)
    difference = (ours.mean(axis=1) - other.mean(axis=1)) / std
    assert np.sqrt((difference**2).mean()) < 0.06
    np.testing.assert_allclose(other.std(axis=1) / std, 1.0, atol=0.12)
    pairs = [np.stack([np.cov(each, rowvar=False) for each in draws]) for draws in (ours, other)]
    scale = std[:, :, None] * std[:, None, :]
    assert np.abs((pairs[0] - pairs[1]) / scale).max() < 0.25


def test_a_wrong_expansion_costs_acceptance_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trajectories that follow wrong slopes find the right posterior."""
    _, posterior = case(1.5, CURVE, 0.3, 6)
    right = hamiltonian.sample(posterior, 0, "test", kept=500)
    slope = Quadratic.jacobian
    monkeypatch.setattr(Quadratic, "jacobian", lambda self, flux: 1.2 * slope(self, flux))
    wrong = hamiltonian.sample(posterior, 0, "test", kept=500)
    assert wrong.acceptance.mean() < right.acceptance.mean() - 0.1
    g, g_wrong = (found.g.reshape(6, -1, 8) for found in (right, wrong))
    difference = (g.mean(axis=1) - g_wrong.mean(axis=1)) / g.std(axis=1)
    assert np.sqrt((difference**2).mean()) < 0.06


def test_the_mode_is_where_the_energy_is_smallest() -> None:
    _, posterior = case(1.5, CURVE, 0.1, 20)
    inside = posterior.unclipped(posterior.modes()).min(axis=1) > 0.1
    assert inside.sum() > 5
    posterior = posterior.part(np.flatnonzero(inside))
    modes = posterior.modes()[:, None]
    energy = posterior.energy(modes)
    rng = np.random.default_rng(0)
    for size in (0.001, 0.01, 0.1):
        around = modes + size * rng.normal(size=(len(modes), 50, 8))
        assert (posterior.energy(around) > energy - 1e-9).all()


def test_the_flux_problems_posterior_is_sampled_as_it_is() -> None:
    rng = np.random.default_rng(0)
    simulator = LinearSimulator(LINEAR, rng.normal(size=(30, 30)))
    x = LINEAR.prior.sample(0, "test", 0, 3)
    posterior = FluxPosterior(replace(LINEAR.prior, mean=30.0), simulator, simulator.measure(x + 28.0), 1.0)
    g = hamiltonian.sample(posterior, 0, "test").g.reshape(3, -1, 30)
    exact = linear_gaussian(posterior.prior, simulator.operator, posterior.y, 1.0)
    np.testing.assert_allclose(g.mean(axis=1), exact.mean, atol=0.15 * exact.std.max())
