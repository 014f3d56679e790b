"""How far posteriors of the flux are from exact ones: calibration, and distance from the reference, by noise level."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fluxbench.bench import layout
from fluxbench.bench.config import Config
from fluxbench.bench.files.samples import Integrator
from fluxbench.bench.metrics import calibration
from fluxbench.bench.report.labels import formulation_label, sampler_label
from fluxbench.bench.report.pictures.style import CYCLE, GREY, INK, PALE, Picture, legend
from fluxbench.solvers.data import datasets
from fluxbench.storage import Row
from fluxbench.training.cells import Cell

COMPARED = {
    "excess error": ("excess error (mean fluxes)", 0.0),
    "mean shift": ("mean shift (std)", None),
    "std ratio": ("std ratio", 1.0),
    "marginal W1": ("marginal W1 (std)", None),
    "sliced W1": ("sliced W1, whitened", None),
    "C2ST": ("C2ST accuracy", 0.5),
}
"""Metrics of the picture: label, and what independent exact samples get, where that is one number."""


def calibrated(config: Config, recipe: str) -> Picture:
    """Coverage of central credible intervals against their level, less the level; one panel a problem and noise."""
    seed = config.training.seeds_of(recipe)[0]
    sampled = [(cell, by) for cell, by in layout.sampled(config) if (cell.recipe, cell.seed) == (recipe, seed)]
    panels = [(problem, noise) for problem in config.flux.problems for noise in config.flux.noise]
    columns = min(len(panels), 3 if len(panels) < 5 else 5)
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.3 * columns, 2.6 * rows + 0.6), squeeze=False, sharey=True, layout="constrained"
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (problem, noise) in zip(axes.flat, panels, strict=False):
        truth = datasets.read(layout.solved(config, problem)).test.x[: config.flux.measurements]
        here = [(cell, by) for cell, by in sampled if (cell.problem, cell.noise) == (problem, noise)]
        if (problem, noise) in layout.referenced(config):
            _gap(axis, layout.exact(config, problem, noise).again, truth, color=INK, ls=":", label="exact posterior")
        for (cell, by), colour in zip(here, _colours(here), strict=True):
            x = np.maximum(layout.drawn(config, cell, by).x, 0.0)
            label = f"{formulation_label(vars(cell))}, {sampler_label({'sampler': by.label, 'alpha': by.alpha})}"
            _gap(axis, x, truth, color=colour, ls="-" if by.alpha == 0.0 else "--", lw=1.3, label=label)
        axis.axhline(0.0, color=PALE, lw=0.8, zorder=0)
        axis.set(title=f"{problem}, noise {noise:g}")
    for axis in axes[-1]:
        axis.set_xlabel("level")
    for axis in axes[:, 0]:
        axis.set_ylabel("coverage - level")
    legend(figure, ncols=4)
    caption = (
        "Calibration: how often central credible intervals hold the truth, less their level, over all segments of "
        f"{config.flux.measurements:,} test measurements. Recipe `{recipe}`, training seed {seed}. On the line: "
        "calibrated; above it: posteriors too wide; below: too narrow. The exact posterior strays from the line as far "
        "as so few measurements make it."
    )
    return Picture(f"calibration_{recipe}", figure, caption)


def _gap(axis: Axes, samples: np.ndarray, truth: np.ndarray, **style: Any) -> None:
    level, coverage = calibration.coverage_curve(calibration.ranks(samples, truth))
    axis.plot(level, coverage - level, **style)


def _colours(sampled: list[tuple[Cell, Integrator]]) -> Iterator[str]:
    """One for each formulation."""
    names = list(dict.fromkeys((cell.formulation, cell.amortised) for cell, _ in sampled))
    return (CYCLE[names.index((cell.formulation, cell.amortised)) % len(CYCLE)] for cell, _ in sampled)


def excess(rows: list[Row], recipe: str) -> Picture:
    """What every metric makes of each formulation and sampler beside as many exact samples, by problem and noise.

    Args:
        rows: of ``scores.csv``, of one recipe and training seed, with a reference.
        recipe: its name.
    """
    levels = list(dict.fromkeys((row["problem"], row["noise"]) for row in rows))
    series = list(dict.fromkeys((formulation_label(row), sampler_label(row)) for row in rows))
    formulations = list(dict.fromkeys(name for name, _ in series))
    places = {level: float(i) for i, level in enumerate(levels)}
    figure, axes = plt.subplots(2, 3, figsize=(11.0, 6.0), sharex=True, layout="constrained")
    for axis, (metric, (label, ideal)) in zip(axes.flat, COMPARED.items(), strict=True):
        those = [row for row in rows if row["metric"] == metric]
        for i, (name, sampler) in enumerate(series):
            line = [row for row in those if (formulation_label(row), sampler_label(row)) == (name, sampler)]
            shift = 0.7 * ((i + 0.5) / len(series) - 0.5)
            colour = CYCLE[formulations.index(name) % len(CYCLE)]
            marker = {"ODE": "o", "SDE": "s"}.get(sampler, "^")
            axis.errorbar(
                [places[row["problem"], row["noise"]] + shift for row in line],
                [row["value"] for row in line],
                [row["value_error"] for row in line],
                ls="none",
                marker=marker,
                ms=5,
                mfc=colour if sampler == "ODE" else "none",
                color=colour,
                label=f"{name}, {sampler}",
            )
        floors = {places[row["problem"], row["noise"]]: row["floor"] for row in those}
        axis.hlines(
            list(floors.values()),
            [place - 0.4 for place in floors],
            [place + 0.4 for place in floors],
            color=INK,
            ls=":",
            lw=1.2,
            label="exact samples",
        )
        if ideal is not None:
            axis.axhline(ideal, color=GREY, lw=0.8, alpha=0.6, zorder=0)
        axis.set(title=label)
    for axis in axes[-1]:
        several = len({problem for problem, _ in levels}) > 1
        names = [f"{problem}\n{noise:g}" if several else f"{noise:g}" for problem, noise in levels]
        axis.set_xticks(list(places.values()), names)
        axis.set_xlabel("noise" if not several else "problem, noise")
    legend(figure, ncols=5)
    first = rows[0]
    caption = (
        f"Distance from the reference posterior, recipe `{recipe}`, {first['measurements']:,} test measurements with "
        f"{first['generated']:,} samples each (C2ST: fewer), training seed {first['seed']}; bars: Monte Carlo errors. "
        "Dotted: as many exact samples, scored the same way. Grey: what the metric makes of two exact posteriors."
    )
    return Picture(f"excess_{recipe}", figure, caption)
