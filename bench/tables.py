"""The tidy tables, and the same numbers in the paper's shape as Markdown."""

from collections import defaultdict
from statistics import fmean
from typing import Any

import torch

from bench.config import Config
from diffusion.formulations import formulation
from solvers.flux_problems import FLUX_PROBLEMS
from solvers.measurements import OFF
from training.recipes import RECIPES

TABLE2_COLUMNS = (
    *("recipe", "formulation", "k", "sampler", "alpha", "dataset", "metric", "seed", "score", "floor", "paper"),
    *("generated", "evaluations", "epochs"),
)
FLUX_COLUMNS = (
    *("problem", "recipe", "formulation", "k", "sampler", "noise", "wall", "segment", "metric"),
    *("value", "prior", "exact", "alpha", "seed", "measurements", "generated", "evaluations", "epochs"),
)
READINGS = {
    "S1": "Sinkhorn, cost abs(x - x'), to the test samples in the band",
    "S2": "Sinkhorn, cost (x - x')^2, to the test samples in the band",
    "W1": "exact W1 to the exact conditional",
}

Row = dict[str, Any]


def formulation_label(row: Row) -> str:
    """VE, or VP of an order."""
    return f"VP (k = {row['k']})" if row["k"] else "VE"


def sampler_label(row: Row) -> str:
    """ODE, SDE, or an SDE of another alpha than 1."""
    return str(row["sampler"]) if row["alpha"] in {0.0, 1.0} else f"SDE (alpha = {row['alpha']:g})"


def table2_markdown(config: Config, rows: list[Row]) -> str:
    """Table 2 in the paper's shape: formulation and sampler down, data sets across; score, (floor), [paper]."""
    problems, sizes, first = config.densities.problems, config.densities, rows[0]
    lines = [
        "## Table 2: conditional density estimation (section 6.1)\n",
        "Regularised optimal transport distance S1 between generated samples and test samples with |y' - y| < 0.05,",
        "mean over four y. Each entry: **score** (floor: exact samples scored the same way) [paper].\n",
        f"| formulation | sampler | {' | '.join(map(str.capitalize, problems))} |",
        "|---" * (2 + len(problems)) + "|",
    ]
    for (name, sampler), group in _grouped([row for row in rows if row["metric"] == "S1"]).items():
        entries = [_table2_entry([row for row in group if row["dataset"] == problem]) for problem in problems]
        lines.append(f"| {name} | {sampler} | {' | '.join(entries)} |")
    lines += [
        f"\n{_training(config, first)}, {sizes.train_samples:,} samples;",
        f"{sizes.generated:,} generated for each y (paper: 10,000);",
        f"{_schedules(config, 'densities')};",
        f"{_integrators(config, rows)}.",
        "Choices of ours where the paper's are lost: the values of y, the ground cost, the number of SDE steps and",
        "their uniform spacing, the division of the network's output by sigma; VP starts from N(0, sigma(1)^2), not",
        "N(0, 1).\n",
        "The same samples by every reading, mean over the entries above:\n",
        "| reading | score | floor |",
        "|---|---|---|",
    ]
    for metric, meaning in READINGS.items():
        score, floor = _means([row for row in rows if row["metric"] == metric], "score", "floor")
        lines.append(f"| {metric}: {meaning} | {score:.4f} | {floor:.4f} |")
    return "\n".join(lines) + "\n"


def _table2_entry(rows: list[Row]) -> str:
    score, floor = _means(rows, "score", "floor")
    paper = f" [{rows[0]['paper']:.3f}]" if rows[0]["paper"] else ""
    return f"**{score:.3f}** ({floor:.3f}){paper}"


