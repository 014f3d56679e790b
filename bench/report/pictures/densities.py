"""The joint densities of section 6.1 (Fig 2), and samples of their conditionals (Figs 3, 4)."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt

from fluxbench.bench.report.labels import formulation_label
from fluxbench.bench.report.pictures.style import BLUE, DENSE, ORANGE, PALE, Picture, colour_bar, legend
from fluxbench.bench.run import Run, SampleSet
from fluxbench.bench.scoring.densities import BAND, EXACT_DRAWS, band
from fluxbench.solvers.problems import joint_density

BINS = 120
"""Bins of the joint density along either axis."""
OUTSIDE = 1e-3
"""Share of the samples that the axes leave out on each side."""


def joint(run: Run) -> Picture:
    """Draw the joint density of each problem and the values of y at which it is conditioned (Fig 2)."""
    problems = run.config.densities.problems
    figure, axes = plt.subplots(
        1, len(problems), figsize=(3.4 * len(problems), 3.0), squeeze=False, layout="constrained"
    )
    count = 0
    for axis, name in zip(axes[0], problems, strict=True):
        test = run.dataset(name).test
        count = len(test.x)
        x, y = test.x[:, 0], test.y[:, 0]
        window = [np.quantile(values, (OUTSIDE, 1.0 - OUTSIDE)) for values in (y, x)]
        density, y_edges, x_edges = np.histogram2d(y, x, BINS, range=window, density=True)
        shown = np.ma.masked_equal(density.T, 0.0)
        image = axis.pcolormesh(y_edges, x_edges, shown, cmap=DENSE, rasterized=True)
        for value in joint_density(name).y_values:
            axis.axvspan(value - BAND, value + BAND, color=ORANGE, alpha=0.35, lw=0)
        axis.set(title=name, xlabel="y")
        colour_bar(figure, image, ax=axis, shrink=0.85)
    axes[0, 0].set_ylabel("x")
    caption = (
        f"Joint densities p(x, y), a histogram of {count:,} test samples each (Fig 2). Orange: the bands of y whose "
        f"samples stand for p(x | y) in Table 2, the four values of y ± {BAND:g} (values of y: choice)."
    )
    return Picture("densities", figure, caption)


def histograms(run: Run, shown: Sequence[SampleSet]) -> Picture:
    """Draw generated samples against test samples in the band and the exact conditional density (Figs 3, 4).

    Args:
        run: whose samples they are.
        shown: the samples of each row of axes, all of one formulation and recipe.
    """
    columns = max(len(joint_density(samples.problem).y_values) for samples in shown)
    figure, axes = plt.subplots(
        len(shown), columns, figsize=(2.7 * columns, 2.2 * len(shown) + 0.6), squeeze=False, layout="constrained"
    )
    for row, samples in zip(axes, shown, strict=True):
        density, test = joint_density(samples.problem), run.dataset(samples.problem).test
        generated = run.samples(samples).x
        for j, (axis, y) in enumerate(zip(row, density.y_values, strict=True)):
            reference, _ = band(test.x, test.y, y)
            low, high = np.quantile(reference, (0.001, 0.999))
            bins = np.linspace(float(low), float(high), 41)
            axis.hist(reference, bins, density=True, color=PALE, label="test samples in the band")
            axis.hist(generated[j, :, 0], bins, density=True, histtype="step", color=BLUE, lw=1.5, label="generated")
            exact = density.sample_conditional(y, EXACT_DRAWS, run.config.seed)
            heights, edges = np.histogram(exact, bins, density=True)
            axis.plot(0.5 * (edges[1:] + edges[:-1]), heights, color=ORANGE, lw=1.0, ls="--", label="exact conditional")
            axis.set_title(f"{samples.problem}, y = {y:g}")
            axis.set_yticks([])
        row[0].set_ylabel("p(x | y)")
    for axis in axes[-1]:
        axis.set_xlabel("x")
    legend(figure, ncols=3)
    cell, integrator = shown[0].cell, shown[0].integrator
    number = {"ve": " (Fig 3)", "vp-k2": " (Fig 4)"}.get(cell.formulation, "")
    caption = (
        f"Samples of p(x | y) by {formulation_label(cell.formulation, cell.amortised)}, {integrator.description}"
        f"{number}: recipe `{cell.recipe}`, {cell.hyperparameters.epochs:,} epochs, "
        f"{run.config.densities.generated:,} samples for each y, training seed {cell.seed}."
    )
    return Picture(f"histograms_{cell.recipe}_{cell.formulation}", figure, caption)
