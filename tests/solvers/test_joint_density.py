"""Exact conditional samplers against the joint samples that they must belong to."""

import numpy as np
import pytest
from scipy import integrate, stats

from fluxbench.solvers.joint_density import JointDensity
from fluxbench.solvers.problems import joint_density, names
from fluxbench.solvers.problems.spiral import Spiral


@pytest.mark.parametrize("density", [*map(joint_density, names("densities"))], ids=names("densities"))
def test_conditional_agrees_with_a_thin_band_of_the_joint(density: JointDensity) -> None:
    x, y = density.simulate(0, "test", 0, 400_000)
    for value in density.y_values:
        in_band = x[np.abs(y[:, 0] - value) < 0.01, 0]
        exact = density.sample_conditional(value, 20_000, seed=1)
        assert stats.ks_2samp(in_band, exact).pvalue > 1e-3


def test_spiral_conditional_has_the_density_that_its_definition_gives() -> None:
    y = 0.2

    def weight(a: float) -> float:
        return np.exp(-((y - 0.1 * a * np.cos(a)) ** 2) / 0.02)

    interval = (1.5 * np.pi, 4.5 * np.pi)
    total = integrate.quad(weight, *interval, limit=200)[0]
    mean = integrate.quad(lambda a: weight(a) * 0.1 * a * np.sin(a), *interval, limit=200)[0] / total
    second = integrate.quad(lambda a: weight(a) * (0.1 * a * np.sin(a)) ** 2, *interval, limit=200)[0] / total + 0.01
    samples = Spiral().sample_conditional(y, 400_000, seed=0)
    assert abs(samples.mean() - mean) < 4.0 * samples.std() / np.sqrt(len(samples))
    assert samples.var() == pytest.approx(second - mean**2, rel=0.01)


@pytest.mark.parametrize("density", [*map(joint_density, names("densities"))], ids=names("densities"))
def test_log_conditional_is_the_density_of_the_exact_samples(density: JointDensity) -> None:
    grid = np.linspace(-3.0, 5.0, 4_001)
    for y in density.y_values:
        heights = np.concatenate([np.exp(density.log_conditional(part, y)) for part in np.split(grid[:-1], 8)])
        cumulative = np.concatenate([[0.0], np.cumsum(heights) * (grid[1] - grid[0])])
        assert cumulative[-1] == pytest.approx(1.0, abs=5e-3)
        samples = density.sample_conditional(y, 20_000, seed=1)
        assert stats.kstest(samples, lambda x, c=cumulative: np.interp(x, grid, c)).pvalue > 1e-3


def test_moments_of_tanh_and_bimodal() -> None:
    tanh = joint_density("tanh").sample_conditional(0.5, 200_000, seed=0)
    assert tanh.mean() == pytest.approx(np.tanh(0.5) + 0.3, abs=4 * 0.3 / np.sqrt(200_000))
    cubes = joint_density("bimodal").sample_conditional(-0.5, 200_000, seed=0) ** 3
    assert cubes.mean() == pytest.approx(-0.5, abs=4 / np.sqrt(200_000))
    assert cubes.std() == pytest.approx(1.0, rel=0.01)
