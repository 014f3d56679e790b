"""Figures of the paper's section 6, from the sample files and the tidy table of flux errors."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from bench import layout
from bench.config import Config
from bench.references.gaussian import linear_gaussian
from bench.samples import Integrator
from bench.scoring.densities import EXACT_DRAWS, band
from bench.tables import formulation_label, sampler_label
from solvers import datasets
from solvers.densities import DENSITIES
from solvers.flux_problems import FLUX_PROBLEMS
from solvers.measurements import MeasurementOperator
from solvers.storage import Row, atomic_path
from training.cells import Cell

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's colours can be told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
NOISE_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
CASES = 3


def draw_all(config: Config, flux: list[Row]) -> list[Path]:
    """Draw every figure of a run and return their paths, in the report's order.

    Args:
        config: the run.
        flux: the rows of the flux problems in ``scores.csv``.
    """
    folder = config.results / "figures"
    for old in folder.glob("*.png"):  # of formulations that are no longer in the run
        old.unlink()
    pictures = []
    for recipe in config.training.recipes:
        if recipe.startswith("tuned-without"):
            continue  # for the table of ablations alone
        seed = config.training.seeds_of(recipe)[0]
        sampled = [(cell, by) for cell, by in layout.sampled(config) if (cell.recipe, cell.seed) == (recipe, seed)]
        for name in config.training.formulations_of(recipe):
            pairs = [(cell, by) for cell, by in sampled if cell.formulation == name]
            # The paper shows the SDE for densities and the ODE for fluxes.
            shown = {cell.problem: (cell, by) for cell, by in sorted(pairs, key=lambda pair: pair[1].alpha)}
            densities = [shown[problem] for problem in config.densities.problems]
            if densities:
                path = folder / f"histograms_{recipe}_{name}.png"
                pictures.append(save(path, histograms(config, densities)))
            quiet = min(config.flux.noise, default=0.0)
            for problem in config.flux.problems:
                cell, by = min(
                    ((cell, by) for cell, by in pairs if (cell.problem, cell.noise) == (problem, quiet)),
                    key=lambda pair: pair[1].alpha,
                )
                pictures.append(save(folder / f"cases_{problem}_{recipe}_{name}.png", cases(config, cell, by)))
        for problem in config.flux.problems:
            here = [row for row in flux if (row["recipe"], row["problem"], row["seed"]) == (recipe, problem, seed)]
            here = [row for row in here if row.get("wall")]
            for metric in ("error", "std"):
                path = folder / f"{metric}_{problem}_{recipe}.png"
                pictures.append(save(path, segments(config, here, metric)))
    return pictures


def save(path: Path, figure: Figure) -> Path:
    """Write a figure and close it."""
    with atomic_path(path) as temporary:
        # No date or version inside: the same numbers make the same file.
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path


def histograms(config: Config, shown: list[tuple[Cell, Integrator]]) -> Figure:
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
            axis.hist(reference, bins, density=True, color="0.8", label="test samples in the band")
            axis.hist(generated[j, :, 0], bins, density=True, histtype="step", color=BLUE, lw=1.5, label="generated")
            exact = density.sample_conditional(y, EXACT_DRAWS, config.seed)
            heights, edges = np.histogram(exact, bins, density=True)
            axis.plot(0.5 * (edges[1:] + edges[:-1]), heights, color=ORANGE, lw=1.0, ls="--", label="exact conditional")
            axis.set_title(f"{cell.problem}, y = {y:g}", fontsize=9)
            axis.set_yticks([])
        row[0].set_ylabel("p(x | y)")
    for axis in axes[-1]:
        axis.set_xlabel("x")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    cell, by = shown[0]
    figure.suptitle(
        f"{cell.formulation}, {by.label}, recipe {cell.recipe}, {cell.hyperparameters.epochs:,} epochs", fontsize=10
    )
    return figure


def cases(config: Config, cell: Cell, by: Integrator) -> Figure:
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
            axis.stairs(dataset.test.x[case, here], edges, color="black", lw=1.2, baseline=None, label="truth")
            on = "" if found.mask is None else f", {found.mask[case].sum()} of {found.mask.shape[1]} sensors on"
            axis.set_title(f"case {case + 1}, {wall} wall{on}", fontsize=9)
        axes[1, case].set_xlabel("distance from the inlet")
    for axis in axes[:, 0]:
        axis.set_ylabel("flux")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    figure.suptitle(
        f"{cell.problem}: {cell.formulation}, {by.label}, noise {cell.noise:g} of the range, recipe {cell.recipe}, "
        f"{cell.hyperparameters.epochs:,} epochs",
        fontsize=10,
    )
    return figure


def segments(config: Config, flux: list[Row], metric: str) -> Figure:
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
    colours = (
        NOISE_COLOURS
        if len(noises) <= len(NOISE_COLOURS)
        else plt.get_cmap("viridis")(np.linspace(0, 0.9, len(noises)))
    )
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
            _line(
                axis, [row for row in here if row["noise"] == noises[-1]], "prior", color="0.5", ls=":", label="prior"
            )
            axis.set_title(f"{name}, {wall} wall", fontsize=9)
        column[-1].set_xlabel("segment, from the inlet")
    axes[0, 0].set_ylim(bottom=0.0)  # shared by all panels, so only now that all lines are in
    label = {"error": "mean |posterior mean - truth| / mean flux", "std": "mean posterior standard deviation"}[metric]
    figure.supylabel(label, fontsize=9)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    first = rows[0]
    figure.suptitle(
        f"{first['problem']}: {sampler_label(first)}, recipe {first['recipe']}, {first['epochs']:,} epochs, "
        f"{first['measurements']:,} measurements x {first['generated']:,} samples",
        fontsize=10,
    )
    return figure


def _line(axis: Any, rows: list[Row], column: str, **style: Any) -> None:
    axis.plot([row["segment"] for row in rows], [row[column] for row in rows], **style)
