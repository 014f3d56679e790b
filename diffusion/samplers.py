"""One family of samplers, from the probability-flow ODE to the reverse SDE (sections 2.4-2.5, Eqs 22-28, 37-41).

With tau = 1 - t and coefficients taken at t = 1 - tau, for every alpha >= 0 the process

    dx = [ (beta/2) x + (1 + alpha)/2 g2 s ] dtau + sqrt(alpha g2) dW,    x(tau = 0) ~ N(0, terminal_std^2 I),

has the marginal densities of the forward process: alpha = 0 is the probability-flow ODE, alpha = 1 the reverse SDE
of Anderson (1982) and Song et al. (2021). What limits accuracy is then the score s and the integrator:

| integrator              | alpha | order                              | evaluations                    |
|-------------------------|-------|------------------------------------|--------------------------------|
| `euler_maruyama`        | >= 0  | 1 weak (1 strong where alpha = 0)  | one a step                     |
| `runge_kutta45`         | 0     | 5, embedded 4 sets the step        | six a step, counted as spent   |
| `heun`                  | 0     | 2                                  | two a step, one in the last    |
| `exponential_multistep` | >= 0  | 3 where alpha = 0, else 2 weak     | one a step                     |

The last two work in the coordinate that all formulations share, x~ = x/m and lambda = -log(sigma/m). There, with the
denoiser D = E[x_0 | x~] = x~ + (sigma^2/m) s, the family is

    dx~ = -(1 + alpha) (x~ - D) dlambda + sqrt(2 alpha) sigma~ dW_lambda,

linear but for D, and D changes slowly. They spread their steps uniformly over log(1 + (3 m/sigma)^(1/2)): uniformly in
lambda where sigma/m is below the width of data of unit variance, ever longer above it, where D hardly changes. On
Gaussians of any width that halves the error of steps uniform in lambda (ours). They end with x_0 = D at t_min, as
Karras et al. do, so that no noise is left in a sample; the first two end at t_min, as the paper's do.

Every row of a batch is integrated on its own, so its result depends on what else is in the batch by rounding alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.runge_kutta import dormand_prince

Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""score(x, t, rows): the score at x (B, d) and times t (B,); ``rows`` (B,) says which rows of the batch these are,
so that a conditional score can pick their measurements."""

Normals = Callable[[], Tensor]
"""Each call yields the next standard normal numbers for the whole batch, shape (B, d)."""


TURN = 3.0
"""sigma/m about which the steps of the exponential integrator and of Heun's method begin to grow."""


@dataclass(frozen=True)
class Samples:
    """Samples of p_0 and what they cost.

    Attributes:
        x: shape (B, d).
        evaluations: network evaluations a sample, the mean over the batch.
    """

    x: Tensor
    evaluations: float


def euler_maruyama(
    score: Score, formulation: Formulation, normals: Normals, alpha: float, steps: int, t_min: float
) -> Samples:
    """Euler-Maruyama with uniform steps from t = 1 to t_min (Eqs 26, 39).

    Raises:
        ValueError: if alpha is negative.
    """
    if not alpha >= 0.0:
        raise ValueError(f"alpha must not be negative, found {alpha}")
    x = formulation.terminal_std * normals()
    rows = torch.arange(len(x), device=x.device)
    times = torch.linspace(1.0, t_min, steps + 1, dtype=torch.float64, device=x.device)
    h = (1.0 - t_min) / steps
    half_beta = 0.5 * formulation.beta(times)
    g2 = formulation.g2(times)
    for i in range(steps):
        drift = half_beta[i] * x + 0.5 * (1.0 + alpha) * g2[i] * score(x, times[i].expand(len(x)), rows)
        x = (x + h * drift).to(x.dtype)
        if alpha > 0.0:
            x = x + ((alpha * h * g2[i]) ** 0.5).to(x.dtype) * normals()
    return Samples(x, float(steps))


def heun(score: Score, formulation: Formulation, normals: Normals, steps: int, t_min: float) -> Samples:
    """Heun's method on dx~/dsigma~ = (x~ - D)/sigma~ (Karras et al. 2022, Algorithm 1); the last step is Euler's."""
    grid, x = _start(formulation, normals, steps, t_min)
    rows = torch.arange(len(x), device=x.device)
    for i in range(steps - 1):
        step = grid.noise_ratio[i + 1] - grid.noise_ratio[i]
        slope = (x - grid.denoise(score, x, i, rows)) / grid.noise_ratio[i]
        euler = (x + step * slope).to(x.dtype)
        there = (euler - grid.denoise(score, euler, i + 1, rows)) / grid.noise_ratio[i + 1]
        x = (x + 0.5 * step * (slope + there)).to(x.dtype)
    return Samples(grid.denoise(score, x, steps - 1, rows), 2.0 * steps - 1.0)


