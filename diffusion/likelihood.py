"""Log-density of a diffusion model along the probability-flow ODE (Chen et al. 2018; Song et al. 2021, section 4.3).

The flow f = -(beta/2) x - (g2/2) s carries the model's density from t_min to t = 1, where it is N(0, terminal_std^2 I):

    dx/dt = f,    d log p / dt = -div f = (beta/2) d + (g2/2) div s,
    log p_(t_min)(x) = log N(x(1); 0, terminal_std^2 I) - int_(t_min)^1 [ (beta/2) d + (g2/2) div s ] dt.

The divergence is exact at the price of d derivatives, or estimated without bias from random probes v with E[v v^T] = I
as the mean of v . grad (s . v) (Hutchinson 1990), one derivative each.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fluxbench.diffusion.dormand_prince import dormand_prince
from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.integrators.integrator import Score


@dataclass(frozen=True)
class LogDensity:
    """Log-densities of B points and their cost.

    Attributes:
        value: natural logarithm of the density at t_min, shape (B,), in units of x^-d.
        evaluations: evaluations of score and divergence a point, the mean over the batch.
    """

    value: Tensor
    evaluations: float


def log_density(
    score: Score,
    formulation: Formulation,
    x: Tensor,
    t_min: float,
    tolerance: float = 1e-5,
    probes: Tensor | None = None,
) -> LogDensity:
    """Return the log-density at t_min of the samples that the probability-flow ODE yields from N(0, terminal_std^2 I).

    Every row is integrated on its own, with steps of its own: its result does not depend on the batch.

    Args:
        score: score(x, t, rows), as for the samplers, differentiable in x.
        formulation: the forward process.
        x: points at which the density is wanted, shape (B, d).
        t_min: time at which it is wanted, above 0: the density is that of m x_0 + sigma z.
        tolerance: tolerance of the Runge-Kutta method, relative and absolute.
        probes: v, shape (P, B, d), for Hutchinson's estimate; None for the exact divergence.

    Raises:
        RuntimeError: if a row turns non-finite or needs too many steps.
    """
    size = x.shape[1]

    def slope(state: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        with torch.enable_grad():
            here = state[:, :size].detach().requires_grad_(True)
            s = score(here, t, rows)
            if probes is None:
                divergence = torch.stack([_gradient(s[:, j], here)[:, j] for j in range(size)], dim=1).sum(
                    dim=1, keepdim=True
                )
            else:
                divergence = torch.stack(
                    [(_gradient((s * v[rows]).sum(dim=1), here) * v[rows]).sum(dim=1, keepdim=True) for v in probes]
                ).mean(dim=0)
        half_beta, half_g2 = (0.5 * rate(t)[:, None] for rate in (formulation.beta, formulation.g2))
        flow = formulation.probability_flow(here.detach(), t, s.detach())
        return torch.cat([flow, half_beta * size + half_g2 * divergence], dim=1).to(state.dtype)

    start = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
    end, evaluations = dormand_prince(slope, start, t_min, 1.0, tolerance)
    std = formulation.terminal_std
    at_end = -0.5 * (end[:, :size] / std).square().sum(dim=1) - size * math.log(std * math.sqrt(2.0 * math.pi))
    return LogDensity(at_end - end[:, size], evaluations)


def _gradient(values: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of the sum of values with respect to x, shape of x."""
    (found,) = torch.autograd.grad(values.sum(), x, retain_graph=True)
    return found
