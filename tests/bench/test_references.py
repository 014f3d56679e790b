"""The linear-Gaussian posterior against textbook formulas, its own calibration and the limits of the noise."""

import numpy as np
import pytest

from bench.references import linear_gaussian
from solvers import streams
from solvers.linear import sensor_operator
from solvers.problems import LINEAR


@pytest.fixture(scope="module")
def operator() -> np.ndarray:
    return sensor_operator(LINEAR)


def draw(operator: np.ndarray, noise: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes of the unclipped prior and their noisy measurements."""
    prior = LINEAR.prior
    x = prior.mean + streams.normals(0, "x", 0, count, prior.size) @ prior.root
    return x, x @ operator.T + noise * streams.normals(0, "noise", 0, count, len(operator))


def test_it_is_bayes_formula(operator: np.ndarray) -> None:
    noise = 4.0
    _, y = draw(operator, noise, 5)
    prior = LINEAR.prior
    gain = (
        prior.covariance @ operator.T @ np.linalg.inv(operator @ prior.covariance @ operator.T + noise**2 * np.eye(30))
    )
    found = linear_gaussian(prior, operator, y, noise)
    mean = np.full(30, prior.mean)
    np.testing.assert_allclose(found.mean, mean + (y - operator @ mean) @ gain.T, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.covariance, prior.covariance - gain @ operator @ prior.covariance, atol=1e-8)


def test_it_is_calibrated(operator: np.ndarray) -> None:
    x, y = draw(operator, 4.0, 4000)
    found = linear_gaussian(LINEAR.prior, operator, y, 4.0)
    scores = (x - found.mean) / found.std
    np.testing.assert_allclose(scores.std(axis=0), 1.0, atol=5.0 / np.sqrt(2 * 4000))
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=5.0 / np.sqrt(4000))


def test_without_noise_it_returns_the_truth(operator: np.ndarray) -> None:
    x, y = draw(operator, 0.0, 10)
    found = linear_gaussian(LINEAR.prior, operator, y, 0.0)
    np.testing.assert_allclose(found.mean, x, atol=1e-6)
    assert found.std.max() < 1e-6


def test_with_much_noise_it_returns_the_prior(operator: np.ndarray) -> None:
    _, y = draw(operator, 1e6, 10)
    found = linear_gaussian(LINEAR.prior, operator, y, 1e6)
    np.testing.assert_allclose(found.mean, LINEAR.prior.mean, atol=0.01)
    np.testing.assert_allclose(found.covariance, LINEAR.prior.covariance, atol=1e-3)


def test_fewer_sensors_than_fluxes_leave_the_prior_where_nothing_is_seen(operator: np.ndarray) -> None:
    _, y = draw(operator, 1.0, 3)
    prior, few = LINEAR.prior, operator[:4]
    gain = prior.covariance @ few.T @ np.linalg.inv(few @ prior.covariance @ few.T + np.eye(4))
    found = linear_gaussian(prior, few, y[:, :4], 1.0)
    np.testing.assert_allclose(found.covariance, prior.covariance - gain @ few @ prior.covariance, atol=1e-8)
