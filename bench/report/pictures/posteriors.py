"""How far posteriors of the flux are from exact ones: calibration, and distance from the reference, by noise level."""

from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fluxbench.arrays import Reals
from fluxbench.bench.metrics import calibration
from fluxbench.bench.report.labels import LABELS, formulation_label, sampler_label
from fluxbench.bench.report.pictures.style import CYCLE, GREY, INK, PALE, Picture, label_levels, legend
from fluxbench.bench.run import Run
from fluxbench.bench.scoring.flux import REFERENCE
from fluxbench.solvers.problems import problem

COMPARED = {
    "excess error": ("excess error (mean fluxes)", 0.0),
    "mean shift": ("mean shift (std)", None),
    "std ratio": ("std ratio", 1.0),
    "marginal W1": ("marginal W1 (std)", None),
    "sliced W1": ("sliced W1, whitened", None),
    "C2ST": ("C2ST accuracy", 0.5),
}
"""Metrics of the picture: label, and what independent exact samples get, where that is one number."""
WIDE = 6
"""Problems and noise levels from which on the panels are two in a row in place of three."""


def calibrated(run: Run, recipe: str) -> Picture:
    """Draw coverage of central credible intervals less their level against it; one panel a problem and noise.

    Args:
        run: whose samples and references they are.
        recipe: its name.
    """
    flux, seed = run.config.flux, run.config.training.seeds_of(recipe)[0]
    panels = [(name, noise) for name in flux.problems for noise in flux.noise]
    columns = len(flux.noise) if 3 <= len(flux.noise) <= 5 else min(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.5 * columns + 0.4, 2.1 * rows + 0.9), squeeze=False, sharey=True, layout="constrained"
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, noise) in zip(axes.flat, panels, strict=False):
        truth = run.dataset(name).test.x[: flux.measurements]
        if (name, noise) in run.referenced:
            _gap(axis, run.reference(name, noise).again, truth, color=INK, ls=":", label="exact posterior")
        colours: dict[str, str] = {}
        for samples in run.sample_sets:
            cell, alpha = samples.cell, samples.integrator.alpha
            if (cell.recipe, cell.seed, samples.problem, samples.noise) != (recipe, seed, name, noise):
                continue
            network = formulation_label(cell.formulation, cell.amortised)
            colour = colours.setdefault(network, CYCLE[len(colours) % len(CYCLE)])
            line = "-" if alpha == 0.0 else "--"
            x = problem(name).admissible(run.samples(samples).x)
            _gap(axis, x, truth, color=colour, ls=line, lw=1.3, label=f"{network}, {sampler_label(alpha)}")
        axis.axhline(0.0, color=PALE, lw=0.8, zorder=0)
        axis.set(title=f"{name}, noise {noise:g}", xticks=(0.0, 0.5, 1.0))
    for axis in axes.flat[len(panels) - columns : len(panels)]:
        axis.set_xlabel("level")
    figure.supylabel("coverage - level", fontsize=9)
    legend(figure, ncols=5 if columns > 2 else 3)
    caption = (
        "Calibration: how often central credible intervals hold the truth, less their level, over all segments of "
        f"{flux.measurements:,} test measurements. Recipe `{recipe}`, training seed {seed}. On the line: "
        "calibrated; above it: posteriors too wide; below: too narrow. The exact posterior strays from the line as far "
        "as so few measurements make it."
    )
    return Picture(f"calibration_{recipe}", figure, caption)


def _gap(axis: Axes, samples: Reals, truth: Reals, **style: Any) -> None:
    level, coverage = calibration.coverage_curve(calibration.ranks(samples, truth))
    axis.plot(level, coverage - level, **style)


def excess(scores: pd.DataFrame) -> Picture:
    """Draw what every metric makes of each formulation and sampler beside exact samples, by problem and noise.

    Args:
        scores: of one recipe and training seed, labelled; those that are compared with a reference are shown.
    """
    rows = scores[scores["reference"] == REFERENCE]
    levels = list(rows.groupby(["problem", "noise"], sort=False).groups)
    columns = 3 if len(levels) <= WIDE else 2
    figure, axes = plt.subplots(
        6 // columns, columns, figsize=(10.5, 3.0 * 6 / columns), sharex=True, layout="constrained"
    )
    for axis, (metric, (label, ideal)) in zip(axes.flat, COMPARED.items(), strict=True):
        _panel(axis, rows[rows["metric"] == metric], levels)
        if ideal is not None:
            axis.axhline(ideal, color=GREY, lw=0.8, alpha=0.6, zorder=0)
        axis.set(title=label)
    for axis in axes[-1]:
        label_levels(axis, levels)
    legend(figure, ncols=5)
    first = rows.iloc[0]
    caption = (
        f"Distance from the reference posterior, recipe `{first['recipe']}`, {first['measurements']:,} test "
        f"measurements with {first['generated']:,} samples each (C2ST: fewer), training seed {first['seed']}; bars: "
        "Monte Carlo errors. Dotted: as many exact samples, scored the same way. Grey: what the metric makes of two "
        "exact posteriors."
    )
    return Picture(f"excess_{first['recipe']}", figure, caption)


def _panel(axis: Axes, rows: pd.DataFrame, levels: list[tuple[str, float]]) -> None:
    """Draw one metric: side by side at each level a mark for each formulation and sampler, and exact samples."""
    places = pd.Series(range(len(levels)), pd.MultiIndex.from_tuples(levels))
    series = rows.groupby(LABELS, sort=False)
    names = list(rows["formulation_label"].unique())
    for i, ((name, sampler), line) in enumerate(series):
        shift = 0.7 * ((i + 0.5) / series.ngroups - 0.5)
        colour = CYCLE[names.index(name) % len(CYCLE)]
        axis.errorbar(
            places[line.set_index(["problem", "noise"]).index] + shift,
            line["value"],
            line["value_error"],
            ls="none",
            marker={"ODE": "o", "SDE": "s"}.get(sampler, "^"),
            ms=4,
            lw=1.2,
            mfc=colour if sampler == "ODE" else "none",
            color=colour,
            label=f"{name}, {sampler}",
        )
    floors = rows.groupby(["problem", "noise"], sort=False)["floor"].first()
    middle = places[floors.index]
    axis.hlines(floors, middle - 0.4, middle + 0.4, color=INK, ls=":", lw=1.2, label="exact samples")
    for place in range(1, len(levels)):
        if levels[place][0] != levels[place - 1][0]:
            axis.axvline(place - 0.5, color=PALE, lw=0.8, zorder=0)
