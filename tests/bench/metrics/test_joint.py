"""Metrics of all components together, on Gaussians of known distance."""

import numpy as np
import pytest
from scipy.stats import norm

from fluxbench.arrays import Reals
from fluxbench.bench.metrics import joint

MIX = np.array([[1.0, 0.0, 0.0], [0.9, 0.2, 0.0], [0.0, 1.0, 2.0]])
"""Strong correlations and different units."""


def normals(seed: int, samples: int = 800, measurements: int = 10) -> Reals:
    return np.random.default_rng(seed).standard_normal((measurements, samples, 3))


def test_whitening_undoes_correlations_and_units() -> None:
    reference = normals(0)[0] @ MIX.T + 7.0
    _, exact = joint.whiten(reference, reference)
    np.testing.assert_allclose(np.cov(exact, rowvar=False), np.eye(3), atol=1e-9)


def test_what_is_nearly_always_clipped_does_not_outweigh_the_rest() -> None:
    reference = np.concatenate([normals(0), np.zeros((10, 800, 1))], axis=2)
    reference[:, 0, 3] = 0.01
    samples = np.concatenate([normals(1), np.zeros((10, 800, 1))], axis=2)
    samples[:, :5, 3] = 0.02
    assert abs(joint.energy_distances(samples, reference).mean()) < 0.01


def test_exact_samples_are_at_no_distance() -> None:
    x, y = normals(0) @ MIX.T, normals(1) @ MIX.T
    assert abs(joint.energy_distances(x, y).mean()) < 0.002
    assert joint.sliced_wasserstein(x, y).mean() < 0.07
    assert joint.classifier_accuracies(x[:3], y[:3]).mean() == pytest.approx(0.5, abs=0.04)


def test_energy_distance_of_a_shift_in_one_dimension() -> None:
    """X - Y is normal of variance 2, and |X - Y| has the folded normal's mean."""
    shift, scale = 1.0, np.sqrt(2.0)
    folded = scale * np.sqrt(2.0 / np.pi) * np.exp(-(shift**2) / (2.0 * scale**2)) + shift * (
        1.0 - 2.0 * norm.cdf(-shift / scale)
    )
    expected = 2.0 * folded - 2.0 * scale * np.sqrt(2.0 / np.pi)
    x, y = normals(0)[:, :, :1] * 3.0, normals(1)[:, :, :1] * 3.0
    assert joint.energy_distances(x + 3.0 * shift, y).mean() == pytest.approx(expected, rel=0.1)


def test_a_shift_along_a_narrow_direction_is_seen() -> None:
    """A tenth of the widest direction's deviation is more than one of its own."""
    x, y = normals(0, measurements=3) @ MIX.T, normals(1, measurements=3) @ MIX.T
    _, deviations, directions = np.linalg.svd(MIX.T)
    assert deviations[2] < 0.1 * deviations[0]
    shifted = x + deviations[2] * directions[2]
    assert joint.energy_distances(shifted, y).mean() > 0.2
    assert joint.sliced_wasserstein(shifted, y).mean() > 0.3
    assert joint.classifier_accuracies(shifted[:2], y[:2]).mean() > 0.6


def test_independent_components_in_place_of_correlated_ones_are_seen() -> None:
    x, y = normals(0, measurements=3) @ MIX.T, normals(1, measurements=3) @ MIX.T
    loose = np.random.default_rng(2).permuted(x, axis=1)
    assert joint.energy_distances(loose, y).mean() > 0.3
    assert joint.classifier_accuracies(loose[:2], y[:2]).mean() > 0.8


def test_fewer_samples_than_the_reference_has() -> None:
    x, y = normals(0, samples=100), normals(1)
    assert abs(joint.energy_distances(x, y).mean()) < 0.01
    assert joint.sliced_wasserstein(x + 0.5, y).mean() == pytest.approx(0.5 * 3**0.5 * 0.5, abs=0.06)
    assert joint.classifier_accuracies(x[:2], y[:2]).mean() == pytest.approx(0.5, abs=0.12)
