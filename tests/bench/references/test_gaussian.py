"""The linear-Gaussian posterior against textbook formulas, its own calibration and the limits of noise and masks."""

import numpy as np
import pytest

from fluxbench import streams
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.problems.linear import LINEAR


@pytest.fixture(scope="module")
def operator() -> np.ndarray:
    found = simulator(LINEAR).operator
    assert found is not None
    return found


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
    for covariance in found.covariance:
        np.testing.assert_allclose(covariance, prior.covariance - gain @ operator @ prior.covariance, atol=1e-8)


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
    np.testing.assert_allclose(found.covariance[0], LINEAR.prior.covariance, atol=1e-3)


def test_fewer_sensors_than_fluxes_leave_the_prior_where_nothing_is_seen(operator: np.ndarray) -> None:
    _, y = draw(operator, 1.0, 3)
    prior, few = LINEAR.prior, operator[:4]
    gain = prior.covariance @ few.T @ np.linalg.inv(few @ prior.covariance @ few.T + np.eye(4))
    found = linear_gaussian(prior, few, y[:, :4], 1.0)
    np.testing.assert_allclose(found.covariance[0], prior.covariance - gain @ few @ prior.covariance, atol=1e-8)


def masks(count: int) -> np.ndarray:
    return streams.uniforms(0, "mask", 0, count, 30) < 0.7


def test_with_masks_each_row_is_bayes_formula_for_the_sensors_that_are_on(operator: np.ndarray) -> None:
    noise, mask, prior = 4.0, masks(6), LINEAR.prior
    mask[4] = mask[1]  # two measurements with the same sensors
    _, y = draw(operator, noise, 6)
    found = linear_gaussian(prior, operator, np.where(mask, y, 1e6), noise, mask)
    mean = np.full(30, prior.mean)
    for row, on in enumerate(mask):
        G = operator[on]
        gain = prior.covariance @ G.T @ np.linalg.inv(G @ prior.covariance @ G.T + noise**2 * np.eye(on.sum()))
        expected = mean + gain @ (y[row, on] - G @ mean)
        np.testing.assert_allclose(found.mean[row], expected, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(found.covariance[row], prior.covariance - gain @ G @ prior.covariance, atol=1e-8)
        np.testing.assert_allclose(found.std[row] ** 2, np.diag(found.covariance[row]))


def test_with_masks_it_is_calibrated(operator: np.ndarray) -> None:
    x, y = draw(operator, 4.0, 2000)
    found = linear_gaussian(LINEAR.prior, operator, y, 4.0, masks(2000))
    scores = (x - found.mean) / found.std
    np.testing.assert_allclose(scores.std(axis=0), 1.0, atol=5.0 / np.sqrt(2 * 2000))
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=5.0 / np.sqrt(2000))


def test_a_mask_with_all_sensors_on_changes_nothing(operator: np.ndarray) -> None:
    _, y = draw(operator, 4.0, 5)
    plain = linear_gaussian(LINEAR.prior, operator, y, 4.0)
    masked = linear_gaussian(LINEAR.prior, operator, y, 4.0, np.ones((5, 30), dtype=bool))
    np.testing.assert_array_equal(masked.mean, plain.mean)
    np.testing.assert_array_equal(masked.covariance, plain.covariance)


def test_without_sensors_it_returns_the_prior(operator: np.ndarray) -> None:
    _, y = draw(operator, 4.0, 5)
    mask = masks(5)
    mask[2] = False
    for noise in (0.0, 4.0):
        found = linear_gaussian(LINEAR.prior, operator, y, noise, mask)
        np.testing.assert_array_equal(found.mean[2], LINEAR.prior.mean)
        np.testing.assert_allclose(found.covariance[2], LINEAR.prior.covariance, atol=1e-12)
        assert (found.std[[0, 1, 3, 4]] < found.std[2]).all()


def test_without_noise_it_reproduces_what_the_sensors_that_are_on_read(operator: np.ndarray) -> None:
    _, y = draw(operator, 0.0, 5)
    mask = masks(5)
    mask[0, 4:] = False
    found = linear_gaussian(LINEAR.prior, operator, y, 0.0, mask)
    np.testing.assert_allclose((found.mean @ operator.T)[mask], y[mask], rtol=1e-9)
    of_readings = operator @ found.covariance @ operator.T
    assert of_readings[np.arange(5)[:, None], np.arange(30), np.arange(30)][mask].max() < 1e-6
    assert found.std[0].max() > 0.1  # a few sensors leave fluxes open
