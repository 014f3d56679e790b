"""The flux problems of sections 6.2 and 6.3: three cases, errors and spreads by segment (Figs 7-11, 13, 14, 16-20)."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from fluxbench.arrays import Floats
from fluxbench.bench.files.samples import PosteriorSamples
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.bench.report.labels import formulation_label
from fluxbench.bench.report.pictures.style import BLUE, CYCLE, DENSE, GREY, INK, ORANGE, SKY, Picture, legend
from fluxbench.bench.run import Run, SampleSet
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.problems import flux_problem

CASES = 3
"""Test measurements in a picture of cases."""
CASES_OF = {("linear", "ve"): "Fig 7", ("linear", "vp-k2"): "Fig 8", ("multi-operator", "ve"): "Fig 13"}
CASES_OF |= {("nonlinear", "ve"): "Fig 16"}
SEGMENTS_OF = {("linear", "error"): "Figs 9, 10", ("linear", "std"): "Fig 11", ("multi-operator", "error"): "Fig 14"}
SEGMENTS_OF |= {("nonlinear", "error"): "Figs 17, 18", ("nonlinear", "std"): "Figs 19, 20"}


def cases(run: Run, shown: SampleSet) -> Picture:
    """Draw three test measurements: true flux, posterior mean and one standard deviation about it (Figs 7, 13, 16).

    Args:
        run: whose samples they are.
        shown: the samples.
    """
    cell, dataset, samples = shown.cell, run.dataset(shown.problem), run.samples(shown)
    geometry = flux_problem(shown.problem).geometry
    mean, std = samples.x.mean(axis=1), samples.x.std(axis=1, ddof=1)
    exact = _linear_gaussian_mean(dataset, shown, samples)
    edges, count = geometry.edges, min(CASES, len(mean))
    figure, axes = plt.subplots(
        2, count, figsize=(3.5 * count, 5.2), squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for case in range(count):
        for axis, wall, start in ((axes[0, case], "upper", geometry.segments), (axes[1, case], "lower", 0)):
            segments = slice(start, start + geometry.segments)
            middle, width = mean[case, segments], std[case, segments]
            label = "model, mean ± std"
            axis.stairs(middle + width, edges, baseline=middle - width, fill=True, color=SKY, alpha=0.45, label=label)
            axis.stairs(middle, edges, color=BLUE, lw=1.5, baseline=None, label="model, mean")
            if exact is not None:
                label = "linear-Gaussian posterior, mean"
                axis.stairs(exact[case, segments], edges, color=ORANGE, lw=1.2, ls="--", baseline=None, label=label)
            axis.stairs(dataset.test.x[case, segments], edges, color=INK, lw=1.2, baseline=None, label="truth")
            on = "" if samples.mask is None else f", {samples.mask[case].sum()} of {samples.mask.shape[1]} sensors on"
            axis.set_title(f"case {case + 1}, {wall} wall{on}")
        axes[1, case].set_xlabel("distance from the inlet")
    for axis in axes[:, 0]:
        axis.set_ylabel("flux")
    legend(figure, ncols=4)
    sampler = f"{formulation_label(cell.formulation, cell.amortised)}, {shown.integrator.description}"
    caption = (
        f"The first {count} test measurements of the {shown.problem} problem and their posteriors by {sampler}"
        f"{_of_paper(CASES_OF.get((shown.problem, cell.formulation)))}: noise {shown.noise:g} of the readings' range, "
        f"recipe `{cell.recipe}`, {cell.hyperparameters.epochs:,} epochs, {samples.x.shape[1]:,} samples each, "
        f"training seed {cell.seed}."
    )
    return Picture(f"cases_{shown.problem}_{cell.recipe}_{cell.formulation}", figure, caption)


def _linear_gaussian_mean(dataset: Dataset, shown: SampleSet, samples: PosteriorSamples) -> Floats | None:
    """Return the means (M, d) of the linear-Gaussian posteriors; None where the problem is not linear."""
    if dataset.operator is None:
        return None
    scale = MeasurementOperator.of(dataset, shown.noise).y_scale
    y, noise = scale.restore(samples.y), shown.noise * scale.span
    return linear_gaussian(flux_problem(shown.problem).prior, dataset.operator, y, noise, samples.mask).mean


def segments(scores: pd.DataFrame, metric: str) -> Picture:
    """Draw error or posterior standard deviation of each segment, by noise and formulation (Figs 9-11, 14, 17-20).

    Args:
        scores: of single segments, of one problem, recipe and training seed, labelled; the least alpha is shown.
        metric: "error" or "std".
    """
    rows = scores[(scores["metric"] == metric) & (scores["alpha"] == scores["alpha"].min())]
    names, noises = rows["formulation_label"].unique(), sorted(rows["noise"].unique())
    colours = CYCLE if len(noises) <= len(CYCLE) else plt.get_cmap(DENSE)(np.linspace(0, 0.9, len(noises)))
    size = max(4.6 * len(names), 7.0), 5.8
    figure, axes = plt.subplots(
        2, len(names), figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for column, name in zip(axes.T, names, strict=True):
        for axis, wall in zip(column, ("upper", "lower"), strict=True):
            panel = rows[(rows["formulation_label"] == name) & (rows["wall"] == wall)]
            for noise, line in panel.groupby("noise"):
                x, colour = line["segment"], colours[noises.index(noise)]
                axis.plot(x, line["value"], color=colour, marker="o", ms=3, label=f"model, noise {noise:g}")
                exact = "linear_gaussian" if line["floor"].isna().any() else "floor"
                known = {"floor": "exact posterior", "linear_gaussian": "linear-Gaussian"}[exact]
                if line[exact].notna().all():
                    axis.plot(x, line[exact], color=colour, ls="--", lw=1.0, label=f"{known}, noise {noise:g}")
            loudest = panel[panel["noise"] == noises[-1]]
            axis.plot(loudest["segment"], loudest["prior"], color=GREY, ls=":", label="prior")
            axis.set_title(f"{name}, {wall} wall")
        column[-1].set_xlabel("segment, from the inlet")
    axes[0, 0].set_ylim(bottom=0.0)  # shared by all panels, so only now that all lines are in
    label = {"error": "mean |posterior mean - truth| / mean flux", "std": "mean posterior standard deviation"}[metric]
    figure.supylabel(label, fontsize=9)
    legend(figure, ncols=min(len(noises) + 1, 5))
    first = rows.iloc[0]
    name = {"error": "Error of the posterior mean", "std": "Posterior standard deviation"}[metric]
    caption = (
        f"{name} by segment, {first['problem']} problem{_of_paper(SEGMENTS_OF.get((first['problem'], metric)))}: "
        f"{first['sampler_label']}, recipe `{first['recipe']}`, {first['epochs']:,} epochs, mean over "
        f"{first['measurements']:,} test measurements with {first['generated']:,} samples each, training seed "
        f"{first['seed']}. Dashed: what exact samples get; dotted: the prior, which knows no measurement."
    )
    return Picture(f"{metric}_{first['problem']}_{first['recipe']}", figure, caption)


def _of_paper(number: str | None) -> str:
    """Return the paper's number of a picture, in brackets."""
    return f" ({number})" if number else ""
