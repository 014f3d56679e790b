"""How close recipe `tuned` comes to exact samples of the joint densities, beside the paper's Table 2.

First, make the run that it is about:

    fluxbench run --profile table2

One row for each entry of the paper's table (VE and VP of order 2, ODE and SDE, three densities): mean and standard
deviation over training seeds, beside the floor of exact samples and the number that the paper printed.
"""

from collections import defaultdict
from statistics import fmean, stdev

from fluxbench.bench import score
from fluxbench.bench.config import load
from fluxbench.bench.published import PRINTED, TABLE2
from fluxbench.bench.study import Found, Options, goal
from fluxbench.errors import InputError
from fluxbench.storage import Row

PROFILE = "table2"
RECIPE = "tuned"
TITLE = f"Joint densities: recipe `{RECIPE}` beside exact samples and the paper's Table 2"
ALLOWED = 1.3
"""Mean S1 in units of the floor's."""
METRICS = (*PRINTED, "W1")
"""Sinkhorn's regularisation and the band hide differences that exact W1 to the exact conditional shows."""


def entries(scores: list[Row]) -> list[Row]:
    """Return one row for each entry that the paper printed, from the rows of ``scores.csv``."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in scores:
        where = row["formulation"], row["alpha"], row["problem"]
        if row["recipe"] == RECIPE and row["metric"] in METRICS and where in TABLE2:
            groups[row["metric"], row["problem"], row["formulation"], row["sampler"]].append(row)
    found: list[Row] = []
    for (metric, dataset, formulation, sampler), rows in groups.items():
        value, floor = fmean(row["value"] for row in rows), rows[0]["floor"]
        entry = {"metric": metric, "data set": dataset, "formulation": formulation, "sampler": sampler, "score": value}
        if len(rows) > 1:
            entry["std over seeds"] = stdev(row["value"] for row in rows)
        entry |= {"floor": floor, "score / floor": value / floor}
        if rows[0]["paper"] is not None:
            entry["paper"] = rows[0]["paper"]
        found.append(
            entry | {"seeds": len(rows), "generated": rows[0]["generated"], "evaluations": rows[0]["evaluations"]}
        )
    return found


def means(table: list[Row]) -> list[Row]:
    """Return the means over densities and formulations, a row a metric and sampler."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in table:
        groups[row["metric"], row["sampler"]].append(row)
    found: list[Row] = []
    for (metric, sampler), rows in groups.items():
        score, floor = (fmean(row[name] for row in rows) for name in ("score", "floor"))
        found.append(
            {"metric": metric, "sampler": sampler, "score": score, "floor": floor, "score / floor": score / floor}
        )
    return found


def goals_of(table: list[Row]) -> list[Row]:
    """Return the goals: every printed entry there and beaten, and the mean S1 near the floor's.

    Raises:
        InputError: if the run lacks an entry.
    """
    found = []
    for metric in METRICS:
        those = [row for row in table if row["metric"] == metric]
        if len(those) < len(TABLE2):
            raise InputError(
                f"{PROFILE}: expected the {len(TABLE2)} entries of the paper in {metric}, found {len(those)}"
            )
        if metric in PRINTED:
            below = sum(row["score"] < row["paper"] for row in those)
            found.append(
                goal(f"{metric}: entries below the paper's", below, below == len(TABLE2), f"all {len(TABLE2)}")
            )
        if metric == "S1":
            ratio = fmean(row["score"] for row in those) / fmean(row["floor"] for row in those)
            found.append(goal("S1: mean / mean floor", ratio, ratio <= ALLOWED, f"at most {ALLOWED}"))
    return found


def measure(options: Options) -> Found:
    """Compare the entries of the paper's table, and their means.

    Raises:
        InputError: if the run is not there or made otherwise.
    """
    table = entries(score.table(load(PROFILE, [f"root={options.root}"])))
    return {"Entries of Table 2": table, "Means over the entries": means(table)}, goals_of(table)
