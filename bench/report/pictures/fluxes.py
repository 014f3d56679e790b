"""The flux problems of sections 6.2 and 6.3: three cases, errors and spreads by segment (Figs 7-11, 13, 14, 16-20)."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fluxbench.bench import layout
from fluxbench.bench.config import Config
from fluxbench.bench.files.samples import Integrator
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.bench.report.labels import formulation_label, sampler_label
from fluxbench.bench.report.pictures.style import BLUE, CYCLE, DENSE, GREY, INK, ORANGE, SKY, Picture, legend
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.storage import Row
from fluxbench.training.cells import Cell

CASES = 3
CASES_OF = {("linear", "ve"): "Fig 7", ("linear", "vp-k2"): "Fig 8", ("multi-operator", "ve"): "Fig 13"}
CASES_OF |= {("nonlinear", "ve"): "Fig 16"}
SEGMENTS_OF = {("linear", "error"): "Figs 9, 10", ("linear", "std"): "Fig 11", ("multi-operator", "error"): "Fig 14"}
SEGMENTS_OF |= {("nonlinear", "error"): "Figs 17, 18", ("nonlinear", "std"): "Figs 19, 20"}


def cases(config: Config, cell: Cell, by: Integrator) -> Picture:
    """Three test measurements: true flux, posterior mean and one standard deviation about it (Figs 7, 13, 16)."""
    problem = FLUX_PROBLEMS[cell.problem]
    dataset = datasets.read(layout.solved(config, cell.problem))
    operator = MeasurementOperator.of(dataset, cell.noise)
    found = layout.drawn(config, cell, by)
    mean, std = found.x.mean(axis=1), found.x.std(axis=1, ddof=1)
    exact = None
    if dataset.operator is not None:
        y = operator.y_scale.restore(found.y)
        exact = linear_gaussian(problem.prior, dataset.operator, y, cell.noise * operator.y_scale.span, found.mask)
    edges, count = problem.geometry.edges, problem.geometry.segments
    shown = min(CASES, len(mean))
    figure, axes = plt.subplots(
        2, shown, figsize=(3.6 * shown, 5.2), squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for case in range(shown):
        for axis, wall, start in ((axes[0, case], "upper", count), (axes[1, case], "lower", 0)):
            here = slice(start, start + count)
            low, high = mean[case, here] - std[case, here], mean[case, here] + std[case, here]
            axis.stairs(high, edges, baseline=low, fill=True, color=SKY, alpha=0.45, label="model, mean ± std")
            axis.stairs(mean[case, here], edges, color=BLUE, lw=1.5, baseline=None, label="model, mean")
            if exact is not None:
                label = "linear-Gaussian posterior, mean"
                axis.stairs(exact.mean[case, here], edges, color=ORANGE, lw=1.2, ls="--", baseline=None, label=label)
            axis.stairs(dataset.test.x[case, here], edges, color=INK, lw=1.2, baseline=None, label="truth")
            on = "" if found.mask is None else f", {found.mask[case].sum()} of {found.mask.shape[1]} sensors on"
            axis.set_title(f"case {case + 1}, {wall} wall{on}", fontsize=9)
        axes[1, case].set_xlabel("distance from the inlet")
    for axis in axes[:, 0]:
        axis.set_ylabel("flux")
    legend(figure, ncols=4)
    number = CASES_OF.get((cell.problem, cell.formulation))
    by_name = f"{formulation_label(vars(cell))}, {by.description}"
    caption = (
        f"The first {shown} test measurements of the {cell.problem} problem and their posteriors by {by_name}"
        f"{_of_paper(number)}: noise {cell.noise:g} of the readings' range, recipe `{cell.recipe}`, "
        f"{cell.hyperparameters.epochs:,} epochs, {found.x.shape[1]:,} samples each, training seed {cell.seed}."
    )
    return Picture(f"cases_{cell.problem}_{cell.recipe}_{cell.formulation}", figure, caption)


def segments(config: Config, flux: list[Row], metric: str) -> Picture:
    """Error or posterior standard deviation of each segment, by noise level and formulation (Figs 9-11, 14, 17-20).

    Args:
        config: the run.
        flux: the rows of one problem, recipe and training seed.
        metric: "error" or "std".
    """
    least = min(config.sampling.alphas)
    rows = [row for row in flux if (row["metric"], row["alpha"]) == (metric, least)]
    names = list(dict.fromkeys(formulation_label(row) for row in rows))
    noises = sorted({row["noise"] for row in rows})
    colours = CYCLE if len(noises) <= len(CYCLE) else plt.get_cmap(DENSE)(np.linspace(0, 0.9, len(noises)))
    figure, axes = plt.subplots(
        2,
        len(names),
        figsize=(max(4.6 * len(names), 7.0), 5.8),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for column, name in zip(axes.T, names, strict=True):
        for axis, wall in zip(column, ("upper", "lower"), strict=True):
            here = [row for row in rows if formulation_label(row) == name and row["wall"] == wall]
            for colour, noise in zip(colours, noises, strict=False):
                line = [row for row in here if row["noise"] == noise]
                if not line:
                    continue  # amortised networks have no level zero
                _line(axis, line, "value", color=colour, marker="o", ms=3, label=f"model, noise {noise:g}")
                for bound, known in (("floor", "exact posterior"), ("linear_gaussian", "linear-Gaussian")):
                    if line[0][bound] is not None:
                        _line(axis, line, bound, color=colour, ls="--", lw=1.0, label=f"{known}, noise {noise:g}")
                        break
            _line(axis, [row for row in here if row["noise"] == noises[-1]], "prior", color=GREY, ls=":", label="prior")
            axis.set_title(f"{name}, {wall} wall", fontsize=9)
        column[-1].set_xlabel("segment, from the inlet")
    axes[0, 0].set_ylim(bottom=0.0)  # shared by all panels, so only now that all lines are in
    label = {"error": "mean |posterior mean - truth| / mean flux", "std": "mean posterior standard deviation"}[metric]
    figure.supylabel(label, fontsize=9)
    legend(figure, ncols=3)
    first = rows[0]
    number = SEGMENTS_OF.get((first["problem"], metric))
    what = {"error": "Error of the posterior mean", "std": "Posterior standard deviation"}[metric]
    caption = (
        f"{what} by segment, {first['problem']} problem{_of_paper(number)}: {sampler_label(first)}, recipe "
        f"`{first['recipe']}`, {first['epochs']:,} epochs, mean over {first['measurements']:,} test measurements with "
        f"{first['generated']:,} samples each, training seed {first['seed']}. Dashed: what exact samples get; dotted: "
        "the prior, which knows no measurement."
    )
    return Picture(f"{metric}_{first['problem']}_{first['recipe']}", figure, caption)


def _of_paper(number: str | None) -> str:
    """The paper's number of a picture, in brackets."""
    return f" ({number})" if number else ""


def _line(axis: Axes, rows: list[Row], column: str, **style: Any) -> None:
    axis.plot([row["segment"] for row in rows], [row[column] for row in rows], **style)
