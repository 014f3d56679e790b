"""Instances of the flux problems: flux, concentration and measurement (Figs 6, 12, 15); needs dolfinx."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from fluxbench.bench.report.pictures.style import BLUE, DENSE, INK, ORANGE, Picture, colour_bar, legend
from fluxbench.bench.run import Run
from fluxbench.solvers.data.datasets import Split
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.fem.fields import fields
from fluxbench.solvers.problems import flux_problem

SHOWN = 3
"""Training samples in the picture."""
FIGURES = {"linear": " (Fig 6)", "multi-operator": " (Fig 12)", "nonlinear": " (Fig 15)"}
"""The paper's numbers of these pictures."""


def instances(run: Run, name: str) -> Picture:
    """Draw three training samples: fluxes of both walls, concentration with sensors, and noisy readings of these.

    Args:
        run: whose data set it is.
        name: of the flux problem.
    """
    problem, dataset, levels = flux_problem(name), run.dataset(name), run.config.flux.noise
    noise = sorted(levels)[len(levels) // 2]
    shown = min(SHOWN, len(dataset.train.x))
    first = Split(dataset.train.x[:shown], dataset.train.y[:shown])
    operator = MeasurementOperator.of(dataset, noise)
    measured = operator.measure(first, "train")
    readings = operator.y_scale.restore(measured.y)
    x, y, concentration = fields(problem, first.x)
    sensors, geometry = problem.sensors, problem.geometry
    figure, axes = plt.subplots(3, shown, figsize=(4.0 * shown, 6.2), squeeze=False, sharey="row", layout="constrained")
    contours = MaxNLocator(24).tick_values(0.0, float(concentration.max()))
    for i in range(shown):
        fluxes, field, values = axes[:, i]
        for wall, start, colour in (("upper", geometry.segments, BLUE), ("lower", 0, ORANGE)):
            here = first.x[i, start : start + geometry.segments]
            fluxes.stairs(here, geometry.edges, baseline=None, color=colour, lw=1.5, label=f"flux, {wall} wall")
        fluxes.set(title=f"training sample {i + 1}", xlim=(0.0, geometry.length))
        image = field.contourf(x, y, concentration[i], contours, cmap=DENSE)
        image.set_rasterized(True)
        on = np.ones(len(sensors), dtype=bool) if measured.mask is None else measured.mask[i]
        field.plot(*sensors[on].T, "o", ms=3, color="white", mec=INK, mew=0.6, label="sensor")
        if not on.all():
            field.plot(*sensors[~on].T, "x", ms=5, mew=1.4, color=ORANGE, label="sensor that is off")
        field.set_aspect("equal")
        for row, colour in zip(np.unique(sensors[:, 1]), (ORANGE, BLUE), strict=False):
            here = (sensors[:, 1] == row) & on
            values.plot(sensors[here, 0], dataset.train.y[i, here], color=colour, lw=0.8, alpha=0.6)
            values.plot(sensors[here, 0], readings[i, here], "o", ms=3, color=colour, label=f"readings, row {row:g}")
        values.set(xlabel="distance from the inlet", xlim=(0.0, geometry.length))
    for axis, label in zip(axes[:, 0], ("flux", "height", "concentration"), strict=True):
        axis.set_ylabel(label)
    colour_bar(figure, image, ax=axes[1, :], shrink=0.8, label="concentration", ticks=contours[::6])
    legend(figure, ncols=6)
    caption = (
        f"Three training samples of the {name} problem{FIGURES.get(name, '')}: fluxes, the concentration that they "
        f"cause, and readings with noise {noise:g} of their range (lines: without)."
    )
    return Picture(f"instances_{name}", figure, caption)
