"""Component-wise metrics of Gaussians, where each has a closed form."""

import numpy as np
import pytest
from scipy.stats import norm

from fluxbench.arrays import Reals
from fluxbench.bench.metrics import marginal

MEASUREMENTS, SAMPLES, SIZE = 40, 1_000, 5
STD = np.array([0.1, 0.5, 1.0, 2.0, 5.0])
MEAN = np.arange(5.0)


def gaussian(seed: int, spread: float = 1.0, shift: float = 0.0, samples: int = SAMPLES) -> Reals:
    normals = np.random.default_rng(seed).standard_normal((MEASUREMENTS, samples, SIZE))
    return MEAN + STD * (shift + spread * normals)


def test_exact_samples_get_what_their_number_lets_them() -> None:
    expected = np.sqrt(2.0 / np.pi * 2.0 / SAMPLES)
    assert marginal.mean_shifts(gaussian(0), gaussian(1)).mean() == pytest.approx(expected, rel=0.15)
    assert marginal.std_ratios(gaussian(0), gaussian(1)).mean() == pytest.approx(1.0, abs=0.006)
    assert marginal.wasserstein(gaussian(0), gaussian(1)).mean() == pytest.approx(1.8 * SAMPLES**-0.5, rel=0.05)


def test_a_shift_and_a_spread_are_measured_in_standard_deviations() -> None:
    assert marginal.mean_shifts(gaussian(0, shift=0.5), gaussian(1)).mean() == pytest.approx(0.5, abs=0.01)
    assert marginal.wasserstein(gaussian(0, shift=0.5), gaussian(1)).mean() == pytest.approx(0.5, abs=0.01)
    assert marginal.std_ratios(gaussian(0, spread=1.3), gaussian(1)).mean() == pytest.approx(1.3, abs=0.01)
    # |spread - 1| E|z|
    wide = marginal.wasserstein(gaussian(0, spread=1.3), gaussian(1)).mean()
    assert wide == pytest.approx(0.3 * np.sqrt(2.0 / np.pi), abs=0.01)


def test_fewer_samples_are_compared_by_quantiles_of_the_reference() -> None:
    few = gaussian(0, shift=0.5, samples=100)
    assert marginal.wasserstein(few, gaussian(1)).mean() == pytest.approx(0.5, abs=0.03)
    same = gaussian(1)
    np.testing.assert_allclose(marginal.quantiles(same, SAMPLES), np.sort(same, axis=1))


def test_components_that_hardly_vary_are_left_out() -> None:
    x, reference = gaussian(0), gaussian(1)
    x[3, :, 2], reference[3, :, 2] = 0.01, 0.0
    for metric in (marginal.mean_shifts, marginal.std_ratios, marginal.wasserstein):
        found = metric(x, reference)
        assert np.isnan(found[3, 2])
        assert np.isfinite(np.delete(found.ravel(), 3 * SIZE + 2)).all()


def test_crps_of_a_gaussian() -> None:
    """Gneiting and Raftery (2007), Eq. 21: std (z (2 F(z) - 1) + 2 f(z) - pi^(-1/2))."""
    z = np.linspace(-2.0, 2.0, MEASUREMENTS)[:, None]
    expected = STD * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - np.pi**-0.5)
    found = marginal.crps(gaussian(0), MEAN + STD * z)
    np.testing.assert_allclose((found - expected) / STD, 0.0, atol=0.15)
    np.testing.assert_allclose(((found - expected) / STD).mean(), 0.0, atol=0.01)
    # Fair to few: two samples are not better or worse on average.
    few = marginal.crps(gaussian(0, samples=2), MEAN + STD * z)
    np.testing.assert_allclose(((few - expected) / STD).mean(), 0.0, atol=0.1)


def test_nine_intervals_in_ten_hold_the_truth() -> None:
    truth = MEAN + STD * np.random.default_rng(5).standard_normal((1_000, SIZE))
    samples = np.repeat(gaussian(0)[:1], 1_000, axis=0)
    assert marginal.covered(samples, truth).mean() == pytest.approx(0.9, abs=0.02)
    assert marginal.covered(MEAN + 0.5 * (samples - MEAN), truth).mean() == pytest.approx(0.59, abs=0.03)
