"""Accuracy against cost: distance from exact samples by network evaluations and by seconds, for every sampler."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from fluxbench.bench.report.labels import formulation_label, method_title
from fluxbench.bench.report.pictures.style import CYCLE, GREY, INK, Picture, legend

MARKERS = "os^vDP"
"""By method, like the colours; ODEs are solid, SDEs dashed."""


def against_cost(costs: pd.DataFrame) -> Picture:
    """Draw a column of axes a problem: distance by evaluations above, by seconds for a thousand samples below.

    Args:
        costs: rows of ``costs.csv``.
    """
    seconds = 1e3 * costs["seconds"] / costs["samples"]
    problems = costs.assign(thousand=seconds).sort_values("evaluations", kind="stable").groupby("problem", sort=False)
    names = costs["problem"].unique()
    figure, axes = plt.subplots(
        2, len(names), figsize=(2.9 * len(names), 5.8), squeeze=False, sharey="col", layout="constrained"
    )
    for (above, below), problem in zip(axes.T, names, strict=True):
        rows = problems.get_group(problem)
        first = rows.iloc[0]
        _lines(above, rows, "evaluations")
        _lines(below, rows, "thousand")
        noise = "" if pd.isna(first["noise"]) else f", noise {first['noise']:g}"
        unit = "x" if first["metric"] == "W1" else "std"
        above.set(title=f"{problem}{noise}", xlabel="network evaluations a sample")
        below.set(xlabel="seconds for 1,000 samples")
        for axis in (above, below):
            axis.set_ylabel(f"{first['metric']} ({unit})")
    legend(figure, ncols=3)
    network = formulation_label(costs["formulation"].iloc[0], amortised=False)
    caption = (
        f"Distance from exact samples against cost: {network}, recipe `{costs['recipe'].iloc[0]}`, about "
        f"{costs['samples'].mean():,.0f} samples a point. Down and to the left is better; dotted: what as many exact "
        "samples get. Where a curve is flat, the network's error is all that is left. Joint densities: exact W1 to the "
        "conditional; flux: W1 to the reference posterior segment by segment, in its standard deviations."
    )
    return Picture("cost", figure, caption)


def _lines(axis: Axes, rows: pd.DataFrame, cost: str) -> None:
    """Draw a line for each method and kind of sampler of one problem, and the distance of exact samples."""
    methods = list(rows["method"].unique())
    for (method, sampler), line in rows.groupby(["method", "sampler"], sort=False):
        place = methods.index(method)
        axis.plot(
            line[cost],
            line["value"],
            ls="-" if sampler == "ODE" else "--",
            marker=MARKERS[place % len(MARKERS)],
            ms=4,
            lw=1.2,
            color=CYCLE[place % len(CYCLE)],
            label=f"{method_title(method)}, {sampler}",
        )
    axis.axhline(rows["floor"].iloc[0], color=INK, lw=1.0, ls=":", label="exact samples")
    axis.set(xscale="log", yscale="log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.grid(visible=True, which="major", color=GREY, alpha=0.25, lw=0.5)
