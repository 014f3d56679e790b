"""The batched chord iteration against Newton's method, exact derivatives, and its own independence of batches."""

import os
import pickle
import platform
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from fluxbench.errors import InputError
from fluxbench.solvers.boundary_flux import FluxProblem, Polynomial, poiseuille
from fluxbench.solvers.fem import assembly, nonlinear
from fluxbench.solvers.fem.discretisation import AlignedMesh, discretisation
from fluxbench.solvers.fem.flux_simulator import UnsolvedError
from fluxbench.solvers.fem.nonlinear import NonlinearSimulator, linearise, newton
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.solvers.problems.nonlinear import NONLINEAR


@cache
def production() -> NonlinearSimulator:
    found = simulator(NONLINEAR)
    assert isinstance(found, NonlinearSimulator)
    return found


def flux(count: int, stream: str = "test") -> np.ndarray:
    return NONLINEAR.prior.sample(0, stream, 0, count)


def test_batches_find_what_newton_finds() -> None:
    system, q = production().system, flux(200)
    states = production().states(q)
    for i in range(0, 200, 25):
        np.testing.assert_allclose(states[:, i], newton(system, q[i]), rtol=0.0, atol=1e-9)
    np.testing.assert_array_equal(production().measure(q), (system.sensing @ states).T)


def test_a_sample_has_the_same_bits_in_every_batch() -> None:
    """Of two linearisation points one gets more samples than a batch holds."""
    found = linearise(assembly.assemble(NONLINEAR, discretisation(NONLINEAR)), points=2)
    q = flux(500)
    assert len(q) > 2 * nonlinear.BATCH
    whole = found.measure(q)
    for part in (slice(0, 1), slice(3, 8), slice(100, 307), slice(0, 400), slice(499, None, -1)):
        assert found.measure(q[part]).tobytes() == whole[part].tobytes(), part


@pytest.mark.parametrize("kernels", ["Prescott", "Haswell"])
def test_so_it_has_by_other_kernels_of_blas(kernels: str) -> None:
    """OpenBLAS chooses them by the processor; every x86 processor of the last ten years has these."""
    if platform.machine() != "x86_64":
        pytest.skip(f"kernels of x86_64, on {platform.machine()}")
    test = f"{__file__}::{test_a_sample_has_the_same_bits_in_every_batch.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    ended = subprocess.run(
        command, env=os.environ | {"OPENBLAS_CORETYPE": kernels}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_no_flux_gives_no_concentration() -> None:
    assert np.abs(production().states(np.zeros((1, 30)))).max() < 1e-9


def test_samples_that_stall_go_to_newton(monkeypatch: pytest.MonkeyPatch) -> None:
    q = flux(8)
    usual = production().measure(q)
    monkeypatch.setattr(nonlinear, "SWEEPS", 1)
    np.testing.assert_allclose(production().measure(q), usual, rtol=0.0, atol=1e-9)


def test_a_sample_that_cannot_be_solved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonlinear, "RESIDUAL", 0.0)
    with pytest.raises(UnsolvedError, match=r"cannot be solved: expected a residual of at most 0 and"):
        production().measure(flux(5))
    with pytest.raises(InputError, match=r"^nonlinear: test sample 70[0-4] of seed 3: cannot be solved"):
        production().simulate(3, "test", 700, 705)


def test_a_negative_concentration_is_an_error() -> None:
    """Nothing but a flux out of the channel gives one."""
    with pytest.raises(UnsolvedError, match=r"and a concentration of at least 0, found \S+ and -0\.\d") as caught:
        production().measure(np.concatenate([flux(3), -0.02 * flux(1)]))
    travelled = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - as from one rank to another
    assert (travelled.sample, str(travelled)) == (3, str(caught.value))


@pytest.mark.parametrize("reaction", [(1.0,), (1.0, -0.3)])
def test_an_affine_reaction_is_solved_at_once(reaction: tuple[float, ...]) -> None:
    """A source everywhere: sensor values are affine in the flux."""
    problem = replace(LINEAR, name="affine", kappa=0.5, reaction=Polynomial(reaction))
    assert not problem.is_linear
    found = simulator(problem)
    q = problem.prior.sample(0, "test", 0, 3)
    zero, one, two = found.measure(np.stack([0.0 * q[0], q[0], 2.0 * q[0]]))
    assert (zero > 0.0).all()
    np.testing.assert_allclose(two - zero, 2.0 * (one - zero), rtol=1e-9)


def test_a_prior_around_zero_is_no_reason_to_stop() -> None:
    problem = replace(NONLINEAR, name="faint", prior=replace(NONLINEAR.prior, mean=0.0))
    system = assembly.assemble(problem, AlignedMesh(degree=3))
    q = problem.prior.sample(0, "test", 0, 10)
    found = linearise(system, points=2).measure(q)
    np.testing.assert_allclose(found[0], system.sensing @ newton(system, q[0]), atol=1e-9)


