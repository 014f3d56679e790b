"""What a network sees of x has unit variance, and of y is the best linear estimate of the clean readings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fluxbench.solvers.data.measurements import OFF, Measured
from fluxbench.training.normalisation import Normalisation

RNG = np.random.default_rng(0)
N, D, SIZE = 20_000, 3, 6
MIXING = RNG.normal(size=(SIZE, D)) * np.array([1.0, 0.1, 0.01])
X = 2.0 + RNG.normal(size=(N, D)) * np.array([1.0, 2.0, 3.0])
CLEAN = 5.0 + X @ MIXING.T + 0.05 * RNG.normal(size=(N, SIZE))
FIT = Normalisation.fit(X, CLEAN)


def measured(noise: float, share_on: float | None = None) -> Measured:
    rng = np.random.default_rng(1)
    y = CLEAN + noise * rng.normal(size=CLEAN.shape)
    mask = None if share_on is None else rng.random(CLEAN.shape) < share_on
    return Measured(X, y if mask is None else np.where(mask, y, OFF), mask, np.full(N, noise))


def test_standardised_x_and_back() -> None:
    seen = FIT.standardise(X)
    np.testing.assert_allclose(seen.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(seen.std(axis=0), 1.0)
    np.testing.assert_allclose(FIT.restore(seen), X)


def test_without_noise_y_is_whitened() -> None:
    np.testing.assert_allclose(np.cov(FIT.condition(measured(0.0)), rowvar=False), np.eye(SIZE), atol=0.05)


def test_a_mask_with_every_sensor_on_changes_nothing() -> None:
    whole, masked = (FIT.condition(measured(0.1, share)) for share in (None, 1.0))
    np.testing.assert_allclose(masked[:, :SIZE], whole, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(masked[:, SIZE:], 1.0)


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("on", [np.ones(SIZE, dtype=bool), np.array([True, False, True, True, False, True])])
def test_features_are_the_best_linear_estimate_of_the_clean_ones(noise: float, on: np.ndarray) -> None:
    """What a regression on the readings at hand says of the whitened clean readings."""
    seen = measured(noise)
    masked = Measured(X, np.where(on, seen.y, OFF), np.tile(on, (N, 1)), seen.noise)
    found, clean = FIT.condition(masked)[:, :SIZE], FIT.condition(measured(0.0))
    design = np.column_stack([np.ones(N), seen.y[:, on]])
    regression = design @ np.linalg.lstsq(design, clean, rcond=None)[0]
    np.testing.assert_allclose(found, regression, atol=0.15)
    assert np.abs(found - regression).mean() < 0.02


def test_the_papers_network_sees_readings_and_mask() -> None:
    seen = measured(0.1, 0.7)
    condition = Normalisation.identity(D).condition(seen)
    np.testing.assert_array_equal(condition[:, :SIZE], seen.y)
    np.testing.assert_array_equal(condition[:, SIZE:], np.where(seen.mask, 1.0, 0.0))


def test_the_noise_level_is_the_last_column() -> None:
    sees = replace(FIT, noise_range=(0.01, 1.0))
    for noise, column in ((0.01, -1.0), (0.1, 0.0), (1.0, 1.0)):
        condition = sees.condition(measured(noise, 0.7))
        assert condition.shape == (N, 2 * SIZE + 1)
        np.testing.assert_allclose(condition[:, -1], column, atol=1e-12)


def test_records_come_back() -> None:
    for one in (FIT, Normalisation.identity(2), replace(FIT, noise_range=(0.1, 0.2))):
        again = Normalisation.of_record(one.record())
        np.testing.assert_array_equal(again.x_std, one.x_std)
        assert again.noise_range == one.noise_range
        assert (again.y_axes is None) == (one.y_axes is None)
    assert isinstance(FIT.record()["y_axes"], torch.Tensor)
