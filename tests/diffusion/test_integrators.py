"""Both samplers on the exact score of a Gaussian, where mean and variance are known at every step.

An affine score makes Euler-Maruyama affine in its random numbers, so its mean and variance follow without sampling: the
mean from random numbers that are all zero, the variance as the sum of squared responses to one unit number at a time.
"""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from fluxbench.diffusion.formulations import Formulation, LinearVarianceExploding, VarianceExploding, VariancePreserving
from fluxbench.diffusion.integrators import INTEGRATORS, EulerMaruyama, Exponential, Heun, RungeKutta, Samples
from fluxbench.diffusion.integrators.integrator import Normals, Score

MEAN, STD = 0.7, 0.4
FORMULATIONS: list[Formulation] = [
    VarianceExploding(12.0),
    LinearVarianceExploding(6.0),
    *(VariancePreserving(k=k) for k in (1.0, 2.0, 4.0)),
]
each = pytest.mark.parametrize("process", FORMULATIONS, ids=lambda process: process.name)
T_MIN = 1e-3


def gaussian_score(process: Formulation, mean: float = MEAN, std: float = STD) -> Score:
    """Score of p_t when p_0 = N(mean, std^2): p_t = N(m mean, m^2 std^2 + sigma^2)."""

    def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        m, sigma = process.m(t)[:, None], process.sigma(t)[:, None]
        return -(x - m * mean) / (m**2 * std**2 + sigma**2)

    return score


def moments_at(process: Formulation, t: float, mean: float = MEAN, std: float = STD) -> tuple[float, float]:
    time = torch.tensor(t, dtype=torch.float64)
    m, sigma = process.m(time).item(), process.sigma(time).item()
    return m * mean, math.sqrt(m**2 * std**2 + sigma**2)


def generator_normals(shape: tuple[int, int], seed: int = 0, dtype: torch.dtype = torch.float64) -> Normals:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=generator, dtype=dtype)


def exact_moments(sampler: Callable[[Normals], Samples], steps: int) -> tuple[float, float]:
    """Mean and standard deviation of the numerical solution, exact to rounding."""
    rows = steps + 2  # row 0: no noise at all; row i: a one in place of draw i
    calls = iter(range(rows))

    def unit_impulses() -> Tensor:
        draw = torch.zeros(rows, 1, dtype=torch.float64)
        draw[next(calls) + 1] = 1.0
        return draw

    x = sampler(unit_impulses).x[:, 0]
    return x[0].item(), math.sqrt(((x[1:] - x[0]) ** 2).sum().item())


def euler_maruyama_moments(process: Formulation, alpha: float, steps: int, t_min: float) -> tuple[float, float]:
    score = gaussian_score(process)
    return exact_moments(lambda normals: EulerMaruyama(alpha, steps).integrate(score, process, normals, t_min), steps)


def observed_order(moments: list[tuple[float, float]]) -> float:
    """Order at which mean and standard deviation, together, converge when the steps double."""
    changes = [math.hypot(a[0] - b[0], a[1] - b[1]) for a, b in pairwise(moments)]
    return math.log2(changes[-2] / changes[-1])


def neglected(process: Formulation, std: float = STD) -> float:
    """Error of the mean because sampling starts from N(0, sigma(1)^2) and not from N(m(1) mean, ...)."""
    return abs(moments_at(process, 1.0)[0]) * std / process.terminal_std


@each
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_euler_maruyama_returns_the_gaussian(process: Formulation, alpha: float) -> None:
    mean, std = euler_maruyama_moments(process, alpha, 1000, T_MIN)
    expected_mean, expected_std = moments_at(process, T_MIN)
    assert mean == pytest.approx(expected_mean, abs=neglected(process) + 0.01)
    assert std == pytest.approx(expected_std, rel=0.02)


@each
@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_euler_maruyama_converges_weakly_at_order_one(process: Formulation, alpha: float) -> None:
    """Halving the step halves the change that the next halving makes, in mean and in standard deviation."""
    moments = [euler_maruyama_moments(process, alpha, steps, t_min=0.1) for steps in (200, 400, 800)]
    for coarse, middle, fine in zip(*moments, strict=True):
        order = math.log2((coarse - middle) / (middle - fine))
        assert 0.8 < order < 1.3, (order, moments)


