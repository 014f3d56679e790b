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
| `exponential_multistep` | >= 0  | 2 (weak)                           | one a step                     |

The last two work in the coordinate that all formulations share, x~ = x/m and lambda = -log(sigma/m). There, with the
denoiser D = E[x_0 | x~] = x~ + (sigma^2/m) s, the family is

    dx~ = -(1 + alpha) (x~ - D) dlambda + sqrt(2 alpha) sigma~ dW_lambda,

linear but for D, and D changes slowly. Steps are uniform in lambda.

Every row of a batch is integrated on its own, so its result depends on what else is in the batch by rounding alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.formulations import Formulation

Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""score(x, t, rows): the score at x (B, d) and times t (B,); ``rows`` (B,) says which rows of the batch these are,
so that a conditional score can pick their measurements."""

Normals = Callable[[], Tensor]
"""Each call yields the next standard normal numbers for the whole batch, shape (B, d)."""


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
    """Heun's method on dx~/dsigma~ = (x~ - D)/sigma~ from t = 1 to t_min (Karras et al. 2022, Algorithm 1).

    Their last step goes to sigma~ = 0 and is Euler's; here it ends at t_min, and is Euler's too: its slope there would
    be one more evaluation for nothing.
    """
    grid, x = _start(formulation, normals, steps, t_min)
    rows = torch.arange(len(x), device=x.device)
    slope = (x - grid.denoise(score, x, 0, rows)) / grid.noise_ratio[0]
    for i in range(steps):
        step = grid.noise_ratio[i + 1] - grid.noise_ratio[i]
        euler = (x + step * slope).to(x.dtype)
        if i + 1 == steps:
            x = euler
            break
        there = (euler - grid.denoise(score, euler, i + 1, rows)) / grid.noise_ratio[i + 1]
        x = (x + 0.5 * step * (slope + there)).to(x.dtype)
        slope = (x - grid.denoise(score, x, i + 1, rows)) / grid.noise_ratio[i + 1]
    return Samples(x * grid.m[-1].to(x.dtype), 2.0 * steps - 1.0)


def exponential_multistep(
    score: Score, formulation: Formulation, normals: Normals, alpha: float, steps: int, t_min: float
) -> Samples:
    """Exponential integrator with D extrapolated from the last two steps; uniform in lambda, from t = 1 to t_min.

    Over a step h in lambda the linear part and the noise are integrated exactly, whatever alpha is:

        x~' = e^(-a h) x~ + (1 - e^(-a h)) (D + (D - D_before)/2) + sigma~' sqrt(1 - e^(-2 alpha h)) z,

    with a = 1 + alpha. For alpha = 0 it is DPM-Solver++(2M), for alpha = 1 SDE-DPM-Solver++(2M) (Lu et al. 2022,
    arXiv 2211.01095, Algorithm 2 and appendix A).

    Raises:
        ValueError: if alpha is negative.
    """
    if not alpha >= 0.0:
        raise ValueError(f"alpha must not be negative, found {alpha}")
    grid, x = _start(formulation, normals, steps, t_min)
    rows = torch.arange(len(x), device=x.device)
    before = None
    for i in range(steps):
        h = torch.log(grid.noise_ratio[i] / grid.noise_ratio[i + 1])
        denoised = grid.denoise(score, x, i, rows)
        ahead = denoised if before is None else denoised + 0.5 * (denoised - before)  # all h are equal
        gain = -torch.expm1(-(1.0 + alpha) * h)
        x = (x + gain * (ahead - x)).to(x.dtype)
        if alpha > 0.0:
            std = grid.noise_ratio[i + 1] * torch.sqrt(-torch.expm1(-2.0 * alpha * h))
            x = x + std.to(x.dtype) * normals()
        before = denoised
    return Samples(x * grid.m[-1].to(x.dtype), float(steps))


@dataclass(frozen=True)
class _Grid:
    """Times with uniform steps in log(sigma/m), and what the formulation says of them; each of shape (steps + 1,)."""

    t: Tensor
    noise_ratio: Tensor
    m: Tensor
    sigma: Tensor

    def denoise(self, score: Score, x: Tensor, i: int, rows: Tensor) -> Tensor:
        """D at x~ (B, d) and the i-th time, shape (B, d): x~ + (sigma^2/m) s."""
        found = score((self.m[i] * x).to(x.dtype), self.t[i].expand(len(x)), rows)
        return x + (self.sigma[i] * self.noise_ratio[i]) * found


def _start(formulation: Formulation, normals: Normals, steps: int, t_min: float) -> tuple[_Grid, Tensor]:
    """The grid from t = 1 to t_min, and x~ at its start."""
    noise = normals()
    ends = torch.tensor([1.0, t_min], dtype=torch.float64, device=noise.device)
    first, last = torch.log(formulation.noise_ratio(ends))
    shares = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device=noise.device)
    noise_ratio = torch.exp(first + shares * (last - first))
    t = formulation.time(noise_ratio)
    t[0], t[-1] = 1.0, t_min
    grid = _Grid(t, noise_ratio, formulation.m(t), formulation.sigma(t))
    return grid, (noise * grid.sigma[0] / grid.m[0]).to(noise.dtype)


# Dormand and Prince (1980), "A family of embedded Runge-Kutta formulae", the pair behind SciPy's RK45.
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0


def runge_kutta45(
    score: Score,
    formulation: Formulation,
    normals: Normals,
    t_min: float,
    tolerance: float = 1e-5,
    max_steps: int = 10_000,
) -> Samples:
    """Adaptive Dormand-Prince 5(4) on the probability-flow ODE (Eqs 28, 41) from t = 1 to t_min.

    Each row has its own step size and stops on its own: the root mean square over components of
    error / (tolerance + tolerance |x|) stays below one at every step, as in SciPy's ``solve_ivp(rtol, atol)``.

    Raises:
        RuntimeError: if a row needs more than ``max_steps`` steps or turns non-finite.
    """
    x = formulation.terminal_std * normals()
    count = len(x)
    result = torch.empty_like(x)
    rows = torch.arange(count, device=x.device)
    t = torch.ones(count, dtype=torch.float64, device=x.device)
    h = torch.full_like(t, 0.01)

    def slope(x: Tensor, t: Tensor) -> Tensor:
        half_beta, half_g2 = 0.5 * formulation.beta(t), 0.5 * formulation.g2(t)
        return (half_beta[:, None] * x + half_g2[:, None] * score(x, t, rows)).to(x.dtype)

    first = slope(x, t)  # the last stage of an accepted step is the first of the next
    evaluations = count
    for _ in range(max_steps):
        h = torch.minimum(h, t - t_min)
        ending = h >= t - t_min
        step = h[:, None].to(x.dtype)
        stages = [first]
        y = x
        for node, weights in zip(_NODES[1:], _STAGES[1:], strict=True):
            y = x + step * _combine(weights, stages)
            stages.append(slope(y, t - node * h))
        evaluations += 6 * len(x)

        scale = tolerance + tolerance * torch.maximum(x.abs(), y.abs())
        error = (step * _combine(_ERROR, stages) / scale).square().mean(dim=1).sqrt().double()
        if not torch.isfinite(error).all():
            raise RuntimeError("the probability-flow ODE left the finite numbers: the score is not usable")
        accept = error < 1.0
        x = torch.where(accept[:, None], y, x)
        first = torch.where(accept[:, None], stages[-1], first)
        t = torch.where(accept, torch.where(ending, t_min, t - h), t)
        factor = (_SAFETY * error.clamp(min=1e-10) ** -0.2).clamp(_SHRINK, _GROW)
        h = h * torch.where(accept, factor, factor.clamp(max=1.0))

        running = t > t_min
        if not running.all():
            result[rows[~running]] = x[~running]
            x, first, t, h, rows = x[running], first[running], t[running], h[running], rows[running]
            if len(rows) == 0:
                return Samples(result, evaluations / count)
    raise RuntimeError(f"{len(rows)} of {count} rows need more than {max_steps} Runge-Kutta steps")


def _combine(weights: tuple[float, ...], stages: list[Tensor]) -> Tensor:
    total = torch.zeros_like(stages[0])
    for weight, stage in zip(weights, stages, strict=True):
        if weight != 0.0:
            total = total + weight * stage
    return total