def flux_markdown(config: Config, rows: list[Row]) -> str:
    """The flux problems' errors and posterior standard deviations, the mean over all segments."""
    flux, first = config.flux, rows[0]
    trained = ", ".join(f"{problem} {config.sizes(problem).train_samples:,}" for problem in flux.problems)
    lines = [
        "## Boundary flux (sections 6.2, 6.3)\n",
        "Normalised error abs(posterior mean - truth) / mean flux, and posterior standard deviation (units of flux),",
        "mean over 30 segments, beside those of the linear-Gaussian posterior (exact but for the prior's clipping at",
        'zero; "-" where the problem is not linear) on the same measurements, and those of the prior, which knows no',
        "measurement.\n",
        "| problem | noise | formulation | sampler | error | lin.-Gauss. | prior | std | lin.-Gauss. | prior |",
        "|---" * 10 + "|",
    ]
    for key, group in _grouped(rows, "problem", "noise").items():
        entries = []
        for metric in ("error", "std"):
            those = [row for row in group if row["metric"] == metric]
            value, prior = _means(those, "value", "prior")
            exact = "-" if those[0]["exact"] is None else f"{_means(those, 'exact')[0]:.3f}"
            entries.append(f"**{value:.3f}** | {exact} | {prior:.3f}")
        lines.append(f"| {' | '.join(key)} | {' | '.join(entries)} |")
    lines += [
        f"\n{_training(config, first)}, samples: {trained};",
        *_masks(config),
        f"{flux.measurements:,} test measurements (paper: 1,000) with {flux.generated:,} posterior samples each",
        f"(paper: 1,000); {_schedules(config, 'flux')};",
        f"{_integrators(config, rows)}.",
        "Noise is a standard deviation in units of the measurement's range. Choices of ours where the paper's are",
        "lost: kappa, prior variance, noise levels, sensor positions, one minimum and maximum for all components, the",
        "number of SDE steps and their uniform spacing, the division of the network's output by sigma; VP starts from",
        "N(0, sigma(1)^2), not N(0, 1).",
    ]
    return "\n".join(lines) + "\n"


def _masks(config: Config) -> list[str]:
    """What the networks are told where sensors may be off."""
    shares = {problem: FLUX_PROBLEMS[problem].sensors_on for problem in config.flux.problems}
    return [
        f"{problem}: each sensor on with probability {on:g}, off ones read {OFF:g}, the network sees y and the mask;"
        for problem, on in shares.items()
        if on < 1.0
    ]


def _grouped(rows: list[Row], *columns: str) -> dict[tuple[str, ...], list[Row]]:
    """Rows by the given columns, formulation and sampler, in the order in which they come."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        key = (*(str(row[column]) for column in columns), formulation_label(row), sampler_label(row))
        groups[key].append(row)
    return groups


def _means(rows: list[Row], *columns: str) -> list[float]:
    return [fmean(row[column] for row in rows) for column in columns]


def _training(config: Config, row: Row) -> str:
    seeds = ", ".join(map(str, config.training.seeds))
    return f"Recipe `{row['recipe']}`, {row['epochs']:,} epochs (paper: 10,000), training seed(s) {seeds}"


def _schedules(config: Config, kind: str) -> str:
    """The forward processes, and the noise that sampling leaves because it stops before t = 0."""
    recipe = RECIPES[config.training.recipe][kind]
    left = []
    for name in config.training.formulations:
        process = formulation(name, recipe.sigma_max)
        t = torch.tensor(recipe.t_min, dtype=torch.float64)
        left.append(f"{name}: {(process.sigma(t) / process.m(t)).item():.2g}")
    unit = " of x's range" if kind == "flux" else ""
    return (
        f"geometric VE schedule with sigma_max {recipe.sigma_max:g}, VP with linear beta; sampling stops at t = "
        f"{recipe.t_min:g},\nwhich leaves noise of standard deviation sigma/m in x ({', '.join(left)}{unit})"
    )


def _integrators(config: Config, rows: list[Row]) -> str:
    """What the samplers are and what they spent."""
    texts = {
        "ODE": f"ODE by Runge-Kutta 5(4) at tolerance {config.sampling.ode_tolerance:g}",
        "SDE": f"SDE by Euler-Maruyama in {config.sampling.sde_steps:,} uniform steps",
    }
    parts = []
    for name in dict.fromkeys(row["sampler"] for row in rows):
        spent = _means([row for row in rows if row["sampler"] == name], "evaluations")[0]
        parts.append(f"{texts[name]} ({spent:.0f} network evaluations a sample)")
    return ", ".join(parts)