@each
def test_runge_kutta_follows_the_exact_flow(process: Formulation) -> None:
    """The probability-flow ODE of a Gaussian carries x to mean_t + std_t (x_T - mean_T) / std_T."""
    draws = generator_normals((200, 3))()
    (end_mean, end_std), (start_mean, start_std) = moments_at(process, T_MIN), moments_at(process, 1.0)
    exact = end_mean + end_std * (process.terminal_std * draws - start_mean) / start_std
    for tolerance in (1e-4, 1e-6, 1e-8):
        found = RungeKutta(0.0, tolerance).integrate(gaussian_score(process), process, lambda: draws, T_MIN).x
        assert (found - exact).abs().max().item() < 100.0 * tolerance


@each
def test_runge_kutta_is_of_order_five(process: Formulation) -> None:
    """Global error against the number of steps, both set by the tolerance: error ~ evaluations^-5."""
    draws = generator_normals((50, 1))()
    t_min = 0.05
    (end_mean, end_std), (start_mean, start_std) = moments_at(process, t_min), moments_at(process, 1.0)
    exact = end_mean + end_std * (process.terminal_std * draws - start_mean) / start_std

    def cost_and_error(tolerance: float) -> tuple[float, float]:
        found = RungeKutta(0.0, tolerance).integrate(gaussian_score(process), process, lambda: draws, t_min)
        return math.log(found.evaluations), math.log((found.x - exact).abs().mean().item())

    (cheap, coarse), (dear, fine) = cost_and_error(1e-9), cost_and_error(1e-12)
    order = (coarse - fine) / (dear - cheap)
    assert order > 4.5, order


@each
def test_both_samplers_return_a_gaussian_sample(process: Formulation) -> None:
    count = 10_000
    score = gaussian_score(process)
    expected_mean, expected_std = moments_at(process, T_MIN)
    ode = RungeKutta(0.0, 1e-5).integrate(score, process, generator_normals((count, 1)), T_MIN)
    sde = EulerMaruyama(1.0, 1000).integrate(score, process, generator_normals((count, 1), seed=1), T_MIN)
    for x in (ode.x, sde.x):
        assert x.mean().item() == pytest.approx(expected_mean, abs=neglected(process) + 5.0 * STD / math.sqrt(count))
        assert x.std().item() == pytest.approx(expected_std, rel=0.03)
    assert sde.evaluations == 1000.0


@each
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_exponential_multistep_is_of_order_three_for_the_ode_and_two_for_sdes(
    process: Formulation, alpha: float
) -> None:
    score = gaussian_score(process)

    def moments(steps: int) -> tuple[float, float]:
        return exact_moments(
            lambda normals: Exponential(alpha, steps).integrate(score, process, normals, t_min=0.05), steps
        )

    expected = 3.0 if alpha == 0.0 else 2.0
    assert observed_order([moments(steps) for steps in (160, 320, 640)]) == pytest.approx(expected, abs=0.3)


@each
def test_heun_converges_at_order_two(process: Formulation) -> None:
    score = gaussian_score(process)

    def moments(steps: int) -> tuple[float, float]:
        return exact_moments(lambda normals: Heun(0.0, steps).integrate(score, process, normals, t_min=0.05), steps)

    assert observed_order([moments(steps) for steps in (80, 160, 320)]) == pytest.approx(2.0, abs=0.2)


@each
@pytest.mark.parametrize("std", [0.02, 0.4, 1.0])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_few_exponential_steps_return_the_gaussian(process: Formulation, alpha: float, std: float) -> None:
    """16 evaluations for the ODE, 64 for the SDE, whatever the data's width between 0.02 and 1."""
    steps = 16 if alpha == 0.0 else 64
    t_min = process.sampling_end(0.0, 2e-3)
    score = gaussian_score(process, MEAN, std)
    sampler = lambda normals: Exponential(alpha, steps).integrate(score, process, normals, t_min)  # noqa: E731
    found_mean, found_std = exact_moments(sampler, steps)
    assert found_mean == pytest.approx(MEAN, abs=neglected(process, std) + 0.01 * std)
    started_narrow = 0.5 * (std / process.terminal_std) ** 2  # from N(0, sigma(1)^2), as if the data had no width
    assert found_std == pytest.approx(std, rel=0.01 + started_narrow)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("k", [1.0, 2.0, 4.0])
