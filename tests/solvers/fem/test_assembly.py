"""The discrete problem against fresh solves, a manufactured solution, conservation and its own refinement."""

from functools import cache

from mpi4py import MPI  # noqa: F401 - before dolfinx

import dolfinx
import numpy as np
import pytest
import scipy.sparse as sp
import ufl
from dolfinx import fem
from dolfinx.fem import petsc

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.direct import SparseMatrix
from fluxbench.solvers.fem.discretisation import PAPER, AlignedMesh, Discretisation, UniformMesh, discretisation
from fluxbench.solvers.fem.linear import sensor_operator
from fluxbench.solvers.fem.nonlinear import newton
from fluxbench.solvers.fem.stock import StockScript
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.solvers.problems.nonlinear import NONLINEAR


def production(problem: FluxProblem = LINEAR) -> assembly.System:
    return assembly.assemble(problem, discretisation(problem))


@cache
def operator_on(mesh_of: Discretisation) -> np.ndarray:
    return sensor_operator(assembly.assemble(LINEAR, mesh_of))


FINE = AlignedMesh(degree=8, refinement=2)


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def test_operator_agrees_with_fresh_solves_of_the_whole_problem() -> None:
    """A user's script: flux as a function of x on the walls, LinearProblem, values by Function.eval."""
    operator = sensor_operator(production())
    space = assembly.function_space(LINEAR, discretisation(LINEAR))
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
            assembly.transport(LINEAR, u, v),
            q * v * ufl.ds,
            bcs=[assembly.left_boundary(space)],
            petsc_options_prefix="fresh_",
            petsc_options={"ksp_type": "preonly", "pc_type": "lu", "ksp_error_if_not_converged": True},
        )
        values = problem.solve().eval(points, first)[:, 0]
        np.testing.assert_allclose(operator @ flux, values, rtol=1e-10)


def test_operator_equals_its_adjoint_computation() -> None:
    """G^T = F^T A^-T P^T, with A's columns solved for by MUMPS on the same mesh."""
    system = production()
    identity = np.eye(len(system.mass))
    transposed = SparseMatrix(sp.csr_array(system.operator.apply(identity).T))
    right_hand_sides = np.ascontiguousarray(system.sensing.toarray().T)
    adjoint = transposed.factorise().solve(right_hand_sides, np.empty_like(right_hand_sides))
    np.testing.assert_allclose(adjoint.T @ system.load, sensor_operator(system), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("degree", [2, 3])
def test_manufactured_solution_converges_at_the_optimal_order(degree: int) -> None:
    """u = sin(pi x / 2L) (1 + y^2) satisfies the conditions on the left and right; L2 error is O(h^(p+1))."""
    errors = []
    for refinement in (1, 2, 4):
        space = assembly.function_space(LINEAR, AlignedMesh(degree=degree, refinement=refinement))
        domain = space.mesh
        x = ufl.SpatialCoordinate(domain)
        exact = ufl.sin(np.pi * x[0] / (2.0 * LINEAR.geometry.length)) * (1.0 + x[1] ** 2)
        u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
        velocity = 0.4 * (x[1] / 2.0) * (1.0 - x[1] / 2.0)
        source = velocity * exact.dx(0) - LINEAR.kappa * ufl.div(ufl.grad(exact))
        flux = LINEAR.kappa * ufl.dot(ufl.grad(exact), ufl.FacetNormal(domain))
        boundary = assembly.left_boundary(space)
        matrix = petsc.assemble_matrix(fem.form(assembly.transport(LINEAR, u, v)), bcs=[boundary])
        matrix.assemble()
        load = fem.assemble_vector(fem.form(source * v * ufl.dx + flux * v * ufl.ds)).array.copy()
        load[boundary.dof_indices()[0]] = 0.0
        found = fem.Function(space)
        indptr, indices, data = matrix.getValuesCSR()
        factors = SparseMatrix(sp.csr_array((data, indices, indptr), shape=matrix.size)).factorise()
        found.x.array[:] = factors.solve(load[:, None], np.empty((len(load), 1)))[:, 0]
        errors.append(np.sqrt(fem.assemble_scalar(fem.form((found - exact) ** 2 * ufl.dx))))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > degree + 0.8).all(), (orders, errors)
    assert (orders < degree + 1.5).all(), (orders, errors)


