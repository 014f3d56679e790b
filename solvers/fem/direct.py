"""Direct solvers for the discrete problem: factorise once, solve for many right-hand sides at a time.

Two kinds of matrix have one interface: ``apply``, and ``factorise``, whose result has ``solve``. Unknowns are the rows
of an array (N, B), samples are its columns.

On an aligned mesh with unknowns sorted along the channel the matrix is block tridiagonal, one dense block a column of
cells, and neighbours touch through one line of nodes only. With D_i, L_i, U_i the blocks on, below and above the
diagonal

    E_1 = D_1,    E_i = D_i - L_i E_{i-1}^-1 U_{i-1},
    z_i = E_i^-1 (b_i - L_i z_{i-1}),    x_i = z_i - E_i^-1 U_i x_{i+1}

(Golub and Van Loan, Matrix Computations, 4.5). With E_i^-1 formed, a solve is products of small dense matrices with
wide ones, which run at a core's full speed. On the paper's triangles the blocks are many and sparse: MUMPS solves
there.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from mpi4py import MPI

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fluxbench.arrays import Floats, Reals
from fluxbench.errors import InputError


class Factors(Protocol):
    """A factorised matrix (N, N), which solves in the precision of its factors."""

    def solve[A: Reals](self, b: A, out: A) -> A:
        """Solve for every column of ``b`` (N, B) into ``out``, which is returned; ``b`` is overwritten.

        Raises:
            InputError: if the matrix is singular.
        """
        ...

    def rounded(self) -> "Factors":
        """Return factors in single precision, or these factors where single precision gains nothing."""
        ...


class Matrix(Protocol):
    """A discrete operator A, shape (N, N)."""

    def apply(self, x: Floats) -> Floats:
        """Return A x for x of shape (N, B)."""
        ...

    def factorise(self, shift: Floats | float = 0.0) -> Factors:
        """Return factors of A - diag(shift), for a shift of shape (N,) or one number.

        Raises:
            InputError: if the matrix is found to be singular already here.
        """
        ...


class BlockTridiagonalMatrix:
    """A matrix whose block i touches block i + 1 through the last ``line`` rows and columns of block i only.

    Args:
        matrix: sparse matrix (N, N), its unknowns sorted along the channel.
        bounds: first row of each block, and one past the last row.

    Raises:
        ValueError: if blocks touch in another manner.
    """

    def __init__(self, matrix: sp.csr_array, bounds: NDArray[np.int64]) -> None:
        self.bounds = [int(b) for b in bounds]
        blocks = [slice(a, b) for a, b in zip(self.bounds[:-1], self.bounds[1:], strict=True)]
        self.blocks = blocks
        above = [matrix[blocks[i], blocks[i + 1]].toarray() for i in range(len(blocks) - 1)]
        below = [matrix[blocks[i + 1], blocks[i]].toarray() for i in range(len(blocks) - 1)]
        self.line = max((int(u.any(axis=1)[::-1].nonzero()[0].max()) + 1 for u in above), default=0)
        self.diagonal = [matrix[block, block].toarray() for block in blocks]
        self.above = [np.ascontiguousarray(u[-self.line :]) for u in above]
        self.below = [np.ascontiguousarray(b[:, -self.line :]) for b in below]
        entries = sum(np.count_nonzero(m) for part in (self.diagonal, self.above, self.below) for m in part)
        if entries != np.count_nonzero(matrix.data):
            raise ValueError("expected a matrix whose blocks touch their neighbours through their last line only")

    def lines(self, i: int) -> slice:
        """Return the rows through which block i touches block i + 1."""
        return slice(self.bounds[i + 1] - self.line, self.bounds[i + 1])

    def apply(self, x: Floats) -> Floats:
        """Return A x for x of shape (N, B)."""
        y = np.empty_like(x)
        for i, block in enumerate(self.blocks):
            np.matmul(self.diagonal[i], x[block], out=y[block])
            if i > 0:
                y[block] += self.below[i - 1] @ x[self.lines(i - 1)]
                y[self.lines(i - 1)] += self.above[i - 1] @ x[block]
        return y

    def factorise(self, shift: Floats | float = 0.0) -> "BlockTridiagonalFactors":
        """Return factors of A - diag(shift), for a shift of shape (N,) or one number.

        Raises:
            InputError: if the shifted matrix is singular.
        """
        return BlockTridiagonalFactors.of(self, np.broadcast_to(shift, self.bounds[-1]))


@dataclass(frozen=True)
class BlockTridiagonalFactors:
    """Factors of a block tridiagonal matrix, in the letters of the module's docstring.

    Attributes:
        blocks: rows of each block.
        inverse: E_i^-1, one dense array a block.
        last_columns: the columns of E_i^-1 that U_i reaches.
        above: the last rows of U_i.
        below: the last columns of L_i.
    """

    blocks: list[slice]
    inverse: list[Reals]
    last_columns: list[Reals]
    above: list[Reals]
    below: list[Reals]

    @classmethod
    def of(cls, matrix: BlockTridiagonalMatrix, shift: Floats) -> "BlockTridiagonalFactors":
        """Factorise A - diag(shift), for a shift of shape (N,).

        Raises:
            InputError: if the shifted matrix is singular.
        """
        line = matrix.line
        inverse: list[Reals] = []
        for i, block in enumerate(matrix.blocks):
            pivot = matrix.diagonal[i] - np.diag(shift[block])
            if i > 0:
                pivot -= matrix.below[i - 1] @ (inverse[-1][-line:, -line:] @ matrix.above[i - 1])
            try:
                inverse.append(np.linalg.inv(pivot))
            except np.linalg.LinAlgError as error:
                raise InputError("the discrete problem is singular: no solution, or many") from error
        last: list[Reals] = [np.ascontiguousarray(e[:, -line:]) for e in inverse]
        return cls(matrix.blocks, inverse, last, [*matrix.above], [*matrix.below])

    def rounded(self) -> "BlockTridiagonalFactors":
        """Return these factors in single precision."""

        def single(part: list[Reals]) -> list[Reals]:
            return [block.astype(np.float32) for block in part]

        parts = (self.inverse, self.last_columns, self.above, self.below)
        return BlockTridiagonalFactors(self.blocks, *map(single, parts))

    def solve[A: Reals](self, b: A, out: A) -> A:
        """Solve for every column of ``b`` (N, B) into ``out``, which is returned; ``b`` is overwritten."""
        for i, block in enumerate(self.blocks):
            if i > 0:
                below = self.below[i - 1]
                b[block] -= below @ out[block.start - below.shape[1] : block.start]
            np.matmul(self.inverse[i], b[block], out=out[block])
        for i in range(len(self.blocks) - 2, -1, -1):
            out[self.blocks[i]] -= self.last_columns[i] @ (self.above[i] @ out[self.blocks[i + 1]])
        return out


class SparseMatrix:
    """A sparse matrix (N, N) of any pattern, factorised by MUMPS."""

    def __init__(self, matrix: sp.csr_array) -> None:
        self.matrix = matrix

    def apply(self, x: Floats) -> Floats:
        """Return A x for x of shape (N, B)."""
        return self.matrix @ x

    def factorise(self, shift: Floats | float = 0.0) -> "MumpsFactors":
        """Return factors of A - diag(shift), for a shift of shape (N,) or one number; MUMPS starts when they solve."""
        shifts = sp.diags_array(np.broadcast_to(shift, self.matrix.shape[0]))
        return MumpsFactors(sp.csr_array(self.matrix - shifts))


class MumpsFactors:
    """A matrix that MUMPS factorises when it is first needed, on the process that needs it.

    PETSc objects stay on their process: what travels between ranks is the matrix.
    """

    def __init__(self, matrix: sp.csr_array) -> None:
        self.matrix = matrix
        self._solver: Any = None

    def __getstate__(self) -> dict[str, object]:
        return {"matrix": self.matrix, "_solver": None}

    def solve[A: Reals](self, b: A, out: A) -> A:
        """Solve for every column of ``b`` (N, B) into ``out``, which is returned; one call of MatMatSolve.

        Raises:
            InputError: if the matrix is singular, or MUMPS is out of memory.
        """
        from petsc4py import PETSc  # noqa: PLC0415 - PETSc starts up collectively, where a problem is assembled

        columns, solution = np.asfortranarray(b), np.empty_like(b, order="F")
        dense = [PETSc.Mat().createDense(b.shape, array=a, comm=MPI.COMM_SELF) for a in (columns, solution)]
        try:
            if self._solver is None:
                self._solver = _mumps(self.matrix)
            self._solver.getFactorMatrix().matSolve(*dense)
        except PETSc.Error as error:  # at the first solve, even where the factorisation failed
            raise InputError("the discrete problem is singular, or MUMPS is out of memory") from error
        out[:] = dense[1].getDenseArray()
        for matrix in dense:
            matrix.destroy()
        return out

    def rounded(self) -> "MumpsFactors":
        """Return these factors themselves: MUMPS is built for one precision."""
        return self


def _mumps(matrix: sp.csr_array) -> Any:
    """Factorise a sparse matrix by MUMPS, as a PETSc preconditioner."""
    from petsc4py import PETSc  # noqa: PLC0415

    csr = (matrix.indptr.astype(PETSc.IntType), matrix.indices.astype(PETSc.IntType), matrix.data)
    operator = PETSc.Mat().createAIJ(matrix.shape, csr=csr, comm=MPI.COMM_SELF)
    solver = PETSc.PC().create(MPI.COMM_SELF)
    solver.setOperators(operator)
    solver.setType("lu")
    solver.setFactorSolverType("mumps")
    solver.setFactorSetUpSolverType()
    solver.getFactorMatrix().setMumpsIcntl(27, 64)  # right-hand sides in blocks of this many
    solver.setUp()
    return solver
