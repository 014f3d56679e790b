"""What a reader in a hurry wants of a run: what was run, and what came of it."""

import json
from typing import Any

import pandas as pd

from fluxbench.bench.report.labels import method_title
from fluxbench.bench.report.markdown import table
from fluxbench.bench.run import Run

NEAR = 1.1
"""Within this factor of the converged solution's distance a sampler is as good as it gets."""
SAMPLED = ["problem", "noise", "recipe", "amortised", "formulation", "alpha", "seed"]
"""Columns of the scores that tell sets of samples apart."""


def ran(run: Run, scores: pd.DataFrame, made: dict[str, Any]) -> str:
    """Return the section "What was run" in Markdown.

    Args:
        run: whose networks and samples are counted.
        scores: of all its sets of samples.
        made: provenance of the report.
    """
    config, drawn = run.config, scores.drop_duplicates(SAMPLED)
    facts = {
        "run": f"`{config.name}`, seed {config.seed}",
        "commit": f"`{made['commit']}`",
        "host": f"{made['host']}, {made['machine']}",
        "time": made["time"],
        "versions": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        "networks": f"{len(run.cells):,}, trained in {_training_hours(run):.2f} core hours",
        "sets of samples": f"{len(drawn):,}, drawn in {drawn['seconds'].sum() / 3600.0:.2f} core hours",
    }
    where = "The whole configuration: `provenance.json`; every number: `scores.csv`."
    return f"## What was run\n\n{table(['', ''], facts.items())}\n\n{where}\n"


def _training_hours(run: Run) -> float:
    """Return the hours in the networks' statistics; those that are gone count nothing."""
    statistics = [run.checkpoint_path(cell).with_suffix(".jsonl") for cell in run.cells]
    last = [path.read_text(encoding="utf-8").splitlines()[-1] for path in statistics if path.exists()]
    return sum(json.loads(line)["seconds"] for line in last) / 3600.0


def in_short(densities: pd.DataFrame, flux: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Return the section "In short" in Markdown: a line for each recipe and problem, and one on cost.

    Args:
        densities: scores of the joint densities, if any.
        flux: scores of the flux problems, if any.
        costs: rows of ``costs.csv``, if any.
    """
    lines = []
    s1 = densities[densities["metric"] == "S1"]
    error = flux[(flux["metric"] == "error") & (flux["wall"] == "") & flux["floor"].notna()]
    for recipe in pd.concat([densities["recipe"], flux["recipe"]]).unique():
        rows = s1[s1["recipe"] == recipe]
        if len(rows):
            lines.append(f"- **Table 2, recipe `{recipe}`**: {_against_the_paper(rows)}")
        for problem, rows in error[error["recipe"] == recipe].groupby("problem", sort=False):
            ratios = rows["value"] / rows["floor"]
            lines.append(
                f"- **{str(problem).capitalize()} flux problem, recipe `{recipe}`**: the error of the posterior mean "
                f"is {ratios.min():.2f} to {ratios.max():.2f} times the exact posterior's."
            )
    if len(costs):
        lines.append(_enough(costs[costs["sampler"] == "ODE"]))
    return "\n".join(["## In short\n", *lines]) + "\n"


def _against_the_paper(s1: pd.DataFrame) -> str:
    ratio = s1["value"].mean() / s1["floor"].mean()
    below = (s1["value"] < s1["paper"]).sum()
    return (
        f"the mean S1 is {ratio:.2f} times that of exact samples; {below} of {s1['paper'].count()} entries are below "
        "the paper's."
    )


def _enough(ode: pd.DataFrame) -> str:
    """Return how many evaluations bring each method as near to exact samples as its converged solution is.

    Args:
        ode: rows of ``costs.csv`` by the probability-flow ODE.
    """
    methods, problems = ode["method"].unique(), []
    for problem, rows in ode.groupby("problem", sort=False):
        converged = rows.loc[rows["tolerance"].idxmin(), "value"]
        least = rows[rows["value"] <= NEAR * converged].groupby("method")["evaluations"].min()
        spent = (f"{least[method]:.0f}" if method in least else "more than tried" for method in methods)
        problems.append(f"{problem} {' / '.join(spent)}")
    titles = " / ".join(method_title(method) for method in methods)
    return (
        f"- **Cost**: network evaluations after which samples by the ODE are as near to exact ones as its converged "
        f"solution, within {NEAR - 1.0:.0%}, {titles}: {'; '.join(problems)}."
    )
