"""How pictures look, on paper and on a page: colours, PNG and SVG.

On a page a picture follows the reader's choice of light or dark. So an SVG names its colours by CSS variables, which
the page sets for either, and its lines and letters have the colour of the text around it; in a PNG they are as given
here.
"""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from cycler import cycler

from fluxbench.storage import atomic_path

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

# Okabe and Ito's colours can be told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
INK, GREY, PALE = "#16191d", "#7f8389", "#c9ccd1"
COLOURS = {
    "blue": BLUE,
    "orange": ORANGE,
    "green": GREEN,
    "purple": PURPLE,
    "sky": SKY,
    "yellow": YELLOW,
    "grey": GREY,
    "pale": PALE,
}
"""Colours by the names of the page's CSS variables."""
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
DENSE = "cividis"
"""Colour map of fields and heat maps, alike to all kinds of colour vision."""

plt.rcParams |= {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "figure.facecolor": "white",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "fluxbench",  # the same picture makes the same file
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Picture:
    """A figure with the words beneath it.

    Attributes:
        name: of its file, without suffix.
        figure: matplotlib's.
        caption: what is shown, of what and of how many; Markdown.
    """

    name: str
    figure: Figure
    caption: str


def label_levels(axis: Axes, levels: Sequence[tuple[str, float]]) -> None:
    """Label the places 0, 1, ... of the x-axis by noise level, and neighbours of one problem by its name beneath them.

    Args:
        axis: whose x-axis it is.
        levels: problem and noise of each place; NaN for a joint density, which has no noise.
    """
    axis.set_xticks(range(len(levels)), ["" if math.isnan(noise) else f"{noise:g}" for _, noise in levels], fontsize=8)
    centres, names = list[float](), list[str]()
    for problem, group in groupby(range(len(levels)), lambda place: levels[place][0]):
        places = list(group)
        centres.append(fmean(places))
        names.append(problem if len(places) > 1 else problem.replace("-", "-\n"))
    problems = axis.secondary_xaxis(0.0)
    problems.set_xticks(centres, names, fontsize=9)
    noisy = not all(math.isnan(noise) for _, noise in levels)
    problems.set_xlabel("noise, problem" if noisy else "problem", fontsize=8)
    problems.tick_params(length=0, pad=18 if noisy else 4)  # below the noise
    problems.spines["bottom"].set_visible(False)


def legend(figure: Figure, **options: Any) -> None:
    """Add one legend for all axes, beneath them; what several have stands there once."""
    entries = dict(entry for axis in figure.axes for entry in zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", **options)


def colour_bar(figure: Figure, image: ScalarMappable, **options: Any) -> Colorbar:
    """Add the key to an image's colours, without a frame."""
    bar = figure.colorbar(image, **options)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    return bar


def save(path: Path, figure: Figure) -> Path:
    """Write a figure as PNG and close it."""
    with atomic_path(path) as temporary:
        # No date or version inside: the same numbers make the same file.
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path


def svg(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element for a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", dpi=110, transparent=True, metadata={"Date": None, "Creator": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r' id="[a-z]+[0-9a-z]*_[0-9]+"', "", element)  # names of axes and lines, the same in every picture
    element = re.sub(r'(<svg[^>]*?) width="[^"]*pt"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*pt"', r"\1", element))
    for name, colour in COLOURS.items():
        element = element.replace(colour, f"var(--{name})")
    return element.replace(INK, "currentColor")
