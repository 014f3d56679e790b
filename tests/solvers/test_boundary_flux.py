"""The prior's moments and the problems' checks of their own definitions."""

from dataclasses import replace

import numpy as np
import pytest

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem, Geometry, Polynomial, logistic, poiseuille
from fluxbench.solvers.problems.linear import LINEAR


def test_prior_mean_and_covariance() -> None:
    prior = replace(LINEAR.prior, mean=20.0)  # so far above zero that nothing is clipped
    count = 200_000
    q = prior.sample(0, "test", 0, count)
    np.testing.assert_allclose(q.mean(axis=0), 20.0, atol=5.0 / np.sqrt(count))
    np.testing.assert_allclose(np.cov(q.T), prior.covariance, atol=5.0 * np.sqrt(2.0 / count))


def test_prior_covariance_is_the_squared_exponential_of_the_distance_in_the_plane() -> None:
    covariance = LINEAR.prior.covariance
    step = 7.0 / 15.0
    assert covariance[0, 3] == pytest.approx(np.exp(-0.5 * (3 * step) ** 2 / 4.0))
    assert covariance[0, 15] == pytest.approx(np.exp(-0.5 * 2.0**2 / 4.0))  # across the channel
    assert covariance[0, 16] == pytest.approx(np.exp(-0.5 * (2.0**2 + step**2) / 4.0))


def test_clipped_moments() -> None:
    q = LINEAR.prior.sample(0, "test", 0, 100_000)
    mean, std = LINEAR.prior.clipped_moments
    assert (q >= 0.0).all()
    assert (q == 0.0).any()
    assert q.mean() == pytest.approx(mean, abs=0.01)
    assert q.std() == pytest.approx(std, abs=0.01)


def test_peclet_number() -> None:
    assert LINEAR.peclet == pytest.approx(6.25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa": 0.0}, "linear.kappa: expected a diffusivity above 0, found 0.0"),
        ({"kappa": float("nan")}, "linear.kappa: expected a diffusivity above 0, found nan"),
        ({"sensor_rows": (0.5, 2.5)}, "linear.sensor_rows: expected sensors with 0 <= y <= 2.0, found 2.5"),
        ({"sensor_columns": (1.0, 9.0)}, "linear.sensor_columns: expected sensors with 0 <= x <= 8.5, found 9.0"),
        ({"sensor_rows": ()}, "linear.sensor_rows: expected at least one sensor, found none"),
        ({"sensors_on": 0.0}, "linear.sensors_on: expected a probability above 0, found 0.0"),
    ],
)
def test_impossible_problems_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(LINEAR, **change)  # type: ignore[arg-type]


def test_impossible_priors_are_refused() -> None:
    with pytest.raises(InputError, match=r"prior: expected a std and a length_scale above 0, found 0\.0"):
        replace(LINEAR.prior, std=0.0)


def test_impossible_geometry_is_refused() -> None:
    with pytest.raises(InputError, match="flux_length < length"):
        FluxProblem("short", 0.1, 0.016, geometry=Geometry(length=5.0))


def test_polynomials() -> None:
    polynomial = Polynomial((1.0, -3.0, 0.0, 2.0))
    s = np.linspace(-1.0, 2.0, 7)
    np.testing.assert_allclose(polynomial(s), 1.0 - 3.0 * s + 2.0 * s**3)
    np.testing.assert_allclose(polynomial.derivative(s), -3.0 + 6.0 * s**2)
    assert (polynomial.degree, Polynomial((4.0,)).degree, Polynomial().degree) == (3, 0, 0)
    np.testing.assert_array_equal(Polynomial((4.0,))(s), np.full(7, 4.0))
    np.testing.assert_array_equal(Polynomial()(s), np.zeros(7))
    assert logistic(rate=3.0, capacity=2.0)(0.5) == pytest.approx(3.0 * 0.5 * (1.0 - 0.25))
    assert poiseuille(12.0)(0.5) == pytest.approx(12.0)
