"""Table 2 of the paper: scores of the joint densities, as Markdown and in the paper's terms as ``table2.csv``."""

from collections.abc import Iterator

import pandas as pd

from fluxbench.bench.config import Config
from fluxbench.bench.published import PRINTED
from fluxbench.bench.report.labels import LABELS
from fluxbench.bench.report.markdown import table
from fluxbench.bench.report.tables import settings
from fluxbench.bench.report.tables.entries import mean, spread
from fluxbench.bench.scoring.densities import DISTANCES, REFERENCE_DRAWS

COLUMNS = (
    *("recipe", "formulation", "k", "sampler", "alpha", "dataset", "metric", "seed", "score", "floor", "paper"),
    *("score_std", "references", "generated", "evaluations", "epochs"),
)
"""Of ``table2.csv``."""
READINGS = {
    "S1": "Sinkhorn, cost abs(x - x'), to the test samples in the band",
    "S1-pairs": "the same between pairs (x, y)",
    "S2": "Sinkhorn, cost (x - x')^2, to the test samples in the band",
    "W1": "exact W1 to the exact conditional",
    "log score": "mean of -log q of x given y over exact draws, in nats, by the probability-flow ODE",
}
"""What each metric is."""
INTRODUCTION = """\
## Table 2: conditional density estimation (section 6.1)

Regularised optimal transport distance between generated samples and test samples with |y' - y| < 0.05, mean
over four y. Each entry: **score** (floor: exact samples scored the same way) [paper]; with several training
seeds, ± is the standard deviation over them.
"""
CHOICES = """\
Choices of ours where the paper's are lost: the values of y, the ground cost, the number of SDE steps of
recipe `paper` and their uniform spacing, the division of its network's output by sigma; VP starts from
N(0, sigma(1)^2), not N(0, 1). Recipe `tuned` is ours.
"""


def in_the_papers_terms(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores of joint densities with the columns of ``table2.csv``, where k is empty outside the VP family."""
    formulation = scores["formulation"]
    preserving = formulation.str.startswith("vp-k")
    draws = scores["metric"].isin(DISTANCES).map({True: REFERENCE_DRAWS, False: 1})
    terms = scores.assign(
        dataset=scores["problem"],
        formulation=formulation.mask(preserving, "vp"),
        k=formulation.str.removeprefix("vp-k").where(preserving, ""),
        score=scores["value"],
        score_std=scores["value_error"] * draws**0.5,
        references=draws,
    )
    return terms[list(COLUMNS)]


def text(config: Config, scores: pd.DataFrame) -> str:
    """Return the section in Markdown: for each recipe the paper's table, how it was made, and every reading's mean.

    Args:
        config: the run.
        scores: of the joint densities, labelled.
    """
    recipes = (_of_recipe(config, str(recipe), rows) for recipe, rows in scores.groupby("recipe", sort=False))
    return "\n".join([INTRODUCTION, *recipes, CHOICES])


def _of_recipe(config: Config, recipe: str, rows: pd.DataFrame) -> str:
    sizes = config.densities
    score_std = rows.loc[rows["metric"] == PRINTED[0], "value_error"].mean() * REFERENCE_DRAWS**0.5
    readings = [
        [f"{metric}: {meaning}", mean(reading["value"], 4), mean(reading["floor"], 4)]
        for metric, meaning in READINGS.items()
        if not (reading := rows[rows["metric"] == metric]).empty  # the log score is that of the ODE
    ]
    return "\n".join(
        [
            f"### Recipe `{recipe}`\n",
            *_printed(config, rows),
            f"{settings.training(config, rows)}, {sizes.train_samples:,} samples;",
            f"{sizes.generated:,} generated for each y (paper: 10,000), {REFERENCE_DRAWS} test sets of",
            f"{sizes.test_samples:,} (standard deviation of one score over them: {score_std:.4f});",
            f"{settings.schedules(config, recipe, 'densities')};",
            f"{settings.sampling(config, rows)}.\n",
            "The same samples by every reading, mean over the entries above:\n",
            table(["reading", "score", "floor"], readings) + "\n",
        ]
    )


def _printed(config: Config, rows: pd.DataFrame) -> Iterator[str]:
    """Yield a table for each reading that may be the paper's: formulation and sampler down, data sets across."""
    problems = config.densities.problems
    for metric in PRINTED:
        lines = []
        for labels, printed in rows[rows["metric"] == metric].groupby(LABELS, sort=False):
            entries = printed.groupby("problem")[["value", "floor", "paper"]].apply(_entry)
            lines.append([*labels, *entries[problems]])
        columns = ["formulation", "sampler", *map(str.capitalize, problems)]
        yield f"{READINGS[metric].capitalize()}:\n\n{table(columns, lines)}\n"


def _entry(rows: pd.DataFrame) -> str:
    """Return score, floor and the paper's number of one formulation, sampler and data set, over training seeds."""
    paper = rows["paper"].iloc[0]
    printed = "" if pd.isna(paper) else f" [{paper:.3f}]"
    return f"**{mean(rows['value'])}**{spread(rows['value'])} ({mean(rows['floor'])}){printed}"
