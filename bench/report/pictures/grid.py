"""The whole grid at a glance: every network and sampler against what exact samples get."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm

from fluxbench.bench.report.labels import LABELS
from fluxbench.bench.report.pictures.style import DENSE, Picture, colour_bar, label_levels

MOST = 4.0
"""Ratio at which the colours end."""


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores that the picture shows: S1 of joint densities, errors of flux problems that have a reference.

    Args:
        scores: of all problems; those of single segments do not count.
    """
    shown = scores["metric"].isin(["S1", "error"])
    return scores[shown & (scores["wall"] == "") & scores["floor"].notna()]


def heat_map(scores: pd.DataFrame) -> Picture:
    """Draw ratios to the floor, means over training seeds: networks and samplers down, problems and noise across.

    Args:
        scores: from :func:`compared`, labelled; at least one.
    """
    across, down = ["problem", "noise"], ["recipe", *LABELS]
    columns = pd.MultiIndex.from_frame(scores[across].drop_duplicates())
    names = pd.MultiIndex.from_frame(scores[down].drop_duplicates())
    means = (scores["value"] / scores["floor"]).groupby([scores[key] for key in across + down], dropna=False).mean()
    ratios = means.unstack(across).reindex(index=names, columns=columns).to_numpy()
    labels = [", ".join(name) for name in names]
    size = 1.4 + 0.072 * max(map(len, labels)) + 0.72 * len(columns), 1.2 + 0.34 * len(names)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    norm = LogNorm(1.0, MOST, clip=True)
    image = axis.imshow(np.ma.masked_invalid(ratios), cmap=DENSE, norm=norm, aspect="auto", interpolation="none")
    for (i, j), ratio in np.ndenumerate(ratios):
        if np.isfinite(ratio):
            colour = "#000000" if norm(ratio) > 0.5 else "#ffffff"
            axis.text(j, i, f"{ratio:.2f}", ha="center", va="center", color=colour, fontsize=9)
    label_levels(axis, list(columns))
    axis.set_yticks(np.arange(len(names)), labels, fontsize=9)
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
