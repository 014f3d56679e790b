"""Table 1 and Figure 1 from the code: what every formulation makes of the time.

    .venv/bin/python -m bench.processes

Writes ``results/processes``: the coefficients of each forward process at five times, beside the defects of the two
relations that make it one, and the figure of sigma against m and against t for several orders k.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from bench.figures import BLUE, GREEN, ORANGE, PURPLE, SKY, save
from bench.goals import Found, Options, goal, measuring_command
from diffusion.formulations import Formulation, LinearVarianceExploding, VarianceExploding, VariancePreserving
from solvers.storage import Row

ORDERS = (0.5, 1.0, 2.0, 4.0, 8.0)
PROCESSES: tuple[Formulation, ...] = (
    VarianceExploding(12.0),
    LinearVarianceExploding(5.0),
    *(VariancePreserving(k=k) for k in (1.0, 2.0, 4.0)),
)
TIMES = (0.001, 0.25, 0.5, 0.75, 1.0)
ALLOWED = 1e-6


def table1() -> list[Row]:
    """Coefficients of every process, and the relative defects of dm/dt and of d(sigma^2)/dt."""
    rows = []
    for process in PROCESSES:
        for time in TIMES:
            t = torch.tensor(time, dtype=torch.float64)
            names = ("beta", "m", "sigma", "g2", "noise_ratio")
            row = {name: getattr(process, name)(t).item() for name in names}
            rows.append({"formulation": process.name, "t": time, **row, **defects(process, t)})
    return rows


def defects(process: Formulation, t: Tensor) -> Row:
    """How far the derivatives are from dm/dt = -(beta/2) m and d(sigma^2)/dt = -beta sigma^2 + g2."""
    t = t.clone().requires_grad_(True)
    beta, m, variance = process.beta(t), process.m(t), process.sigma(t) ** 2
    zero = 0.0 * t  # a constant has no graph of its own
    (dm,) = torch.autograd.grad(m + zero, t, retain_graph=True)
    (dv,) = torch.autograd.grad(variance + zero, t)
    expected = -beta * variance + process.g2(t)
    return {
        "defect of m": (dm + 0.5 * beta * m).abs().item(),
        "defect of sigma^2": ((dv - expected) / expected).abs().item(),
    }


def figure1(folder: Path) -> Path:
    """Sigma against m, and against t, for VP of several orders; VE for comparison."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
    t = torch.linspace(0.0, 1.0, 401, dtype=torch.float64)
    for k, colour in zip(ORDERS, (SKY, BLUE, ORANGE, GREEN, PURPLE), strict=True):
        process = VariancePreserving(k=k)
        m, sigma = process.m(t).numpy(), process.sigma(t).numpy()
        label = f"VP, k = {k:g}" + (" (Song et al.)" if k == 2.0 else "")
        left.plot(m, sigma, color=colour, label=label)
        right.plot(t, sigma, color=colour)
    exploding = VarianceExploding(12.0)
    inside = exploding.sigma(t).numpy() <= 1.2
    left.plot(np.ones(inside.sum()), exploding.sigma(t).numpy()[inside], color="0.5", ls=":", label="VE, geometric")
    right.plot(t[inside], exploding.sigma(t).numpy()[inside], color="0.5", ls=":")
    left.set(xlabel="m", ylabel="sigma", ylim=(0.0, 1.25))
    right.set(xlabel="t", ylim=(0.0, 1.25))
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    figure.suptitle("Kernel N(m x_0, sigma^2 I) of the forward processes: sigma = (1 - m^k)^(1/k)", fontsize=10)
    return save(folder / "figure1.png", figure)


def compare(options: Options) -> Found:
    """The table, the figure and the goal."""
    rows = table1()
    worst = max(max(row["defect of m"], row["defect of sigma^2"]) for row in rows)
    reached = [goal("largest defect of the two relations", worst, worst <= ALLOWED, f"at most {ALLOWED:g}")]
    figure1(options.root / "results" / "processes")
    return {"Table 1, evaluated (T = 1; schedules: docs/diffusion.md)": rows}, reached


def main() -> int:
    """Command line."""
    return measuring_command("processes", __doc__, "Forward processes (Table 1, Figure 1)", compare)


if __name__ == "__main__":
    sys.exit(main())
