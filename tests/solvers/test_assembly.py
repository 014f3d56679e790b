"""The discrete problem against fresh solves, a manufactured solution, conservation and its own refinement."""

from mpi4py import MPI  # noqa: F401 - before dolfinx

import dolfinx
import numpy as np
import pytest
import ufl
from dolfinx import fem
from dolfinx.fem import petsc

from solvers import assembly
from solvers.discretisation import PRODUCTION, Discretisation
from solvers.errors import InputError
from solvers.linear import sensor_operator
from solvers.problems import LINEAR


def solution(flux: np.ndarray, discretisation: Discretisation) -> tuple[assembly.System, fem.Function]:
    """The concentration field for one flux."""
    system = assembly.assemble(LINEAR, discretisation)
    u = fem.Function(system.space)
    u.x.array[:] = assembly.solve(system.stiffness, (system.load @ flux)[:, None])[:, 0]
    return system, u


def test_operator_agrees_with_fresh_solves_of_the_whole_problem() -> None:
    """A user's script: flux as a function of x on the walls, LinearProblem, values by Function.eval."""
    operator = sensor_operator(LINEAR)
    space = assembly.function_space(LINEAR, PRODUCTION)
    domain = space.mesh
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    x = ufl.SpatialCoordinate(domain)
    points = np.column_stack([LINEAR.sensors, np.zeros(30)])
    tree = dolfinx.geometry.bb_tree(domain, 2)
    cells = dolfinx.geometry.compute_colliding_cells(
        domain, dolfinx.geometry.compute_collisions_points(tree, points), points
    )
    first = [cells.links(i)[0] for i in range(30)]
    edges = LINEAR.geometry.edges
    for flux in LINEAR.prior.sample(0, "test", 0, 3):
        q = ufl.as_ufl(0.0)
        for j in range(30):
            on_wall = ufl.lt(x[1], 1e-9) if j < 15 else ufl.gt(x[1], 2.0 - 1e-9)
            inside = ufl.And(ufl.gt(x[0], edges[j % 15]), ufl.lt(x[0], edges[j % 15 + 1]))
            q += ufl.conditional(ufl.And(on_wall, inside), float(flux[j]), 0.0)
        problem = petsc.LinearProblem(
            assembly.bilinear_form(LINEAR, u, v),
            q * v * ufl.ds,
            bcs=[assembly.left_boundary(space)],
            petsc_options_prefix="fresh_",
            petsc_options={"ksp_type": "preonly", "pc_type": "lu", "ksp_error_if_not_converged": True},
        )
        values = problem.solve().eval(points, first)[:, 0]
        np.testing.assert_allclose(operator @ flux, values, rtol=1e-10)


def test_operator_equals_its_adjoint_computation() -> None:
    system = assembly.assemble(LINEAR)
    transposed = system.stiffness.copy()
    transposed.transpose()
    adjoint = assembly.solve(transposed, np.asfortranarray(system.sensing.T))
    np.testing.assert_allclose(adjoint.T @ system.load, sensor_operator(LINEAR), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("degree", [2, 3])
def test_manufactured_solution_converges_at_the_optimal_order(degree: int) -> None:
    """u = sin(pi x / 2L) (1 + y^2) satisfies the conditions on the left and right; L2 error is O(h^(p+1))."""
    errors = []
    for refinement in (1, 2, 4):
        space = assembly.function_space(LINEAR, Discretisation(degree=degree, refinement=refinement))
        domain = space.mesh
        x = ufl.SpatialCoordinate(domain)
        exact = ufl.sin(np.pi * x[0] / (2.0 * LINEAR.geometry.length)) * (1.0 + x[1] ** 2)
        u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
        velocity = 4.0 * LINEAR.max_velocity * (x[1] / 2.0) * (1.0 - x[1] / 2.0)
        source = velocity * exact.dx(0) - LINEAR.kappa * ufl.div(ufl.grad(exact))
        flux = LINEAR.kappa * ufl.dot(ufl.grad(exact), ufl.FacetNormal(domain))
        boundary = assembly.left_boundary(space)
        matrix = petsc.assemble_matrix(fem.form(assembly.bilinear_form(LINEAR, u, v)), bcs=[boundary])
        matrix.assemble()
        load = fem.assemble_vector(fem.form(source * v * ufl.dx + flux * v * ufl.ds)).array.copy()
        load[boundary.dof_indices()[0]] = 0.0
        found = fem.Function(space)
        found.x.array[:] = assembly.solve(matrix, load[:, None])[:, 0]
        errors.append(np.sqrt(fem.assemble_scalar(fem.form((found - exact) ** 2 * ufl.dx))))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > degree + 0.8).all(), (orders, errors)
    assert (orders < degree + 1.5).all(), (orders, errors)


