"""Both direct solvers against dense linear algebra, and against each other on the discrete problem."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fluxbench.errors import InputError
from fluxbench.solvers.fem import assembly
from fluxbench.solvers.fem.direct import BlockTridiagonalMatrix, SparseMatrix
from fluxbench.solvers.fem.discretisation import AlignedMesh
from fluxbench.solvers.problems.nonlinear import NONLINEAR

SIZES = (7, 5, 5, 6)
LINE = 2


def block_tridiagonal(rng: np.random.Generator) -> tuple[sp.csr_array, np.ndarray]:
    bounds = np.concatenate([[0], np.cumsum(SIZES)])
    matrix = np.zeros((bounds[-1], bounds[-1]))
    for a, b, c in zip(bounds[:-2], bounds[1:-1], bounds[2:], strict=True):
        matrix[b - LINE : b, b:c] = rng.normal(size=(LINE, c - b))
        matrix[b:c, b - LINE : b] = rng.normal(size=(c - b, LINE))
        matrix[a:b, a:b] = rng.normal(size=(b - a, b - a))
    matrix[bounds[-2] :, bounds[-2] :] = rng.normal(size=(SIZES[-1], SIZES[-1]))
    return sp.csr_array(matrix + 10.0 * np.eye(len(matrix))), bounds


@pytest.mark.parametrize("kind", ["blocks", "mumps"])
def test_apply_and_solve_are_those_of_the_dense_matrix(kind: str) -> None:
    rng = np.random.default_rng(3)
    sparse, bounds = block_tridiagonal(rng)
    matrix = BlockTridiagonalMatrix(sparse, bounds) if kind == "blocks" else SparseMatrix(sparse)
    x, shift = rng.normal(size=(bounds[-1], 9)), rng.normal(size=bounds[-1])
    dense = sparse.toarray()
    np.testing.assert_allclose(matrix.apply(x), dense @ x, rtol=1e-13, atol=1e-13)
    factors = matrix.factorise(shift)
    for each in (factors, pickle.loads(pickle.dumps(factors))):  # noqa: S301 - it travels between ranks
        found = each.solve(x.copy(), np.empty_like(x))
        np.testing.assert_allclose(found, np.linalg.solve(dense - np.diag(shift), x), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", ["blocks", "mumps"])
def test_a_singular_matrix_is_an_error(kind: str) -> None:
    sparse, bounds = block_tridiagonal(np.random.default_rng(3))
    dense = sparse.toarray()
    dense[0] = 0.0
    sparse = sp.csr_array(dense)
    matrix = BlockTridiagonalMatrix(sparse, bounds) if kind == "blocks" else SparseMatrix(sparse)
    b = np.ones((len(dense), 2))
    with pytest.raises(InputError, match="singular"):
        matrix.factorise().solve(b, np.empty_like(b))


def test_single_precision_is_what_it_says() -> None:
    rng = np.random.default_rng(3)
    sparse, bounds = block_tridiagonal(rng)
    factors = BlockTridiagonalMatrix(sparse, bounds).factorise()
    x = rng.normal(size=(bounds[-1], 4))
    exact = np.linalg.solve(sparse.toarray(), x)
    single = factors.rounded().solve(x.astype(np.float32), np.empty(x.shape, dtype=np.float32))
    assert 1e-9 < np.abs(single - exact).max() / np.abs(exact).max() < 1e-5


def test_a_matrix_that_reaches_further_is_refused() -> None:
    sparse, bounds = block_tridiagonal(np.random.default_rng(3))
    dense = sparse.toarray()
    dense[0, -1] = 1.0  # first block touches the last
    with pytest.raises(ValueError, match="touch their neighbours"):
        BlockTridiagonalMatrix(sp.csr_array(dense), bounds)
    dense[0, -1], dense[8, 2] = 0.0, 1.0  # second block touches the first block's inside
    with pytest.raises(ValueError, match="touch their neighbours"):
        BlockTridiagonalMatrix(sp.csr_array(dense), bounds)


def test_both_solvers_agree_on_the_discrete_problem() -> None:
    system = assembly.assemble(NONLINEAR, AlignedMesh(degree=3))
    size = len(system.mass)
    sparse = SparseMatrix(sp.csr_array(system.operator.apply(np.eye(size))))
    shift = system.mass * NONLINEAR.reaction.derivative(np.full(size, 1.3))
    blocks, mumps = (
        m.factorise(shift).solve(system.load.copy(), np.empty_like(system.load)) for m in (system.operator, sparse)
    )
    np.testing.assert_allclose(blocks, mumps, rtol=1e-10, atol=1e-12)
