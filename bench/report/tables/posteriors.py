"""How far samples of the flux problems are from the exact posteriors, by every metric that can tell."""

import pandas as pd

from fluxbench.bench.config import Config
from fluxbench.bench.report.labels import LABELS
from fluxbench.bench.report.markdown import table
from fluxbench.bench.report.tables.entries import mean
from fluxbench.bench.scoring.flux import CLASSIFIED, REFERENCE

METRICS = [
    *("excess error", "mean shift", "std ratio", "coverage", "excess CRPS", "marginal W1", "energy distance"),
    *("sliced W1", "C2ST", "SBC p-value", "TARP p-value"),
]
"""Columns of the table."""
INTRODUCTION = f"""\
## Distance from the exact posterior

Each entry: **value** ± Monte Carlo error (floor: as many exact samples, scored the same way); training seeds
share the measurements, and so the error. Excess error
and excess CRPS: beyond the exact posterior's on the same measurements, in mean fluxes and in units of flux.
Mean shift, std ratio and marginal W1: segment by segment, in units of the exact posterior's standard
deviation. Energy distance and sliced W1: of all segments, whitened. C2ST: how often a classifier tells
samples from exact ones ({CLASSIFIED} measurements). Coverage of 90 % intervals. SBC and TARP: p-values,
of which exact posteriors have at most a share p below p.
"""


def text(config: Config, scores: pd.DataFrame) -> str:
    """Return the section in Markdown, a row for each problem and noise level that has a reference.

    Args:
        config: the run.
        scores: of the flux problems, labelled.
    """
    referenced = (scores["reference"] == REFERENCE).groupby([scores["problem"], scores["noise"]]).transform("any")
    lines = []
    for key, rows in scores[referenced].groupby(["problem", "noise", "recipe", *LABELS], sort=False):
        entries = dict(iter(rows.groupby("metric")))
        lines.append([*map(str, key), *(_entry(entries[metric]) for metric in METRICS)])
    flux = config.flux
    sizes = f"{flux.measurements:,} test measurements, {flux.generated:,} samples and {flux.references:,} of the"
    numbers = table(["problem", "noise", "recipe", "formulation", "sampler", *METRICS], lines)
    return f"{INTRODUCTION}\n{numbers}\n\n{sizes} reference each.\n"


def _entry(rows: pd.DataFrame) -> str:
    """Return value, Monte Carlo error and floor of one metric, means over training seeds; p-values have no error."""
    error = "" if rows["value_error"].isna().any() else f" ± {mean(rows['value_error'], 4)}"
    return f"**{mean(rows['value'], 4)}**{error} ({mean(rows['floor'], 4)})"