def test_mass_is_conserved() -> None:
    """What the walls supply leaves on the right or diffuses out on the left."""
    flux = LINEAR.prior.sample(0, "test", 0, 1)[0]
    _, u = solution(flux, Discretisation(degree=6, refinement=2))
    domain = u.function_space.mesh
    right = dolfinx.mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[0], LINEAR.geometry.length))
    left = dolfinx.mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[0], 0.0))
    facets = np.concatenate([right, left])
    values = np.repeat(np.array([1, 2], dtype=np.int32), [len(right), len(left)])
    order = np.argsort(facets)
    tags = dolfinx.mesh.meshtags(domain, 1, facets[order], values[order])
    ds = ufl.Measure("ds", domain=domain, subdomain_data=tags)
    y = ufl.SpatialCoordinate(domain)[1]
    velocity = 4.0 * LINEAR.max_velocity * (y / 2.0) * (1.0 - y / 2.0)
    outflow = fem.assemble_scalar(fem.form(velocity * u * ds(1)))
    through_left = fem.assemble_scalar(fem.form(LINEAR.kappa * u.dx(0) * ds(2)))
    supplied = flux.sum() * LINEAR.geometry.flux_length / LINEAR.geometry.segments
    assert outflow + through_left == pytest.approx(supplied, rel=1e-3)  # the flux at the inlet's corners is rough
    assert abs(through_left) < 0.1 * supplied


def test_production_mesh_is_converged_at_the_sensors() -> None:
    def operator(discretisation: Discretisation) -> np.ndarray:
        system = assembly.assemble(LINEAR, discretisation)
        return system.sensing @ assembly.solve(system.stiffness, system.load)

    fine = operator(Discretisation(degree=8, refinement=2))
    errors = [np.linalg.norm(operator(Discretisation(degree=p)) - fine) / np.linalg.norm(fine) for p in (2, 4, 6)]
    assert errors[2] < 1e-6
    assert errors[0] > 10.0 * errors[1] > 100.0 * errors[2]  # spectral: each two degrees gain more than a digit


def test_a_sensor_outside_the_domain_is_refused() -> None:
    space = assembly.function_space(LINEAR, Discretisation(degree=1))
    with pytest.raises(InputError, match=r"sensor 1: expected a position inside the domain, found \(9, 1\)"):
        assembly.point_evaluation(space, np.array([[1.0, 1.0], [9.0, 1.0]]))


def test_point_evaluation_reproduces_polynomials() -> None:
    space = assembly.function_space(LINEAR, Discretisation(degree=3))
    u = fem.Function(space)
    u.interpolate(lambda x: x[0] ** 3 - 2.0 * x[1] ** 2 * x[0] + x[1])
    points = np.random.default_rng(0).uniform((0.0, 0.0), (8.5, 2.0), (50, 2))
    x, y = points.T
    values = assembly.point_evaluation(space, points) @ u.x.array
    np.testing.assert_allclose(values, x**3 - 2.0 * y**2 * x + y, atol=1e-10)


def test_a_killed_compilation_does_not_spoil_later_ones(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    space = assembly.function_space(LINEAR, Discretisation(degree=1))
    form = 3.0 * ufl.TestFunction(space) * ufl.dx
    expected = fem.assemble_vector(assembly.compiled(form)).array.sum()
    folder = next((tmp_path / "fluxbench").iterdir())
    left_behind = tmp_path / "fluxbench" / "building-killed"  # what a kill leaves: files without the final name
    left_behind.mkdir()
    for file in folder.iterdir():
        (left_behind / file.name).touch()
        file.unlink()
    folder.rmdir()
    assert fem.assemble_vector(assembly.compiled(form)).array.sum() == pytest.approx(expected)
    assert expected == pytest.approx(3.0 * 8.5 * 2.0)
