"""Accuracy against cost: distance from exact samples, network evaluations and seconds of every sampler and length."""

from typing import Any

import pandas as pd

from fluxbench.bench.report.markdown import table

INTRODUCTION = """\
## Accuracy against cost

One network of each problem, sampled by every sampler at several lengths. Each entry: distance from exact
samples (joint densities: exact W1; flux: marginal W1 to the reference posterior, in its standard
deviations), in brackets network evaluations a sample, and seconds for 1,000 samples in one process with one
thread. The first row: what as many exact samples get.
"""


def text(costs: pd.DataFrame) -> str:
    """Return the section in Markdown, a row for each sampler and length, a column for each problem.

    Args:
        costs: rows of ``costs.csv``.
    """
    floors = costs.groupby("problem", sort=False)["floor"].first()
    lines = [["exact samples", "", "", *(f"{floor:.4f}" for floor in floors)]]
    for (sampler, method, length), rows in costs.groupby(["sampler", "method", _lengths(costs)], sort=False):
        entries = {row.problem: _entry(row) for row in rows.itertuples()}
        lines.append([sampler, method, length, *(entries[problem] for problem in floors.index)])
    return INTRODUCTION + "\n" + table(["sampler", "method", "length", *floors.index], lines) + "\n"


def _lengths(costs: pd.DataFrame) -> pd.Series:
    """Return how long each row's sampler is: its number of steps or its tolerance."""
    lengths = [
        f"tolerance {tolerance:g}" if pd.isna(steps) else f"{steps:.0f} steps"
        for steps, tolerance in zip(costs["steps"], costs["tolerance"], strict=True)
    ]
    return pd.Series(lengths, costs.index, name="length")


def _entry(row: Any) -> str:
    """Return distance, evaluations and seconds of one row."""
    seconds = 1e3 * row.seconds / row.samples
    return f"**{row.value:.4f}** ({row.evaluations:.0f}; {seconds:.2f} s)"
