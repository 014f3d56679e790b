"""Fields of the whole channel agree with what the sensors read."""

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline

from solvers.fields import fields
from solvers.flux_problems.linear import LINEAR
from solvers.flux_problems.nonlinear import NONLINEAR
from solvers.problems import FluxProblem
from solvers.simulators import simulator


@pytest.mark.parametrize("problem", [LINEAR, NONLINEAR], ids=lambda problem: problem.name)
def test_sensors_read_the_field_where_they_are(problem: FluxProblem) -> None:
    flux = problem.prior.sample(0, "fields", 0, 2)
    x, y, concentration = fields(problem, flux)
    assert concentration.shape == (2, len(y), len(x))
    assert (concentration[:, :, 0] == 0.0).all()
    expected = simulator(problem).measure(flux)
    for field, readings in zip(concentration, expected, strict=True):
        spline = RectBivariateSpline(x, y, field.T)
        np.testing.assert_allclose(spline(*problem.sensors.T, grid=False), readings, rtol=5e-3)
