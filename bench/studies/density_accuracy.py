"""How close recipe `tuned` comes to exact samples of the joint densities, beside the paper's Table 2.

First, make the run that it is about:

    fluxbench run --profile table2

One row for each entry of the paper's table (VE and VP of order 2, ODE and SDE, three densities): mean and standard
deviation over training seeds, beside the floor of exact samples and the number that the paper printed.
"""

import pandas as pd

from fluxbench.bench.config import load
from fluxbench.bench.published import PRINTED, TABLE2
from fluxbench.bench.run import Run
from fluxbench.bench.scoring.table import table
from fluxbench.bench.study import Findings, Options, goal
from fluxbench.errors import InputError
from fluxbench.storage import Row

PROFILE = "table2"
RECIPE = "tuned"
TITLE = f"Joint densities: recipe `{RECIPE}` beside exact samples and the paper's Table 2"
ALLOWED = 1.3
"""Mean S1 in units of the floor's."""
METRICS = (*PRINTED, "W1")
"""Sinkhorn's regularisation and the band hide differences that exact W1 to the exact conditional shows."""


def entries(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each entry that the paper printed, from the rows of ``scores.csv``."""
    printed = pd.MultiIndex.from_frame(scores[["formulation", "alpha", "problem"]]).isin(list(TABLE2))
    chosen = scores[printed & (scores["recipe"] == RECIPE) & scores["metric"].isin(METRICS)]
    entry = chosen.groupby(["metric", "problem", "formulation", "sampler"], sort=False)
    value, floor = entry["value"], entry["floor"].first()
    columns = {
        "score": value.mean(),
        "std over seeds": value.std(),
        "floor": floor,
        "score / floor": value.mean() / floor,
        "paper": entry["paper"].first(),
        "seeds": value.size(),
        "generated": entry["generated"].first(),
        "evaluations": entry["evaluations"].first(),
    }
    return pd.DataFrame(columns).reset_index().rename(columns={"problem": "data set"})


def means(entries: pd.DataFrame) -> pd.DataFrame:
    """Return the means over densities and formulations, a row a metric and sampler."""
    mean = entries.groupby(["metric", "sampler"], sort=False)[["score", "floor"]].mean().reset_index()
    return mean.assign(**{"score / floor": mean["score"] / mean["floor"]})


def goals_of(entries: pd.DataFrame) -> list[Row]:
    """Return the goals: every printed entry there and beaten, and the mean S1 near the floor's.

    Raises:
        InputError: if the run lacks an entry.
    """
    goals, every = [], len(TABLE2)
    for metric in METRICS:
        own = entries[entries["metric"] == metric]
        if len(own) < every:
            raise InputError(f"{PROFILE}: expected the {every} entries of the paper in {metric}, found {len(own)}")
        if metric in PRINTED:
            below = int((own["score"] < own["paper"]).sum())
            goals.append(goal(f"{metric}: entries below the paper's", below, below == every, f"all {every}"))
        if metric == "S1":
            ratio = float(own["score"].mean() / own["floor"].mean())
            goals.append(goal("S1: mean / mean floor", ratio, ratio <= ALLOWED, f"at most {ALLOWED}"))
    return goals


def measure(options: Options) -> Findings:
    """Compare the entries of the paper's table, and their means.

    Raises:
        InputError: if the run is not there or made otherwise.
    """
    compared = entries(table(Run(load(PROFILE, [f"root={options.root}"]))))
    tables = {"Entries of Table 2": compared, "Means over the entries": means(compared)}
    return {title: _rows(each) for title, each in tables.items()}, goals_of(compared)


def _rows(frame: pd.DataFrame) -> list[Row]:
    """The rows of a table, without what is absent."""
    return [{name: value for name, value in row.items() if pd.notna(value)} for row in frame.to_dict("records")]
