"""Fields of the whole channel agree with what the sensors read."""

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline

from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem.fields import fields
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.solvers.problems.nonlinear import NONLINEAR


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
