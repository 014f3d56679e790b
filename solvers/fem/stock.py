"""The script that one would write first: stock DOLFINx on the paper's mesh, one sample at a time.

The fast solvers are measured against it, in speed and in accuracy. Everything that does not change from sample to
sample is set up once, MUMPS is named, the flux enters by exact segment loads, and each sample starts from the
problem's start, not from the sample before, which would be a little quicker. The reaction's mass is consistent, as a
form gives it, not lumped.
"""

from mpi4py import MPI  # noqa: F401 - before dolfinx, so that one MPI library is loaded first

import ufl
from dolfinx import fem
from dolfinx.fem import petsc
from petsc4py import PETSc

from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.discretisation import PAPER, Discretisation


class StockScript:
    """One flux problem, solved by dolfinx's ``NonlinearProblem``: PETSc's SNES, Newton with line search, MUMPS."""

    def __init__(self, problem: FluxProblem, mesh_of: Discretisation = PAPER) -> None:
        self.problem = problem
        space = assembly.function_space(problem, mesh_of)
        self.u, v = fem.Function(space), ufl.TestFunction(space)
        form = assembly.transport(problem, self.u, v) - problem.reaction(self.u) * v * ufl.dx(space.mesh)
        boundary = assembly.left_boundary(space)
        options = {
            "snes_atol": 1e-12,
            "snes_rtol": 1e-10,
            "snes_error_if_not_converged": True,
            "ksp_type": "preonly",
            "ksp_error_if_not_converged": True,
            "pc_type": "lu",
            "pc_factor_mat_solver_type": "mumps",
        }
        self.solver = petsc.NonlinearProblem(
            form, self.u, bcs=[boundary], petsc_options_prefix=f"stock_{id(self)}_", petsc_options=options
        )
        self.load = assembly.wall_loads(problem, space, mesh_of.lines(problem)[0])
        self.load[boundary.dof_indices()[0]] = 0.0
        self.sensing = assembly.point_evaluation(space, problem.sensors, "sensor")

    @property
    def unknowns(self) -> int:
        """Number of degrees of freedom, those on the left boundary included."""
        return len(self.u.x.array)

    def measure(self, flux: Floats) -> Floats:
        """Return the noise-free sensor values (n,) of one flux (d,).

        Raises:
            InputError: if SNES does not converge.
        """
        snes, x = self.solver.solver, self.solver.x
        x.set(self.problem.start)
        load = x.duplicate()
        load.setArray(self.load @ flux)
        try:
            snes.solve(load, x)
        except PETSc.Error as error:
            raise InputError(
                f"{self.problem.name}: SNES did not converge (reason {snes.getConvergedReason()})"
            ) from error
        return self.sensing @ x.getArray()
