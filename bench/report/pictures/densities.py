"""The joint densities of section 6.1 (Fig 2), and samples of their conditionals (Figs 3, 4)."""

import numpy as np
from matplotlib import pyplot as plt

from fluxbench.bench import layout
from fluxbench.bench.config import Config
from fluxbench.bench.files.samples import Integrator
from fluxbench.bench.report.labels import formulation_label
from fluxbench.bench.report.pictures.style import BLUE, DENSE, ORANGE, PALE, Picture, colour_bar, legend
from fluxbench.bench.scoring.densities import BAND, EXACT_DRAWS, band
from fluxbench.solvers.data import datasets
from fluxbench.solvers.problems import DENSITIES
from fluxbench.training.cells import Cell

BINS = 120
"""Of the joint density, along either axis."""
OUTSIDE = 1e-3
"""Share of the samples that the axes leave out on each side."""


def joint(config: Config) -> Picture:
    """The joint density of each problem and the values of y at which it is conditioned (Fig 2)."""
    problems = config.densities.problems
    figure, axes = plt.subplots(
        1, len(problems), figsize=(3.4 * len(problems), 3.0), squeeze=False, layout="constrained"
    )
    count = 0
    for axis, problem in zip(axes[0], problems, strict=True):
        test = datasets.read(layout.solved(config, problem)).test
        count = len(test.x)
        x, y = test.x[:, 0], test.y[:, 0]
        window = [np.quantile(values, (OUTSIDE, 1.0 - OUTSIDE)) for values in (y, x)]
        density, y_edges, x_edges = np.histogram2d(y, x, BINS, range=window, density=True)
        shown = np.ma.masked_equal(density.T, 0.0)
        image = axis.pcolormesh(y_edges, x_edges, shown, cmap=DENSE, rasterized=True)
        for value in DENSITIES[problem].y_values:
            axis.axvspan(value - BAND, value + BAND, color=ORANGE, alpha=0.35, lw=0)
        axis.set(title=problem, xlabel="y")
        colour_bar(figure, image, ax=axis, shrink=0.85)
    axes[0, 0].set_ylabel("x")
    caption = (
        f"Joint densities p(x, y), a histogram of {count:,} test samples each (Fig 2). Orange: the bands of y whose "
        f"samples stand for p(x | y) in Table 2, the four values of y ± {BAND:g} (values of y: choice)."
    )
    return Picture("densities", figure, caption)


def histograms(config: Config, shown: list[tuple[Cell, Integrator]]) -> Picture:
    """Generated samples against test samples in the band and the exact conditional density (Figs 3, 4)."""
    columns = max(len(DENSITIES[cell.problem].y_values) for cell, _ in shown)
    figure, axes = plt.subplots(
        len(shown), columns, figsize=(3.0 * columns, 2.2 * len(shown) + 0.6), squeeze=False, layout="constrained"
    )
    for row, (cell, by) in zip(axes, shown, strict=True):
        density = DENSITIES[cell.problem]
        dataset = datasets.read(layout.solved(config, cell.problem))
        generated = layout.drawn(config, cell, by).x
        for j, (axis, y) in enumerate(zip(row, density.y_values, strict=True)):
            reference, _ = band(dataset.test.x, dataset.test.y, y)
            low, high = np.quantile(reference, (0.001, 0.999))
            bins = np.linspace(float(low), float(high), 41)
            axis.hist(reference, bins, density=True, color=PALE, label="test samples in the band")
            axis.hist(generated[j, :, 0], bins, density=True, histtype="step", color=BLUE, lw=1.5, label="generated")
            exact = density.sample_conditional(y, EXACT_DRAWS, config.seed)
            heights, edges = np.histogram(exact, bins, density=True)
            axis.plot(0.5 * (edges[1:] + edges[:-1]), heights, color=ORANGE, lw=1.0, ls="--", label="exact conditional")
            axis.set_title(f"{cell.problem}, y = {y:g}", fontsize=9)
            axis.set_yticks([])
        row[0].set_ylabel("p(x | y)")
    for axis in axes[-1]:
        axis.set_xlabel("x")
    legend(figure, ncols=3)
    cell, by = shown[0]
    number = {"ve": " (Fig 3)", "vp-k2": " (Fig 4)"}.get(cell.formulation, "")
    caption = (
        f"Samples of p(x | y) by {formulation_label(vars(cell))}, {by.description}{number}: recipe `{cell.recipe}`, "
        f"{cell.hyperparameters.epochs:,} epochs, {config.densities.generated:,} samples for each y, training seed "
        f"{cell.seed}."
    )
    return Picture(f"histograms_{cell.recipe}_{cell.formulation}", figure, caption)
