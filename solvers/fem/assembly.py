"""The discrete system of a flux problem, assembled by dolfinx.

With V_h the continuous piecewise polynomials of degree p and u_h = 0 on the left,

    int kappa grad u . grad v + (b . grad u) v dx = int f(u) v dx + sum_j q_j int_{segment j} v ds    for all v in V_h,

or A u = M f(u) + F q, and the sensors read y = P u. The reaction's mass M is lumped by the Gauss-Lobatto-Legendre rule
at the nodes of V_h, so that f acts on each unknown alone. Unknowns are those inside and on the open boundary, sorted
along the channel.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpi4py import MPI  # before dolfinx, so that one MPI library is loaded first

import dolfinx
import numpy as np
import scipy.sparse as sp
import ufl
from dolfinx import fem, mesh
from dolfinx.fem import petsc
from petsc4py import PETSc

from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem.direct import BlockTridiagonalMatrix, Factors, Matrix, SparseMatrix
from fluxbench.solvers.fem.discretisation import Discretisation


@dataclass(frozen=True)
class Balance:
    """Terms of the mass balance of N unknowns and d fluxes that their equations A u = M f(u) + F q do not hold.

    Attributes:
        outflow: int_right (b . n) v ds for every function v of the basis, shape (N,).
        inlet: sum of the equations on the left boundary, which u = 0 replaces, shape (N,).
        inlet_load: sum of the loads F of the equations on the left boundary, shape (d,).
    """

    outflow: Floats
    inlet: Floats
    inlet_load: Floats


@dataclass(frozen=True)
class System:
    """The discrete problem A u = M f(u) + F q, y = P u, on one process; N unknowns.

    Attributes:
        problem: the flux problem that is discretised.
        operator: A, of advection and diffusion, shape (N, N).
        mass: the diagonal of the lumped M, shape (N,).
        load: F, shape (N, d).
        sensing: P, sparse, shape (n, N).
        nodes: positions of the unknowns, shape (N, 2).
        balance: terms of the mass balance.
    """

    problem: FluxProblem
    operator: Matrix
    mass: Floats
    load: Floats
    sensing: sp.csr_array
    nodes: Floats
    balance: Balance

    def imbalance(self, u: Floats, flux: Floats) -> float:
        """Return the gap in the mass balance of a state u (N,) under a flux (d,), relative to what the walls supply.

        Fluxes and the reaction supply; the flow carries out on the right, and diffusion on the left. The discrete
        problem conserves mass, so that rounding alone is left.
        """
        geometry, balance = self.problem.geometry, self.balance
        supplied = flux.sum() * geometry.flux_length / geometry.segments
        reacted = self.mass @ self.problem.reaction(u)
        lost_on_the_left = balance.inlet_load @ flux - balance.inlet @ u
        return float(abs(supplied + reacted - balance.outflow @ u - lost_on_the_left) / supplied)

    def residual(self, u: Floats, flux: Floats) -> Floats:
        """Return the largest |A u - M f(u) - F q| of each column, for states u (N, B) and fluxes (d, B), shape (B,).

        It is relative to the largest load |F q| of the prior's mean flux.
        """
        gap = self.operator.apply(u)
        gap -= self.mass[:, None] * self.problem.reaction(u)
        gap -= self.load @ flux
        return np.abs(gap).max(axis=0) / np.abs(self.load.sum(axis=1) * self.problem.prior.clipped_moments[0]).max()

    def linearised(self, u: Floats) -> Factors:
        """Return factors of the Jacobian A - M f'(u) at a state u (N,).

        Raises:
            InputError: if the Jacobian is singular; MUMPS says so when it first solves.
        """
        return self.operator.factorise(self.mass * self.problem.reaction.derivative(u))


def assemble(problem: FluxProblem, mesh_of: Discretisation) -> System:
    """Assemble the discrete system of ``problem``, whole on the calling process.

    Raises:
        InputError: if a sensor lies outside the domain, the mesh does not suit the problem, or no C compiler works.
    """
    space = function_space(problem, mesh_of)
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    matrix = petsc.assemble_matrix(compiled(transport(problem, u, v)))
    matrix.assemble()
    indptr, indices, data = matrix.getValuesCSR()
    stiffness = sp.csr_array((data, indices, indptr), shape=matrix.size)
    matrix.destroy()

    inlet = left_boundary(space).dof_indices()[0]
    nodes = space.tabulate_dof_coordinates()[:, :2]
    free = np.setdiff1d(np.arange(len(nodes)), inlet)
    unknowns = free[np.lexsort(nodes[free].T[::-1].round(9))]
    load = wall_loads(problem, space, mesh_of.lines(problem)[0])
    balance = Balance(
        outflow=_outflow(problem, space)[unknowns],
        inlet=stiffness[inlet].sum(axis=0)[unknowns],
        inlet_load=load[inlet].sum(axis=0),
    )
    stiffness = stiffness[unknowns][:, unknowns]
    nodes = nodes[unknowns]
    operator: Matrix
    if mesh_of.quadrilaterals:
        x_lines = mesh_of.lines(problem)[0]
        operator = BlockTridiagonalMatrix(stiffness, np.searchsorted(nodes[:, 0], x_lines + 1e-9 * x_lines[-1]))
    else:
        operator = SparseMatrix(stiffness)
    return System(
        problem=problem,
        operator=operator,
        mass=fem.assemble_vector(compiled(v * lumped(space))).array[unknowns],
        load=load[unknowns],
        sensing=point_evaluation(space, problem.sensors, "sensor")[:, unknowns],
        nodes=nodes,
        balance=balance,
    )


def lumped(space: fem.FunctionSpace) -> ufl.Measure:
    """Return the measure whose quadrature points are the nodes of ``space``, which makes its mass matrix diagonal."""
    degree = space.element.basix_element.degree
    if degree == 1:
        return ufl.dx(metadata={"quadrature_rule": "vertex"})
    return ufl.dx(metadata={"quadrature_rule": "GLL", "quadrature_degree": 2 * degree - 1})


def function_space(problem: FluxProblem, mesh_of: Discretisation) -> fem.FunctionSpace:
    """Return continuous Lagrange elements on a mesh of the channel, whole on the calling process.

    Raises:
        InputError: if the mesh does not suit the problem.
    """
    x_lines, y_lines = mesh_of.lines(problem)
    cells = (len(x_lines) - 1, len(y_lines) - 1)
    corners = [np.array([x_lines[0], y_lines[0]]), np.array([x_lines[-1], y_lines[-1]])]
    cell = mesh.CellType.quadrilateral if mesh_of.quadrilaterals else mesh.CellType.triangle
    domain = mesh.create_rectangle(MPI.COMM_SELF, corners, cells, cell)
    for axis, lines in enumerate((x_lines, y_lines)):
        uniform = np.linspace(lines[0], lines[-1], len(lines))
        domain.geometry.x[:, axis] = np.interp(domain.geometry.x[:, axis], uniform, lines)
    return fem.functionspace(domain, ("Lagrange", mesh_of.degree))


def transport(problem: FluxProblem, u: Any, v: Any) -> Any:
    """Return the form of advection and diffusion, int kappa grad u . grad v + (b . grad u) v dx.

    Args:
        problem: gives kappa and the velocity b.
        u: concentration, a UFL argument or function.
        v: test function.
    """
    domain = u.ufl_function_space().mesh
    velocity = ufl.as_vector([problem.velocity(_across(problem, domain)), 0.0])
    # A constant, not a number in the form: another diffusivity needs no new kernel.
    kappa = fem.Constant(domain, PETSc.ScalarType(problem.kappa))
    return (kappa * ufl.inner(ufl.grad(u), ufl.grad(v)) + ufl.dot(velocity, ufl.grad(u)) * v) * ufl.dx


def _across(problem: FluxProblem, domain: mesh.Mesh) -> Any:
    """Return y/H, the coordinate across the channel."""
    return ufl.SpatialCoordinate(domain)[1] / problem.geometry.height


def left_boundary(space: fem.FunctionSpace) -> fem.DirichletBC:
    """Return the boundary condition u = 0 on the left, where the flow enters."""
    dofs = fem.locate_dofs_geometrical(space, lambda x: np.isclose(x[0], 0.0))
    return fem.dirichletbc(PETSc.ScalarType(0.0), dofs, space)


def _outflow(problem: FluxProblem, space: fem.FunctionSpace) -> Floats:
    """Assemble int_right (b . n) v ds for every function v of the basis, shape (N,)."""
    domain = space.mesh
    right = mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[0], problem.geometry.length))
    tags = mesh.meshtags(domain, 1, np.sort(right), np.ones(len(right), dtype=np.int32))
    ds = ufl.Measure("ds", domain=domain, subdomain_data=tags)(1)
    form = problem.velocity(_across(problem, domain)) * ufl.TestFunction(space) * ds
    return fem.assemble_vector(compiled(form)).array.copy()


def wall_loads(problem: FluxProblem, space: fem.FunctionSpace, x_lines: Floats) -> Floats:
    """Integrate every function v of the basis over every flux segment j, int_{segment j} v ds, shape (N, d).

    Exact on every mesh: each piece of wall between two neighbours among segment ends and mesh lines gets a Gauss rule
    of its own.

    Args:
        problem: gives the segments.
        space: N functions.
        x_lines: x of the mesh lines across the channel.
    """
    geometry = problem.geometry
    degree = space.element.basix_element.degree
    abscissae, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    cuts = np.sort(np.concatenate([geometry.edges, x_lines[x_lines < geometry.flux_length]]))
    cuts = cuts[np.diff(cuts, prepend=-1.0) > 1e-9 * geometry.length]  # those that coincide, once
    centres, halves = 0.5 * (cuts[1:] + cuts[:-1]), 0.5 * np.diff(cuts)
    x = (centres[:, None] + halves[:, None] * abscissae).ravel()
    w = (halves[:, None] * weights).ravel()
    segment = np.searchsorted(geometry.edges, x) - 1
    loads = []
    for wall in (0.0, geometry.height):
        values = point_evaluation(space, np.column_stack([x, np.full_like(x, wall)]), "wall")
        into_segments = sp.csr_array((w, (segment, np.arange(len(x)))), shape=(geometry.segments, len(x)))
        loads.append((into_segments @ values).toarray().T)
    return np.concatenate(loads, axis=1)


def point_evaluation(space: fem.FunctionSpace, points: Floats, what: str) -> sp.csr_array:
    """Return the sparse matrix P (n, N) that takes N degrees of freedom to values at ``points`` (n, 2).

    Args:
        space: N functions.
        points: positions in the plane.
        what: what a point is called in an error, such as ``"sensor"``.

    Raises:
        InputError: if a point lies outside the domain.
    """
    domain = space.mesh
    points3 = np.column_stack([points, np.zeros(len(points))])
    tree = dolfinx.geometry.bb_tree(domain, domain.topology.dim, padding=1e-12)
    candidates = dolfinx.geometry.compute_collisions_points(tree, points3)
    found = dolfinx.geometry.compute_colliding_cells(domain, candidates, points3)
    if (missed := np.flatnonzero(np.diff(found.offsets) == 0)).size:
        row = missed[0]
        position = f"({points[row, 0]:g}, {points[row, 1]:g})"
        raise InputError(f"{what} {row}: expected a position inside the domain, found {position}")
    cells = found.array[found.offsets[:-1]]
    corners = domain.geometry.x[domain.geometry.dofmaps[0][cells], :2]
    coordinates = domain.geometry.cmaps[0]
    reference = np.concatenate(
        [coordinates.pull_back(point[None], cell) for point, cell in zip(points, corners, strict=True)]
    )
    values = space.element.basix_element.tabulate(0, reference)[0, :, :, 0]
    columns = space.dofmap.list[cells]
    rows = np.arange(len(points) + 1) * values.shape[1]
    size = space.dofmap.index_map.size_local
    return sp.csr_array((values.ravel(), columns.ravel(), rows), shape=(len(points), size))


def compiled(form: Any) -> fem.Form:
    """Compile a form by FFCx and the C compiler, through a cache that a killed compilation cannot spoil.

    FFCx leaves an empty file when it is killed, and every later run would load it. Each form is compiled in a directory
    of its own that gets its final name only when the compilation is done.

    Raises:
        InputError: if there is no working C compiler, or the cache cannot be written.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fluxbench"
    identity = f"{dolfinx.__version__}/{form.signature()}"
    final = root / hashlib.sha256(identity.encode()).hexdigest()[:32]
    if not final.exists():
        try:
            root.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix="building-", dir=root))
        except OSError as error:
            raise InputError(f"{root}: cannot be written: {error.strerror}; set XDG_CACHE_HOME") from error
        try:
            fem.form(form, jit_options={"cache_dir": building})
            os.rename(building, final)
        except OSError as error:
            if not final.exists():  # else another process was quicker
                raise InputError(
                    f"{final}: cannot be written: {error.strerror or error}; set XDG_CACHE_HOME"
                ) from error
        except Exception as error:
            raise InputError(
                f"the C compiler failed on a generated kernel ({error}); are `cc` and Python.h installed?"
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return fem.form(form, jit_options={"cache_dir": final})
