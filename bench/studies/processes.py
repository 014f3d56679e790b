"""Table 1 and Figure 1 from the code: what every formulation makes of the time.

The coefficients of each forward process at five times, beside the defects of the two
relations that make it one, and a figure of sigma against m and against t for several orders k.
"""

import torch
from torch import Tensor

from fluxbench.bench.report.pictures.processes import figure1
from fluxbench.bench.report.pictures.style import save
from fluxbench.bench.study import Findings, Options, goal
from fluxbench.diffusion.formulations import Formulation, LinearVarianceExploding, VarianceExploding, VariancePreserving
from fluxbench.storage import Row

TITLE = "Forward processes (Table 1, Figure 1)"
PROCESSES: tuple[Formulation, ...] = (
    VarianceExploding(12.0),
    LinearVarianceExploding(5.0),
    *(VariancePreserving(k=k) for k in (1.0, 2.0, 4.0)),
)
TIMES = (0.001, 0.25, 0.5, 0.75, 1.0)
ALLOWED = 1e-6


def table1() -> list[Row]:
    """Return the coefficients of every process, and the defects of dm/dt and of d(sigma^2)/dt, a row a time."""
    rows = []
    for process in PROCESSES:
        for time in TIMES:
            t = torch.tensor(time, dtype=torch.float64)
            names = ("beta", "m", "sigma", "g2", "noise_ratio")
            row = {name: getattr(process, name)(t).item() for name in names}
            rows.append({"formulation": process.name, "t": time, **row, **defects(process, t)})
    return rows


def defects(process: Formulation, t: Tensor) -> Row:
    """Return how far derivatives at time t are from dm/dt = -(beta/2) m and d(sigma^2)/dt = -beta sigma^2 + g2."""
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


def measure(options: Options) -> Findings:
    """Evaluate Table 1, draw Figure 1 beside it, and hold the defects against their bar."""
    rows = table1()
    worst = max(max(row["defect of m"], row["defect of sigma^2"]) for row in rows)
    goals = [goal("largest defect of the two relations", worst, worst <= ALLOWED, f"at most {ALLOWED:g}")]
    save(options.root / "results" / "processes" / "figure1.png", figure1().figure)
    return {"Table 1, evaluated (T = 1; schedules: docs/diffusion.md)": rows}, goals
