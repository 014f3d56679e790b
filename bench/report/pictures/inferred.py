"""The posterior of a user's own measurements."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fluxbench.bench.files.samples import Integrator
from fluxbench.bench.report.labels import sampler_label
from fluxbench.bench.report.pictures.style import BLUE, SKY, legend
from fluxbench.solvers.data.measurements import Measured
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.training.cells import Cell

SHOWN = 3
"""Measurements in the picture."""


def posterior(cell: Cell, by: Integrator, x: NDArray[np.float32], seen: Measured) -> Figure:
    """The posterior of the first measurements: along both walls for a flux problem, else a histogram."""
    shown, problem = min(SHOWN, len(x)), FLUX_PROBLEMS.get(cell.problem)
    size = (3.8 * shown + 0.6, 5.2 if problem else 3.0)
    figure, axes = plt.subplots(
        2 if problem else 1, shown, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for i in range(shown):
        if problem is None:
            axes[0, i].hist(x[i, :, 0], 40, density=True, color=SKY)
            axes[0, i].set(title=f"y = {seen.y[i, 0]:.4g}", xlabel="x")
            continue
        edges, count = problem.geometry.edges, problem.geometry.segments
        low, middle, high = np.quantile(x[i], (0.05, 0.5, 0.95), axis=0)
        for axis, wall, start in ((axes[0, i], "upper", count), (axes[1, i], "lower", 0)):
            here = slice(start, start + count)
            axis.stairs(high[here], edges, baseline=low[here], fill=True, color=SKY, alpha=0.45, label="5 to 95 %")
            axis.stairs(middle[here], edges, color=BLUE, lw=1.5, baseline=None, label="median")
            axis.set_title(f"measurement {i + 1}, {wall} wall", fontsize=9)
        axes[1, i].set_xlabel("distance from the inlet")
    if problem is not None:
        for axis in axes[:, 0]:
            axis.set_ylabel("flux")
        legend(figure, ncols=2)
    sampler = sampler_label({"sampler": by.label, "alpha": by.alpha})
    figure.suptitle(f"{cell.name}, {sampler}, {x.shape[1]:,} samples", fontsize=10)
    return figure
