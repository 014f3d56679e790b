"""Recipes side by side, means over everything else that a run varies."""

import pandas as pd

from fluxbench.bench.report.markdown import table
from fluxbench.bench.report.tables.entries import mean, spread

INTRODUCTION = """\
## Recipes

Means over formulations, data sets and training seeds; ± is the standard deviation over training seeds. Joint
densities: exact W1 and S1 over its floor. Linear flux problems: error of the posterior mean and posterior
standard deviation over those of the linear-Gaussian posterior.
"""
COLUMNS = {
    "W1": ("W1", None),
    "S1 / floor": ("S1", "floor"),
    "flux: error ratio": ("error", "linear_gaussian"),
    "flux: std ratio": ("std", "linear_gaussian"),
}
"""Headings; metric, and the bound in whose mean it is given."""


def text(scores: pd.DataFrame) -> str:
    """Return the section in Markdown, a row for each recipe and sampler.

    Args:
        scores: of all problems, labelled.
    """
    whole = scores[scores["wall"] == ""]
    samplers = scores["sampler"].unique()
    lines = []
    for recipe, of_recipe in whole.groupby("recipe", sort=False):
        for sampler in samplers:
            rows = of_recipe[of_recipe["sampler"] == sampler]
            entries = [_by_seed(rows[rows["metric"] == metric], bound) for metric, bound in COLUMNS.values()]
            lines.append([f"`{recipe}`", sampler, *entries])
    return INTRODUCTION + "\n" + table(["recipe", "sampler", *COLUMNS], lines) + "\n"


def _by_seed(rows: pd.DataFrame, bound: str | None) -> str:
    """Return the mean and its spread over training seeds, in units of the bound's mean if one is given."""
    if bound is not None:
        rows = rows[rows[bound].notna()]
    if rows.empty:
        return "-"
    seeds = rows.groupby("seed")
    means = seeds["value"].mean() if bound is None else seeds["value"].mean() / seeds[bound].mean()
    return mean(means) + spread(means)
