"""Accuracy against cost: distance from exact samples by network evaluations and by seconds, for every sampler."""

from statistics import fmean

from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

from fluxbench.bench.report.labels import formulation_label
from fluxbench.bench.report.pictures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, Picture, legend
from fluxbench.storage import Row

LINES = {
    ("exponential", "ODE"): ("exponential, ODE", BLUE, "o", "-"),
    ("heun", "ODE"): ("Heun, ODE", GREEN, "s", "-"),
    ("runge-kutta", "ODE"): ("Runge-Kutta 5(4), ODE", ORANGE, "^", "-"),
    ("exponential", "SDE"): ("exponential, SDE", BLUE, "o", "--"),
    ("euler-maruyama", "SDE"): ("Euler-Maruyama, SDE", PURPLE, "v", "--"),
}
"""Label, colour, marker and line of each method and kind of sampler."""


def against_cost(rows: list[Row]) -> Picture:
    """A column a problem; by evaluations above, by seconds for a thousand samples below."""
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    figure, axes = plt.subplots(
        2, len(problems), figsize=(3.3 * len(problems), 6.0), squeeze=False, sharey="col", layout="constrained"
    )
    for column, problem in zip(axes.T, problems, strict=True):
        here = [row for row in rows if row["problem"] == problem]
        for (method, sampler), (label, colour, marker, style) in LINES.items():
            line = [row for row in here if (row["method"], row["sampler"]) == (method, sampler)]
            line.sort(key=lambda row: row["evaluations"])
            values = [row["value"] for row in line]
            costs = ([row["evaluations"] for row in line], [1e3 * row["seconds"] / row["samples"] for row in line])
            for axis, cost in zip(column, costs, strict=True):
                axis.plot(cost, values, ls=style, marker=marker, ms=4, lw=1.2, color=colour, label=label)
        for axis in column:
            axis.axhline(here[0]["floor"], color=INK, lw=1.0, ls=":", label="exact samples")
            axis.set(xscale="log", yscale="log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_major_formatter("{x:g}")
            axis.grid(visible=True, which="major", color=GREY, alpha=0.25, lw=0.5)
        noise = "" if here[0]["noise"] is None else f", noise {here[0]['noise']:g}"
        column[0].set(title=f"{problem}{noise}", xlabel="network evaluations a sample")
        column[1].set(xlabel="seconds for 1,000 samples")
        unit = "x" if here[0]["metric"] == "W1" else "std"
        column[0].set_ylabel(f"{here[0]['metric']} ({unit})")
        column[1].set_ylabel(f"{here[0]['metric']} ({unit})")
    legend(figure, ncols=3)
    first, each = rows[0], fmean(row["samples"] for row in rows)
    caption = (
        f"Distance from exact samples against cost: {formulation_label(first)}, recipe `{first['recipe']}`, about "
        f"{each:,.0f} samples a point. Down and to the left is better; dotted: what as many exact samples get. Where a "
        "curve is flat, the network's error is all that is left. Joint densities: exact W1 to the conditional; flux: "
        "W1 to the reference posterior segment by segment, in its standard deviations."
    )
    return Picture("cost", figure, caption)
