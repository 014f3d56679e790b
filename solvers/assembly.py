"""From a flux problem to its discrete system: the only room that knows dolfinx.

With V_h the continuous piecewise polynomials of degree p on quadrilaterals and u_h = 0 on the left,

    a(u, v) = int kappa grad u . grad v + (b . grad u) v dx = sum_j q_j int_{segment j} v ds    for all v in V_h,

or A u = F q, and the sensors read y = P u. Mesh lines run through the segments' ends and the sensors' rows, so that the
load is exact and high order pays off: with 85 quadrilaterals of degree 6 the sensor values are better than on the
paper's 340,000 linear triangles.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mpi4py import MPI  # before dolfinx, so that one MPI library is loaded first

import dolfinx
import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem import petsc
from numpy.typing import NDArray
from petsc4py import PETSc

from solvers.discretisation import PRODUCTION, Discretisation
from solvers.errors import InputError
from solvers.problems import FluxProblem

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class System:
    """The discrete problem A u = F q, y = P u on one process.

    Attributes:
        space: the dolfinx function space, N degrees of freedom.
        stiffness: A with the left boundary's rows and columns replaced by the identity's, PETSc matrix (N, N).
        load: F, shape (N, d), in Fortran order.
        sensing: P, shape (n, N).
    """

    space: fem.FunctionSpace
    stiffness: PETSc.Mat
    load: Floats
    sensing: Floats


def assemble(problem: FluxProblem, discretisation: Discretisation = PRODUCTION) -> System:
    """Assemble the discrete system of ``problem``, whole on the calling process."""
    space = function_space(problem, discretisation)
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    boundary = left_boundary(space)
    matrix = petsc.assemble_matrix(compiled(bilinear_form(problem, u, v)), bcs=[boundary])
    matrix.assemble()
    load = _segment_loads(problem, space)
    load[boundary.dof_indices()[0]] = 0.0
    return System(space, matrix, load, point_evaluation(space, problem.sensors))


def function_space(problem: FluxProblem, discretisation: Discretisation) -> fem.FunctionSpace:
    """Continuous Lagrange elements on the aligned mesh, on ``COMM_SELF``."""
    x_lines, y_lines = discretisation.lines(problem)
    cells = (len(x_lines) - 1, len(y_lines) - 1)
    corners = [np.array([x_lines[0], y_lines[0]]), np.array([x_lines[-1], y_lines[-1]])]
    domain = mesh.create_rectangle(MPI.COMM_SELF, corners, cells, mesh.CellType.quadrilateral)
    for axis, lines in enumerate((x_lines, y_lines)):
        uniform = np.linspace(lines[0], lines[-1], len(lines))
        domain.geometry.x[:, axis] = np.interp(domain.geometry.x[:, axis], uniform, lines)
    return fem.functionspace(domain, ("Lagrange", discretisation.degree))


def bilinear_form(problem: FluxProblem, u: Any, v: Any) -> Any:
    """The form a(u, v) of advection and diffusion, u and v arguments on one space."""
    domain = u.ufl_function_space().mesh
    height = problem.geometry.height
    y = ufl.SpatialCoordinate(domain)[1]
    velocity = ufl.as_vector([4.0 * problem.max_velocity * (y / height) * (1.0 - y / height), 0.0])
    # A constant, not a number in the form: another diffusivity needs no new kernel.
    kappa = fem.Constant(domain, PETSc.ScalarType(problem.kappa))
    return (kappa * ufl.inner(ufl.grad(u), ufl.grad(v)) + ufl.dot(velocity, ufl.grad(u)) * v) * ufl.dx


def left_boundary(space: fem.FunctionSpace) -> fem.DirichletBC:
    """U = 0 where the flow enters."""
    dofs = fem.locate_dofs_geometrical(space, lambda x: np.isclose(x[0], 0.0))
    return fem.dirichletbc(PETSc.ScalarType(0.0), dofs, space)


def _segment_loads(problem: FluxProblem, space: fem.FunctionSpace) -> Floats:
    """int_{segment j} v ds for every segment j, shape (N, d).

    The flux is represented by a function that is constant on each cell. Mesh lines run through the segments' ends and
    no cell touches both walls, so its trace on the walls is the piecewise constant flux exactly.
    """
    domain = space.mesh
    flux = fem.Function(fem.functionspace(domain, ("Discontinuous Lagrange", 0)))
    centres = flux.function_space.tabulate_dof_coordinates()
    wall_facets = mesh.locate_entities_boundary(
        domain, 1, lambda x: np.isclose(x[1], 0.0) | np.isclose(x[1], problem.geometry.height)
    )
    tags = mesh.meshtags(domain, 1, np.sort(wall_facets), np.ones(len(wall_facets), dtype=np.int32))
    walls = ufl.Measure("ds", domain=domain, subdomain_data=tags)(1)
    form = compiled(flux * ufl.TestFunction(space) * walls)

    edges = problem.geometry.edges
    columns = []
    for upper in (False, True):
        on_side = (centres[:, 1] > problem.geometry.height / 2.0) == upper
        for start, end in pairwise(edges):
            flux.x.array[:] = on_side & (start < centres[:, 0]) & (centres[:, 0] < end)
            columns.append(fem.assemble_vector(form).array.copy())
    return np.asfortranarray(np.stack(columns, axis=1))


def point_evaluation(space: fem.FunctionSpace, points: Floats) -> Floats:
    """The matrix P that takes degrees of freedom to values at ``points`` (n, 2), shape (n, N).

    Raises:
        InputError: if a point lies outside the domain.
    """
    domain = space.mesh
    points3 = np.column_stack([points, np.zeros(len(points))])
    tree = dolfinx.geometry.bb_tree(domain, domain.topology.dim, padding=1e-12)
    candidates = dolfinx.geometry.compute_collisions_points(tree, points3)
    cells = dolfinx.geometry.compute_colliding_cells(domain, candidates, points3)
    matrix = np.zeros((len(points), space.dofmap.index_map.size_local))
    for row, point in enumerate(points3):
        if len(cells.links(row)) == 0:
            raise InputError(f"sensor {row}: expected a position inside the domain, found ({point[0]:g}, {point[1]:g})")
        cell = cells.links(row)[0]
        corners = domain.geometry.x[domain.geometry.dofmaps[0][cell], :2]
        reference = domain.geometry.cmaps[0].pull_back(point[None, :2], corners)
        values = space.element.basix_element.tabulate(0, reference)[0, 0, :, 0]
        matrix[row, space.dofmap.cell_dofs(cell)] = values
    return matrix


def solve(matrix: PETSc.Mat, right_hand_sides: Floats) -> Floats:
    """Solve A X = B by one MUMPS factorisation for all columns at once, shapes (N, N), (N, m) and (N, m)."""
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOperators(matrix)
    ksp.setType("preonly")
    pc = ksp.getPC()
    pc.setType("lu")
    pc.setFactorSolverType("mumps")
    ksp.setErrorIfNotConverged(True)
    ksp.setUp()
    solution = np.zeros_like(right_hand_sides, order="F")
    size = (matrix.size[0], right_hand_sides.shape[1])
    b = PETSc.Mat().createDense(size, array=np.asfortranarray(right_hand_sides), comm=matrix.comm)
    x = PETSc.Mat().createDense(size, array=solution, comm=matrix.comm)
    pc.getFactorMatrix().matSolve(b, x)
    solution = x.getDenseArray().copy(order="F")
    for each in (b, x, ksp):
        each.destroy()
    return solution


def compiled(form: Any) -> fem.Form:
    """Compile a form by FFCx and the C compiler, through a cache that a killed compilation cannot spoil.

    FFCx leaves an empty file when it is killed, and every later run would load it. Each form is compiled in a directory
    of its own that gets its final name only when the compilation is done.

    Raises:
        InputError: if there is no working C compiler.
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
        except OSError:
            if not final.exists():  # else another process was quicker
                raise
        except Exception as error:
            raise InputError(
                f"the C compiler failed on a generated kernel ({error}); are `cc` and Python.h installed?"
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return fem.form(form, jit_options={"cache_dir": final})
