"""The whole grid at a glance: every network and sampler against what exact samples get."""

from statistics import fmean

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm

from fluxbench.bench.report.labels import formulation_label, sampler_label
from fluxbench.bench.report.pictures.style import DENSE, Picture, colour_bar
from fluxbench.storage import Row

MOST = 4.0
"""Ratio at which the colours end."""


def heat_map(rows: list[Row]) -> Picture:
    """Ratios to the floor: S1 of the joint densities, error of the flux problems; mean over training seeds.

    Args:
        rows: of ``scores.csv``; those of single segments do not count.
    """
    known = compared(rows)
    columns = list(dict.fromkeys(_column(row) for row in known))
    names = list(dict.fromkeys(_name(row) for row in known))
    ratios = np.full((len(names), len(columns)), np.nan)
    for i, name in enumerate(names):
        for j, column in enumerate(columns):
            those = [row["value"] / row["floor"] for row in known if (_name(row), _column(row)) == (name, column)]
            ratios[i, j] = fmean(those) if those else np.nan
    figure, axis = plt.subplots(figsize=(2.6 + 0.95 * len(columns), 1.2 + 0.34 * len(names)), layout="constrained")
    norm = LogNorm(1.0, MOST, clip=True)
    image = axis.pcolormesh(np.ma.masked_invalid(ratios), cmap=DENSE, norm=norm, edgecolors="none")
    for (i, j), ratio in np.ndenumerate(ratios):
        if np.isfinite(ratio):
            light = norm(ratio) > 0.5
            axis.text(
                j + 0.5, i + 0.5, f"{ratio:.2f}", ha="center", va="center", color="#000000" if light else "#ffffff"
            )
    axis.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axis.set_yticks(np.arange(len(names)) + 0.5, names)
    axis.invert_yaxis()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    ticks = [1.0, 1.5, 2.0, 3.0, MOST]
    bar = colour_bar(figure, image, ax=axis, ticks=ticks, format="%g", label="score / exact samples'")
    bar.ax.minorticks_off()
    caption = (
        "The grid: S1 (joint densities) and error of the posterior mean (flux) over what exact samples get, mean over "
        "training seeds. 1 is a perfect sampler. Noise levels without a reference are left out."
    )
    return Picture("grid", figure, caption)


def compared(rows: list[Row]) -> list[Row]:
    """The rows that the picture shows; none where nothing is known that samples could be compared with."""
    return [row for row in rows if not row["wall"] and row["metric"] in {"S1", "error"} and row["floor"]]


def _column(row: Row) -> str:
    problem = str(row["problem"]).replace("-", "-\n")  # narrow columns
    return problem if row["metric"] == "S1" else f"{problem}\n{row['noise']:g}"


def _name(row: Row) -> str:
    return f"{row['recipe']}, {formulation_label(row)}, {sampler_label(row)}"