def test_formulations_are_clocks_on_one_process(k: float, alpha: float) -> None:
    """Between equal noise ratios, VP of any order and VE take the same steps in x/m, whatever the data are."""

    def two_bumps(process: Formulation) -> Score:
        def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
            m, ratio = process.m(t)[:, None], process.noise_ratio(t)[:, None]
            variance = 0.2**2 + ratio**2
            centre = torch.tanh(x / m / variance)  # of two normal densities around -1 and 1
            return -(x / m - centre) / variance / m

        return score

    preserving = VariancePreserving(k=k)
    exploding = LinearVarianceExploding(preserving.noise_ratio(torch.ones((), dtype=torch.float64)).item())
    end = torch.tensor(1e-2, dtype=torch.float64)
    found = []
    for process in (preserving, exploding):
        t_min = process.time(end).item()
        drawn = Exponential(alpha, 50).integrate(two_bumps(process), process, generator_normals((40, 1)), t_min)
        found.append(drawn.x)  # at sigma = 0, hence m = 1
    np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-10)


def test_rows_do_not_depend_on_the_batch() -> None:
    process = VariancePreserving(k=2.0)
    draws = generator_normals((50, 2))()
    score = gaussian_score(process)
    whole = RungeKutta(0.0, 1e-5).integrate(score, process, lambda: draws, T_MIN)
    sizes = (1, 20, 29)
    parts = [
        RungeKutta(0.0, 1e-5).integrate(score, process, lambda some=some: some, T_MIN)  # type: ignore[misc]
        for some in draws.split(sizes)
    ]
    # To rounding: vector and scalar exponentials differ in the last bit.
    np.testing.assert_allclose(torch.cat([part.x for part in parts]), whole.x, rtol=1e-11, atol=1e-13)
    spent = sum(size * part.evaluations for size, part in zip(sizes, parts, strict=True))
    assert whole.evaluations == pytest.approx(spent / sum(sizes), rel=1e-12)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@each
def test_single_precision_and_the_gpu_draw_the_same(process: Formulation, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    t_min = process.sampling_end(0.0, 2e-3)
    score = gaussian_score(process)
    samplers: list[Callable[[Normals], Samples]] = [
        lambda normals: Exponential(0.0, 24).integrate(score, process, normals, t_min),
        lambda normals: Exponential(1.0, 24).integrate(score, process, normals, t_min),
        lambda normals: Heun(0.0, 12).integrate(score, process, normals, t_min),
        lambda normals: EulerMaruyama(1.0, 100).integrate(score, process, normals, 1e-2),
        lambda normals: RungeKutta(0.0, 1e-6).integrate(score, process, normals, t_min),
    ]
    for sampler in samplers:
        exact = sampler(generator_normals((200, 2)))
        draws = generator_normals((200, 2))
        found = sampler(lambda draws=draws: draws().to(device, torch.float32))  # type: ignore[misc]
        assert found.x.dtype == torch.float32
        assert found.x.device.type == device
        np.testing.assert_allclose(found.x.cpu().double(), exact.x, rtol=0.0, atol=2e-3)


def test_what_a_method_does_not_integrate_is_refused() -> None:
    for method in (EulerMaruyama, Exponential):
        with pytest.raises(ValueError, match=r"alpha must not be negative, found -0\.5"):
            method(-0.5, 10)
    for other in (Heun(0.0, 10), RungeKutta(0.0, 1e-5)):
        with pytest.raises(ValueError, match=r"does not integrate the SDE: alpha = 1"):
            replace(other, alpha=1.0)


def test_integrators_describe_and_specify_themselves_without_torch() -> None:
    """Names of files tell one from the other, and what is specified can be made again."""
    program = "import sys; sys.modules['torch'] = None; from fluxbench.diffusion.integrators import INTEGRATORS\n"
    program += "print([each.description for method in INTEGRATORS.values() for each in method.ladder()])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "ODE by the exponential multistep method of order 3 in 16 steps" in done.stdout
    assert "ODE by Runge-Kutta 5(4) at tolerance 0.01" in done.stdout
    for method, each in INTEGRATORS.items():
        for integrator in each.ladder():
            numbers = integrator.specification()
            assert numbers.pop("method") == method
            assert each(**numbers) == integrator
    assert len({Exponential(0.0, 8).slug, Exponential(1.0, 8).slug, EulerMaruyama(1.0, 8).slug}) == 3


def test_a_broken_score_is_reported() -> None:
    process = VariancePreserving()
    with pytest.raises(RuntimeError, match="left the finite numbers"):
        RungeKutta(0.0, 1e-5).integrate(lambda x, t, rows: x * math.nan, process, generator_normals((2, 1)), T_MIN)