def exponential_multistep(
    score: Score, formulation: Formulation, normals: Normals, alpha: float, steps: int, t_min: float
) -> Samples:
    """Exponential Adams-Bashforth method: D extrapolated by the polynomial P through its last values.

    Over a step h in lambda the linear part, P and the noise are integrated exactly, with a = 1 + alpha:

        x~' = e^(-a h) x~ + a int_0^h e^(-a (h - s)) P(s) ds + sigma~' sqrt(1 - e^(-2 alpha h)) z.

    For the ODE P is of degree two, through three values, for an SDE of degree one: its noise leaves nothing to gain. In
    time rather than lambda, and for the ODE, this is DEIS (Zhang and Chen 2023, arXiv 2204.13902); with a midpoint rule
    in place of the integral it is DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095). The first step of the ODE is taken
    again when the second value is known.

    Raises:
        ValueError: if alpha is negative.
    """
    if not alpha >= 0.0:
        raise ValueError(f"alpha must not be negative, found {alpha}")
    grid, x = _start(formulation, normals, steps, t_min)
    rows = torch.arange(len(x), device=x.device)
    level, a = -torch.log(grid.noise_ratio), 1.0 + alpha
    stds = grid.noise_ratio[1:] * torch.sqrt(-torch.expm1(-2.0 * alpha * level.diff()))

    def step(x: Tensor, i: int, places: Tensor, denoised: list[Tensor]) -> Tensor:
        """From level i to the next one, with the polynomial through D at some places."""
        h = level[i + 1] - level[i]
        x = torch.exp(-a * h).to(x.dtype) * x
        for weight, value in zip(_weights(places - level[i], h, a).to(x.dtype), denoised, strict=True):
            x = x + weight * value
        return x

    start, seen, order = x, list[Tensor](), 3 if alpha == 0.0 else 2
    for i in range(steps - 1):
        seen = [*seen[1 - order :], grid.denoise(score, x, i, rows)]
        if i == 1 and alpha == 0.0:  # with one value the first step was of order one: again, with two
            x = step(start, 0, level[:2], seen)
        x = step(x, i, level[i + 1 - len(seen) : i + 1], seen)
        if alpha > 0.0:
            x = x + stds[i].to(x.dtype) * normals()
    return Samples(grid.denoise(score, x, steps - 1, rows), float(steps))


def _weights(places: Tensor, h: Tensor, a: float) -> Tensor:
    """Weights w (k,) with sum_i w_i P(places_i) = a int_0^h e^(-a (h - s)) P(s) ds for polynomials P of degree k - 1.

    The integrals of s^j are I_0 = 1 - e^(-a h) and I_j = h^j - (j/a) I_(j-1).
    """
    integrals = [-torch.expm1(-a * h)]
    for j in range(1, len(places)):
        integrals.append(h**j - j / a * integrals[-1])
    powers = torch.stack([places**j for j in range(len(places))])
    return torch.linalg.solve(powers, torch.stack(integrals))


@dataclass(frozen=True)
class _Grid:
    """The times at which D is evaluated, and what the formulation says of them; each of shape (steps,)."""

    t: Tensor
    noise_ratio: Tensor
    m: Tensor
    sigma: Tensor

    def denoise(self, score: Score, x: Tensor, i: int, rows: Tensor) -> Tensor:
        """D at x~ (B, d) and the i-th time, shape (B, d): x~ + (sigma^2/m) s."""
        found = score((self.m[i] * x).to(x.dtype), self.t[i].expand(len(x)), rows)
        return (x + self.sigma[i] * self.noise_ratio[i] * found).to(x.dtype)


def _start(formulation: Formulation, normals: Normals, steps: int, t_min: float) -> tuple[_Grid, Tensor]:
    """The grid from t = 1 to t_min, and x~ at its start."""
    noise = normals()
    ends = torch.tensor([1.0, t_min], dtype=torch.float64, device=noise.device)
    first, last = torch.log1p((TURN / formulation.noise_ratio(ends)) ** 0.5)
    shares = torch.linspace(0.0, 1.0, steps, dtype=torch.float64, device=noise.device)
    noise_ratio = TURN / torch.expm1(first + shares * (last - first)) ** 2
    t = formulation.time(noise_ratio)
    t[0] = 1.0
    grid = _Grid(t, noise_ratio, formulation.m(t), formulation.sigma(t))
    return grid, (noise * grid.noise_ratio[0]).to(noise.dtype)


def runge_kutta45(
    score: Score,
    formulation: Formulation,
    normals: Normals,
    t_min: float,
    tolerance: float = 1e-5,
    max_steps: int = 10_000,
) -> Samples:
    """Adaptive Dormand-Prince 5(4) on the probability-flow ODE (Eqs 28, 41) from t = 1 to t_min.

    Each row has its own step size and stops on its own, at the accuracy of SciPy's ``solve_ivp(rtol, atol)``.

    Raises:
        RuntimeError: if a row needs more than ``max_steps`` steps or turns non-finite.
    """
    start = formulation.terminal_std * normals()
    x, evaluations = dormand_prince(
        lambda x, t, rows: probability_flow(score, formulation, x, t, rows), start, 1.0, t_min, tolerance, max_steps
    )
    return Samples(x, evaluations)


def probability_flow(score: Score, formulation: Formulation, x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
    """dx/dt = -(beta/2) x - (g2/2) s of the probability-flow ODE, at x (B, d) and times t (B,), shape (B, d)."""
    half_beta, half_g2 = 0.5 * formulation.beta(t), 0.5 * formulation.g2(t)
    return (-half_beta[:, None] * x - half_g2[:, None] * score(x, t, rows)).to(x.dtype)
