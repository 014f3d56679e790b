"""Calibration tests: exact posteriors pass, wrong ones do not."""

import numpy as np
import pytest

from fluxbench.arrays import Reals
from fluxbench.bench.metrics import calibration

COUNT, SAMPLES = 400, 200
ROOT = np.array([[1.0, 0.0], [0.9, np.sqrt(1.0 - 0.81)]])


def model(seed: int) -> tuple[Reals, Reals]:
    """Posterior means and truths: N(mean, ROOT ROOT^T) given the mean, which varies far more."""
    random = np.random.default_rng(seed)
    mean = 5.0 * random.standard_normal((COUNT, 2))
    return mean, mean + random.standard_normal((COUNT, 2)) @ ROOT.T


def draw(mean: Reals, seed: int = 1, spread: float = 1.0) -> Reals:
    normals = np.random.default_rng(seed).standard_normal((COUNT, SAMPLES, 2))
    return mean[:, None] + spread * normals @ ROOT.T


def p_values(samples: Reals, truth: Reals) -> tuple[float, float]:
    return (
        calibration.uniformity(calibration.ranks(samples, truth)),
        calibration.uniformity(calibration.tarp(samples, truth)[:, None]),
    )


def test_exact_posteriors_raise_no_more_alarms_than_p_values_promise() -> None:
    found = np.array([p_values(draw(model(seed)[0], seed + 100), model(seed)[1]) for seed in range(60)])
    for p in found.T:
        assert (p < 0.1).mean() < 0.2  # at most a tenth, of sixty
        assert (p > 0.5).mean() > 0.4


@pytest.mark.parametrize("spread", [0.8, 1.25])
def test_wrong_spreads_are_flagged(spread: float) -> None:
    mean, truth = model(0)
    assert min(p_values(draw(mean, spread=spread), truth)) < 1e-3


def test_a_shift_is_flagged() -> None:
    mean, truth = model(0)
    assert p_values(draw(mean + 0.3), truth)[0] < 1e-3


def test_ranks_need_not_see_a_wrong_correlation_but_tarp_does() -> None:
    mean, truth = model(0)
    loose = np.random.default_rng(2).permuted(draw(mean), axis=1)
    ranks, tarp = p_values(loose, truth)
    assert ranks > 0.01
    assert tarp < 0.005


def test_the_prior_is_calibrated() -> None:
    """It needs a reference to tell a posterior that ignores its measurement."""
    random = np.random.default_rng(0)
    mean = 5.0 * random.standard_normal((COUNT, SAMPLES, 2))
    prior = mean + random.standard_normal(mean.shape) @ ROOT.T
    assert min(p_values(prior, model(0)[1])) > 0.01


def test_ties_are_broken_at_random() -> None:
    """A component that is clipped in truth and samples says nothing, and alarms nobody."""
    samples, truth = np.zeros((COUNT, SAMPLES, 1)), np.zeros((COUNT, 1))
    assert calibration.uniformity(calibration.ranks(samples, truth)) > 0.01


def test_the_error_of_exact_posteriors_is_chance_and_tells_wrong_spreads() -> None:
    def error(seed: int, spread: float = 1.0) -> float:
        mean, truth = model(seed)
        return calibration.error(calibration.ranks(draw(mean, seed + 100, spread), truth)[:, :1])

    chance = np.mean([error(seed) for seed in range(60)])
    assert chance == pytest.approx(0.31 / np.sqrt(COUNT), rel=0.15)
    assert min(error(0, 0.8), error(0, 1.25)) > 3 * chance


def test_the_error_scatters_by_as_much_as_the_jackknife_says() -> None:
    found = []
    for seed in range(60):
        mean, truth = model(seed)
        shares = calibration.ranks(draw(mean, seed + 100, spread=1.25), truth)
        found.append((calibration.error(shares), calibration.error_std(shares)))
    errors, stds = np.array(found).T
    assert stds.mean() == pytest.approx(errors.std(ddof=1), rel=0.3)


def test_the_coverage_of_too_narrow_posteriors_lies_below_the_level() -> None:
    mean, truth = model(0)
    level, coverage = calibration.coverage_curve(calibration.ranks(draw(mean, spread=0.5), truth))
    inner = (level > 0.2) & (level < 0.95)
    assert (coverage[inner] < level[inner] - 0.05).all()
    assert (level[0], level[-1], coverage[-1]) == (0.0, 1.0, 1.0)
