"""The posterior of a user's own measurements."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fluxbench.arrays import Reals
from fluxbench.bench.report.pictures.style import BLUE, SKY, legend
from fluxbench.solvers.boundary_flux import FluxProblem, Geometry
from fluxbench.solvers.problem import Problem

SHOWN = 3
"""Measurements in the picture."""


def posterior(title: str, problem: Problem, x: Reals, y: Reals) -> Figure:
    """Draw the posterior of the first measurements: along both walls for a flux problem, else a histogram of x's first.

    Args:
        title: of the figure.
        problem: whose posteriors they are.
        x: samples in physical units, shape (M, S, d).
        y: measurements as the histogram's title gives them, shape (M, n).
    """
    shown, walls = min(SHOWN, len(x)), isinstance(problem, FluxProblem)
    size = (3.8 * shown + 0.6, 5.2 if walls else 3.0)
    figure, axes = plt.subplots(
        2 if walls else 1, shown, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for i, column in enumerate(axes.T):
        if isinstance(problem, FluxProblem):
            _along_walls(column, problem.geometry, x[i], f"measurement {i + 1}")
        else:
            column[0].hist(x[i, :, 0], 40, density=True, color=SKY)
            column[0].set(title=f"y = {y[i, 0]:.4g}", xlabel="x")
    if walls:
        for axis in axes[:, 0]:
            axis.set_ylabel("flux")
        legend(figure, ncols=2)
    figure.suptitle(title, fontsize=10)
    return figure


def _along_walls(axes: tuple[Axes, Axes], geometry: Geometry, x: Reals, title: str) -> None:
    """Draw median and central 90 % of samples (S, d) along the upper wall, and below along the lower one."""
    low, middle, high = np.quantile(x, (0.05, 0.5, 0.95), axis=0)
    for axis, wall, start in zip(axes, ("upper", "lower"), (geometry.segments, 0), strict=True):
        segments = slice(start, start + geometry.segments)
        edges, ends = geometry.edges, (low[segments], high[segments])
        axis.stairs(ends[1], edges, baseline=ends[0], fill=True, color=SKY, alpha=0.45, label="5 to 95 %")
        axis.stairs(middle[segments], edges, color=BLUE, lw=1.5, baseline=None, label="median")
        axis.set_title(f"{title}, {wall} wall")
    axes[1].set_xlabel("distance from the inlet")