@pytest.mark.parametrize("problem", [LINEAR, NONLINEAR], ids=lambda problem: problem.name)
def test_mass_is_conserved(problem: FluxProblem) -> None:
    """What the walls and the reaction supply leaves on the right or diffuses out on the left."""
    mesh_of = AlignedMesh(degree=4, refinement=2)
    flux = 0.2 * problem.prior.sample(0, "test", 0, 1)[0]  # far from the capacity, where the reaction would fade
    system = assembly.assemble(problem, mesh_of)
    state = newton(system, flux)
    assert system.imbalance(state, flux) < 1e-11  # rounding
    # The same by derivatives of the field, which are rough where a flux begins at the inlet.
    space = assembly.function_space(problem, mesh_of)
    values = assembly.point_evaluation(space, system.nodes, "node").T.tocsr()  # at nodes: one entry of 1 a column
    u = fem.Function(space)
    u.x.array[:] = (values > 0.5) @ state
    domain = space.mesh
    right = dolfinx.mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[0], problem.geometry.length))
    left = dolfinx.mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[0], 0.0))
    facets = np.concatenate([right, left])
    values = np.repeat(np.array([1, 2], dtype=np.int32), [len(right), len(left)])
    order = np.argsort(facets)
    tags = dolfinx.mesh.meshtags(domain, 1, facets[order], values[order])
    ds = ufl.Measure("ds", domain=domain, subdomain_data=tags)
    y = ufl.SpatialCoordinate(domain)[1]
    outflow = fem.assemble_scalar(fem.form(problem.velocity(y / 2.0) * u * ds(1)))
    through_left = fem.assemble_scalar(fem.form(problem.kappa * u.dx(0) * ds(2)))
    reacted = fem.assemble_scalar(fem.form(problem.reaction(u) * ufl.dx(domain)))
    supplied = flux.sum() * problem.geometry.flux_length / problem.geometry.segments
    assert outflow + through_left == pytest.approx(supplied + reacted, rel=1e-3)  # the inlet's corners are rough
    assert abs(through_left) < 0.2 * supplied
    assert (abs(reacted) > 0.2 * supplied) == (problem is NONLINEAR)


def test_production_mesh_is_converged_at_the_sensors() -> None:
    fine = operator_on(FINE)
    errors = [relative(operator_on(AlignedMesh(degree=p)), fine) for p in (2, 4, 6)]
    assert errors[2] < 1e-6
    assert errors[0] > 10.0 * errors[1] > 100.0 * errors[2]  # spectral: each two degrees gain more than a digit


def test_loads_of_a_mesh_that_does_not_align_are_exact() -> None:
    """Sums over the basis, which is a partition of unity, and first moments, for which linear elements are exact."""
    mesh_of = UniformMesh(cells=(37, 4))
    space = assembly.function_space(LINEAR, mesh_of)
    loads = assembly.wall_loads(LINEAR, space, mesh_of.lines(LINEAR)[0])
    np.testing.assert_allclose(loads.sum(axis=0), 7.0 / 15.0, rtol=1e-12)
    moments = loads.T @ space.tabulate_dof_coordinates()[:, :2]
    np.testing.assert_allclose(moments / (7.0 / 15.0), LINEAR.geometry.centres, atol=1e-12)


def test_the_papers_mesh_converges_to_the_production_mesh_at_second_order() -> None:
    """Linear triangles with exact loads: the error at the sensors falls by four when the cells are halved.

    So the error on the paper's own mesh follows from a coarser one's, which is factorised in a tenth of the time.
    """
    exact = operator_on(AlignedMesh())
    errors = [relative(operator_on(UniformMesh(cells=cells)), exact) for cells in ((85, 20), (170, 40), (340, 80))]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (np.abs(orders - 2.0) < 0.4).all(), (orders, errors)
    assert UniformMesh(cells=(850, 200)) == PAPER
    paper = errors[-1] * (340 / 850) ** 2
    assert 1e-5 < paper < 1e-4
    assert paper > 30.0 * relative(exact, operator_on(FINE))


def test_lumping_the_reaction_costs_no_accuracy() -> None:
    """Stock SNES with the consistent mass on the same mesh."""
    mesh_of = AlignedMesh()
    script, system = StockScript(NONLINEAR, mesh_of), assembly.assemble(NONLINEAR, mesh_of)
    flux = NONLINEAR.prior.sample(0, "test", 0, 1)[0]
    assert relative(system.sensing @ newton(system, flux), script.measure(flux)) < 1e-7


def test_high_order_on_a_mesh_that_does_not_align_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"expected lines at the segments' ends for degree 2, found none at x = 0.4666"
    ):
        assembly.assemble(LINEAR, UniformMesh(degree=2, cells=(85, 20)))
    assembly.assemble(LINEAR, UniformMesh(degree=2, cells=(255, 4)))  # h = 1/30 aligns


def test_layers_out_of_order_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"layers: expected increasing fractions above 0, up to 0.5, found \(0.3, 0.2\)"
    ):
        AlignedMesh(layers=(0.3, 0.2))


def test_a_sensor_outside_the_domain_is_refused() -> None:
    space = assembly.function_space(LINEAR, AlignedMesh(degree=1))
    with pytest.raises(InputError, match=r"sensor 1: expected a position inside the domain, found \(9, 1\)"):
        assembly.point_evaluation(space, np.array([[1.0, 1.0], [9.0, 1.0]]), "sensor")


def test_point_evaluation_reproduces_polynomials() -> None:
    space = assembly.function_space(LINEAR, AlignedMesh(degree=3))
    u = fem.Function(space)
    u.interpolate(lambda x: x[0] ** 3 - 2.0 * x[1] ** 2 * x[0] + x[1])
    points = np.random.default_rng(0).uniform((0.0, 0.0), (8.5, 2.0), (50, 2))
    x, y = points.T
    values = assembly.point_evaluation(space, points, "point") @ u.x.array
    np.testing.assert_allclose(values, x**3 - 2.0 * y**2 * x + y, atol=1e-10)


def test_a_killed_compilation_does_not_spoil_later_ones(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    space = assembly.function_space(LINEAR, AlignedMesh(degree=1))
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
