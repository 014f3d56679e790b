"""Metrics against definitions computed another way."""

import numpy as np
import ot
import pytest
from scipy import stats

from fluxbench.bench.metrics import marginal, transport
from fluxbench.solvers.problems import joint_density, names


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("name", names("densities"))
def test_binned_sinkhorn_agrees_with_all_points(name: str, power: int) -> None:
    density = joint_density(name)
    one = density.sample_conditional(density.y_values[1], 600, seed=0)
    other = density.sample_conditional(density.y_values[1], 500, seed=1) + 0.05
    cost = np.abs(one[:, None] - other[None, :]) ** power
    full = ot.sinkhorn2(np.full(600, 1 / 600), np.full(500, 1 / 500), cost, 0.01, warn=False)
    assert transport.sinkhorn_1d(one, other, power) == pytest.approx(float(full), abs=4e-4)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    assert transport.wasserstein_1d(x, x + 0.3) == pytest.approx(0.3)
    y = np.random.default_rng(1).normal(size=700)
    assert transport.wasserstein_1d(x, y) == pytest.approx(stats.wasserstein_distance(x, y))


def test_sinkhorn_survives_far_outliers() -> None:
    x = np.random.default_rng(0).normal(size=100)
    far = np.append(x, 50.0)
    assert transport.sinkhorn_1d(far, x, 1) == pytest.approx(50.0 / 101, rel=0.2)


def test_segment_errors_and_stds() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 4))
    samples = truth[:, None, :] + np.array([0.1, 0.2, 0.3, 0.4]) + 0.5 * rng.normal(size=(200, 400, 4))
    errors = marginal.errors(samples, truth, mean_flux=2.0)
    np.testing.assert_allclose(errors.mean(axis=0), [0.05, 0.10, 0.15, 0.20], atol=0.002)
    np.testing.assert_allclose(marginal.stds(samples).mean(axis=0), 0.5, rtol=0.01)
