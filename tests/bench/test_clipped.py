"""The Monte Carlo reference: exact where nothing is clipped, calibrated where some is, and its chains agree."""

import numpy as np
import pytest
import torch

from bench.clipped import clipped_posterior, split_r_hat
from bench.references import linear_gaussian
from solvers.problems import FluxPrior

CENTRES = tuple((0.5 * i, 0.0) for i in range(8))
OPERATOR = np.tril(np.ones((8, 8))) * 0.3


def test_far_from_zero_it_is_the_gaussian_posterior() -> None:
    prior = FluxPrior(CENTRES, mean=20.0)
    rng = np.random.default_rng(0)
    x = prior.sample(0, "test", 0, 10)
    y = x @ OPERATOR.T + 0.05 * rng.normal(size=x.shape)
    exact = linear_gaussian(prior, OPERATOR, y, 0.05)
    found = clipped_posterior(prior, OPERATOR, y, 0.05, kept=500)
    np.testing.assert_allclose(found.x.mean(axis=1), exact.mean, atol=5.0 * exact.std.max() / np.sqrt(1000))
    np.testing.assert_allclose(found.x.std(axis=1), exact.std, rtol=0.1)
    assert found.r_hat.max() < 1.03


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_the_truth_ranks_uniformly_where_some_is_clipped(noise: float) -> None:
    """Simulation-based calibration (Talts et al. 2018) where a fifth of the samples are zero somewhere."""
    prior = FluxPrior(CENTRES, mean=1.5)
    rng = np.random.default_rng(0)
    count = 300
    x = prior.sample(0, "test", 0, count)
    y = x @ OPERATOR.T + noise * rng.normal(size=x.shape)
    found = clipped_posterior(prior, OPERATOR, y, noise, warm_up=200, kept=200)
    assert (x.min(axis=1) == 0.0).mean() > 0.1
    assert np.quantile(found.r_hat, 0.95) < 1.1
    total, samples = x.sum(axis=1)[:, None], found.x.sum(axis=2)
    ties = (samples == total).mean(axis=1)  # all of it clipped: any rank among those
    shares = (samples < total).mean(axis=1) + rng.random(count) * ties
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        deviation = abs((shares < level).mean() - level)
        assert deviation < 4.0 * np.sqrt(level * (1.0 - level) / count)


def test_disagreeing_chains_are_seen() -> None:
    chains = torch.randn(3, 4, 200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert split_r_hat(chains).max() < 1.05
    chains[1, 0] += 3.0
    assert (split_r_hat(chains)[1] > 1.5).all()
