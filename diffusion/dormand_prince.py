"""The embedded pair of Dormand and Prince (1980), for many initial value problems at once.

"A family of embedded Runge-Kutta formulae", J. Comput. Appl. Math. 6: the pair behind SciPy's RK45.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Slope = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A right-hand side slope(x, t, rows): dx/dt at x (B, d) and t (B,); ``rows`` (B,) are their places in the batch."""

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
_FIRST_SHARE = 0.01
"""First step, as a share of the interval; a step that is too long is tried again."""


def dormand_prince(
    slope: Slope, x: Tensor, start: float, end: float, tolerance: float, max_steps: int = 10_000
) -> tuple[Tensor, float]:
    """Integrate dx/dt = slope from ``start`` to ``end``, which may lie before it.

    Each row has its own step size and stops on its own: the root mean square over components of
    error / (tolerance + tolerance |x|) stays below one at every step, as in SciPy's ``solve_ivp(rtol, atol)``.

    Args:
        slope: right-hand side.
        x: state at the start, shape (B, d).
        start: first time.
        end: last time.
        tolerance: relative and absolute tolerance of the error of a step.
        max_steps: largest number of steps of a row, those that are tried again included.

    Returns:
        The state at the end, shape (B, d), and evaluations of the slope a row, the mean over the batch.

    Raises:
        RuntimeError: if a row needs more than ``max_steps`` steps or turns non-finite.
    """
    count, length = len(x), abs(end - start)
    direction = 1.0 if end > start else -1.0
    result = torch.empty_like(x)
    rows = torch.arange(count, device=x.device)
    gone = torch.zeros(count, dtype=torch.float64, device=x.device)  # time that each row has covered
    h = torch.full_like(gone, _FIRST_SHARE * length)
    first = slope(x, start + direction * gone, rows)  # the last stage of an accepted step is the first of the next
    evaluations = count
    for _ in range(max_steps):
        h = torch.minimum(h, length - gone)
        ending = h >= length - gone
        step = (direction * h)[:, None].to(x.dtype)
        stages = [first]
        y = x
        for node, weights in zip(_NODES[1:], _STAGES[1:], strict=True):
            y = x + step * _combine(weights, stages)
            there = torch.where(ending, length, gone + h) if node == 1.0 else gone + node * h
            stages.append(slope(y, start + direction * there, rows))
        evaluations += 6 * len(x)

        scale = tolerance + tolerance * torch.maximum(x.abs(), y.abs())
        error = (step * _combine(_ERROR, stages) / scale).square().mean(dim=1).sqrt().double()
        if not torch.isfinite(error).all():
            raise RuntimeError("the probability-flow ODE left the finite numbers: the score is not usable")
        accept = error < 1.0
        x = torch.where(accept[:, None], y, x)
        first = torch.where(accept[:, None], stages[-1], first)
        gone = torch.where(accept, torch.where(ending, length, gone + h), gone)
        factor = (_SAFETY * error.clamp(min=1e-10) ** -0.2).clamp(_SHRINK, _GROW)
        h = h * torch.where(accept, factor, factor.clamp(max=1.0))

        running = gone < length
        if not running.all():
            result[rows[~running]] = x[~running]
            x, first, gone, h, rows = x[running], first[running], gone[running], h[running], rows[running]
            if len(rows) == 0:
                return result, evaluations / count
    raise RuntimeError(f"{len(rows)} of {count} rows need more than {max_steps} Runge-Kutta steps")


def _combine(weights: tuple[float, ...], stages: list[Tensor]) -> Tensor:
    """Return the weighted sum of stages, without those of weight zero."""
    total = torch.zeros_like(stages[0])
    for weight, stage in zip(weights, stages, strict=True):
        if weight != 0.0:
            total = total + weight * stage
    return total