def test_a_branch_that_newton_does_not_reach_is_an_error() -> None:
    explosive = replace(NONLINEAR, name="explosive", reaction=Polynomial((1e4, 0.0, 1e4)))  # no steady state
    with pytest.raises(InputError, match="Newton's method from u = 2 does not converge"):
        linearise(assembly.assemble(explosive, AlignedMesh(degree=2)), points=1)


@pytest.mark.parametrize("problem", [LINEAR, NONLINEAR], ids=lambda problem: problem.name)
def test_jacobian_is_the_limit_of_central_differences(problem: FluxProblem) -> None:
    """Their error is O(h^2) for the nonlinear map, rounding for the linear one."""
    found = production() if problem is NONLINEAR else simulator(problem)
    q = problem.prior.sample(0, "test", 0, 3) + 0.5
    exact = found.jacobian(q)
    errors = []
    for h in (0.4, 0.2):
        steps = h * np.eye(30)
        differences = [(found.measure(each + steps) - found.measure(each - steps)).T / (2.0 * h) for each in q]
        errors.append(np.linalg.norm(np.array(differences) - exact) / np.linalg.norm(exact))
    if problem is LINEAR:
        assert max(errors) < 1e-12
    else:
        assert errors[1] < 1e-3
        assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("problem", [LINEAR, NONLINEAR], ids=lambda problem: problem.name)
def test_the_second_order_expansion_is_wrong_to_third_order(problem: FluxProblem) -> None:
    found = production() if problem is NONLINEAR else simulator(problem)
    q = problem.prior.sample(0, "test", 0, 3) + 1.0
    direction = np.random.default_rng(0).normal(size=q.shape)
    y, jacobian, hessian = found.measure(q), found.jacobian(q), found.hessian(q)
    np.testing.assert_allclose(hessian, hessian.swapaxes(2, 3), rtol=1e-12)
    slope = np.einsum("bnj,bj->bn", jacobian, direction)
    curvature = np.einsum("bnjk,bj,bk->bn", hessian, direction, direction)
    errors = [
        np.abs(found.measure(q + h * direction) - y - h * slope - 0.5 * h**2 * curvature).max() for h in (0.4, 0.2)
    ]
    if problem is LINEAR:
        assert max(errors) < 1e-12
    else:
        assert np.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.2)


def test_the_papers_mesh_gives_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarse one of its kind, by the same iteration on MUMPS' factors: second order."""
    q = flux(6)
    exact = production().measure(q)
    errors = []
    for cells in ((85, 20), (170, 40)):
        found = linearise(assembly.assemble(NONLINEAR, discretisation_of(cells)), points=1)
        errors.append(np.linalg.norm(found.measure(q) - exact) / np.linalg.norm(exact))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.4)
    assert errors[1] < 1e-3


def discretisation_of(cells: tuple[int, int]) -> object:
    return replace(discretisation(NONLINEAR, "paper"), cells=cells)


def test_another_problem_is_another_object() -> None:
    """A reaction with three steady states in a plug flow with sensors of its own: data alone, no solver touched."""
    bistable = FluxProblem(
        "bistable",
        velocity=Polynomial((3.0,)),
        kappa=0.5,
        reaction=Polynomial((0.0, -0.5, 1.5, -1.0)),  # u (1 - u) (u - 1/2)
        start=1.0,
        sensor_rows=(0.3, 1.0, 1.7),
        sensor_columns=(2.0, 5.0, 8.0),
    )
    found = simulator(bistable)
    q = bistable.prior.sample(0, "test", 0, 20)
    y = found.measure(q)
    assert y.shape == (20, 9)
    fine = assembly.assemble(bistable, AlignedMesh(degree=7))
    exact = np.array([fine.sensing @ newton(fine, each) for each in q[:2]])
    np.testing.assert_allclose(y[:2], exact, rtol=1e-3)
    assert not np.allclose(y, simulator(replace(bistable, reaction=Polynomial())).measure(q), rtol=1e-2)


def test_a_linear_reaction_stays_a_linear_problem() -> None:
    """Decay: u' = -c u / v downstream of the fluxes, far from the walls' mixing, in a fast plug flow."""
    decaying = FluxProblem("decaying", Polynomial((1.0,)), kappa=0.5, reaction=Polynomial((0.0, -0.3)))
    assert decaying.is_linear
    operator = simulator(decaying).operator
    stable = simulator(replace(decaying, reaction=Polynomial())).operator
    assert operator is not None
    assert stable is not None
    assert (operator < stable + 1e-12).all()
    nearly = replace(decaying, name="nearly", reaction=Polynomial((0.0, -0.3, 1e-9)))
    assert not nearly.is_linear
    q = decaying.prior.sample(0, "test", 0, 5)
    np.testing.assert_allclose(simulator(nearly).measure(q), q @ operator.T, rtol=1e-4)


def test_peclet_number() -> None:
    assert NONLINEAR.peclet == pytest.approx(6.0)
    assert NONLINEAR.velocity == poiseuille(12.0)
