"""Errors and posterior standard deviations of the flux problems beside those of exact samples and of the prior."""

import pandas as pd

from fluxbench.bench.config import Config
from fluxbench.bench.report.labels import LABELS
from fluxbench.bench.report.markdown import table
from fluxbench.bench.report.tables import settings
from fluxbench.bench.report.tables.entries import mean
from fluxbench.solvers.data.measurements import OFF
from fluxbench.solvers.problems import problem

BOUNDS = {"floor": "exact", "linear_gaussian": "lin.-Gauss.", "prior": "prior"}
"""Columns that stand beside each number, and their headings."""
INTRODUCTION = """\
## Boundary flux (sections 6.2, 6.3)

Normalised error abs(posterior mean - truth) / mean flux, and posterior standard deviation (units of flux),
mean over 30 segments, beside those of as many samples of the exact posterior (by Monte Carlo), of the
linear-Gaussian one (exact but for the prior's clipping at zero) and of the prior, which knows no
measurement, on the same measurements; "-" where there is none.
"""
CHOICES = """
A sample below zero counts as zero, of the linear-Gaussian posterior too: no flux is below (choice).
Choices of ours where the paper's are lost: kappa, prior variance, noise levels, sensor positions, one
minimum and maximum for all components, the number of SDE steps of recipe `paper` and their uniform spacing,
the division of its network's output by sigma; VP starts from N(0, sigma(1)^2), not N(0, 1). Recipe `tuned`
is ours.
"""


def text(config: Config, scores: pd.DataFrame) -> str:
    """Return the section in Markdown, the numbers a mean over all segments.

    Args:
        config: the run.
        scores: of the flux problems, labelled.
    """
    flux = config.flux
    trained = ", ".join(f"{name} {config.sizes(name).train_samples:,}" for name in flux.problems)
    made = (_made(config, str(recipe), rows) for recipe, rows in scores.groupby("recipe", sort=False))
    return "\n".join(
        [
            INTRODUCTION,
            _numbers(scores[scores["wall"] == ""]),
            f"\nTraining samples: {trained};",
            *_masks(flux.problems),
            f"{flux.measurements:,} test measurements (paper: 1,000) with {flux.generated:,} posterior samples each",
            "(paper: 1,000). Noise is a standard deviation in units of the measurement's range.",
            *made,
            CHOICES,
        ]
    )


def _numbers(scores: pd.DataFrame) -> str:
    keys = ["problem", "noise", "recipe", *LABELS]
    lines = []
    for key, rows in scores.groupby(keys, sort=False):
        entries = []
        for metric in ("error", "std"):
            numbers = rows[rows["metric"] == metric]
            entries += [f"**{mean(numbers['value'])}**", *(mean(numbers[bound]) for bound in BOUNDS)]
        lines.append([*map(str, key), *entries])
    headings = ["problem", "noise", "recipe", "formulation", "sampler"]
    return table([*headings, "error", *BOUNDS.values(), "std", *BOUNDS.values()], lines)


def _masks(problems: list[str]) -> list[str]:
    """Return what the networks are told where sensors may be off, a line a problem."""
    return [
        f"{name}: each sensor on with probability {rate:g}, off ones read {OFF:g}, the network sees y and the mask;"
        for name in problems
        if (rate := problem(name).sensors_on) < 1.0
    ]


def _made(config: Config, recipe: str, rows: pd.DataFrame) -> str:
    how = f"{settings.training(config, rows)}; {settings.schedules(config, recipe, 'flux')}"
    return f"\n{how};\n{settings.sampling(config, rows)}."
