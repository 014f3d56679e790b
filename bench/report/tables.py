"""The tidy tables, and the same numbers in the paper's shape as Markdown."""

from collections import defaultdict
from statistics import fmean, stdev

import torch

from fluxbench.bench.config import Config
from fluxbench.bench.published import PRINTED
from fluxbench.bench.report.labels import formulation_label, sampler_label
from fluxbench.bench.scoring.densities import DISTANCES, REFERENCE_DRAWS
from fluxbench.bench.scoring.flux import CLASSIFIED, REFERENCE
from fluxbench.diffusion.formulations import formulation
from fluxbench.solvers.data.measurements import OFF
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.storage import Row
from fluxbench.training.recipes import RECIPES

TABLE2_COLUMNS = (
    *("recipe", "formulation", "k", "sampler", "alpha", "dataset", "metric", "seed", "score", "floor", "paper"),
    *("score_std", "references", "generated", "evaluations", "epochs"),
)
POSTERIOR = (
    *("excess error", "mean shift", "std ratio", "coverage", "excess CRPS", "marginal W1", "energy distance"),
    *("sliced W1", "C2ST", "SBC p-value", "TARP p-value"),
)
READINGS = {
    "S1": "Sinkhorn, cost abs(x - x'), to the test samples in the band",
    "S1-pairs": "the same between pairs (x, y)",
    "S2": "Sinkhorn, cost (x - x')^2, to the test samples in the band",
    "W1": "exact W1 to the exact conditional",
    "log score": "mean of -log q of x given y over exact draws, in nats, by the probability-flow ODE",
}


def table2_rows(rows: list[Row]) -> list[Row]:
    """The joint densities' rows in the columns of ``table2.csv``; k is empty outside the VP family."""
    found = []
    for row in rows:
        name = row["formulation"]
        family, k = ("vp", name.removeprefix("vp-k")) if name.startswith("vp-k") else (name, "")
        score = {"dataset": row["problem"], "score": row["value"], "formulation": family, "k": k}
        draws = REFERENCE_DRAWS if row["metric"] in DISTANCES else 1
        spread = {"score_std": row["value_error"] * draws**0.5, "references": draws}
        found.append({name: (row | score | spread).get(name) for name in TABLE2_COLUMNS})
    return found


def table2_markdown(config: Config, rows: list[Row]) -> str:
    """Table 2 in the paper's shape, by recipe: formulation and sampler down, data sets across."""
    sizes = config.densities
    lines = [
        "## Table 2: conditional density estimation (section 6.1)\n",
        "Regularised optimal transport distance between generated samples and test samples with |y' - y| < 0.05, mean",
        "over four y. Each entry: **score** (floor: exact samples scored the same way) [paper]; with several training",
        "seeds, ± is the standard deviation over them.\n",
    ]
    for recipe in config.training.recipes:
        those = [row for row in rows if row["recipe"] == recipe]
        lines.append(f"### Recipe `{recipe}`\n")
        for metric in PRINTED:
            lines += _table2_of(config, [row for row in those if row["metric"] == metric])
        lines += [
            f"{_training(config, those[0])}, {sizes.train_samples:,} samples;",
            f"{sizes.generated:,} generated for each y (paper: 10,000), {REFERENCE_DRAWS} test sets of",
            f"{sizes.test_samples:,} (standard deviation of one score over them: {_score_std(those):.4f});",
            f"{_schedules(config, recipe, 'densities')};",
            f"{_integrators(config, those)}.\n",
            "The same samples by every reading, mean over the entries above:\n",
            "| reading | score | floor |",
            "|---|---|---|",
        ]
        for metric, meaning in READINGS.items():
            rows_of_it = [row for row in those if row["metric"] == metric]
            if not rows_of_it:
                continue  # the log score is that of the ODE
            score, floor = _means(rows_of_it, "value", "floor")
            lines.append(f"| {metric}: {meaning} | {score:.4f} | {floor:.4f} |")
        lines.append("")
    lines += [
        "Choices of ours where the paper's are lost: the values of y, the ground cost, the number of SDE steps of",
        "recipe `paper` and their uniform spacing, the division of its network's output by sigma; VP starts from",
        "N(0, sigma(1)^2), not N(0, 1). Recipe `tuned` is ours.",
    ]
    return "\n".join(lines) + "\n"


def _table2_of(config: Config, rows: list[Row]) -> list[str]:
    problems = config.densities.problems
    lines = [
        f"{READINGS[rows[0]['metric']].capitalize()}:\n",
        f"| formulation | sampler | {' | '.join(map(str.capitalize, problems))} |",
        "|---" * (2 + len(problems)) + "|",
    ]
    for (name, sampler), group in _grouped(rows).items():
        entries = [_table2_entry([row for row in group if row["problem"] == problem]) for problem in problems]
        lines.append(f"| {name} | {sampler} | {' | '.join(entries)} |")
    return [*lines, ""]


def _table2_entry(rows: list[Row]) -> str:
    score, floor = _means(rows, "value", "floor")
    spread = f" ± {stdev(row['value'] for row in rows):.3f}" if len(rows) > 1 else ""
    paper = f" [{rows[0]['paper']:.3f}]" if rows[0]["paper"] else ""
    return f"**{score:.3f}**{spread} ({floor:.3f}){paper}"


def _score_std(rows: list[Row]) -> float:
    return _means([row for row in rows if row["metric"] == PRINTED[0]], "value_error")[0] * REFERENCE_DRAWS**0.5


def flux_markdown(config: Config, rows: list[Row]) -> str:
    """The flux problems' errors and posterior standard deviations, the mean over all segments."""
    flux = config.flux
    bounds = ("floor", "linear_gaussian", "prior")
    columns = (
        *("problem", "noise", "recipe", "formulation", "sampler"),
        *("error", "exact", "lin.-Gauss.", "prior", "std", "exact", "lin.-Gauss.", "prior"),
    )
    lines = [
        "## Boundary flux (sections 6.2, 6.3)\n",
        "Normalised error abs(posterior mean - truth) / mean flux, and posterior standard deviation (units of flux),",
        "mean over 30 segments, beside those of as many samples of the exact posterior (by Monte Carlo), of the",
        "linear-Gaussian one (exact but for the prior's clipping at zero) and of the prior, which knows no",
        'measurement, on the same measurements; "-" where there is none.\n',
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for key, group in _grouped([row for row in rows if not row.get("wall")], "problem", "noise", "recipe").items():
        entries = []
        for metric in ("error", "std"):
            those = [row for row in group if row["metric"] == metric]
            entries += [f"**{_mean(those, 'value')}**", *(_mean(those, name) for name in bounds)]
        lines.append(f"| {' | '.join(key)} | {' | '.join(entries)} |")
    trained = ", ".join(f"{problem} {config.sizes(problem).train_samples:,}" for problem in flux.problems)
    lines += [
        f"\nTraining samples: {trained};",
        *_masks(config),
        f"{flux.measurements:,} test measurements (paper: 1,000) with {flux.generated:,} posterior samples each",
        "(paper: 1,000). Noise is a standard deviation in units of the measurement's range.",
    ]
    for recipe in config.training.recipes:
        those = [row for row in rows if row["recipe"] == recipe]
        lines += [
            f"\n{_training(config, those[0])}; {_schedules(config, recipe, 'flux')};",
            f"{_integrators(config, those)}.",
        ]
    lines += [
        "\nA sample below zero counts as zero, of the linear-Gaussian posterior too: no flux is below (choice).",
        "Choices of ours where the paper's are lost: kappa, prior variance, noise levels, sensor positions, one",
        "minimum and maximum for all components, the number of SDE steps of recipe `paper` and their uniform spacing,",
        "the division of its network's output by sigma; VP starts from N(0, sigma(1)^2), not N(0, 1). Recipe `tuned`",
        "is ours.",
    ]
    return "\n".join(lines) + "\n"


def posterior_markdown(config: Config, rows: list[Row]) -> str:
    """How far samples are from the exact posteriors, by every metric that can tell."""
    lines = [
        "## Distance from the exact posterior\n",
        "Each entry: **value** ± Monte Carlo error (floor: as many exact samples, scored the same way); training seeds",
        "share the measurements, and so the error. Excess error",
        "and excess CRPS: beyond the exact posterior's on the same measurements, in mean fluxes and in units of flux.",
        "Mean shift, std ratio and marginal W1: segment by segment, in units of the exact posterior's standard",
        "deviation. Energy distance and sliced W1: of all segments, whitened. C2ST: how often a classifier tells",
        f"samples from exact ones ({CLASSIFIED} measurements). Coverage of 90 % intervals. SBC and TARP: p-values,",
        "of which exact posteriors have at most a share p below p.\n",
        f"| problem | noise | recipe | formulation | sampler | {' | '.join(POSTERIOR)} |",
        "|---" * (5 + len(POSTERIOR)) + "|",
    ]
    compared = [row for row in rows if row["metric"] in POSTERIOR]
    levels = {(row["problem"], row["noise"]) for row in compared if row["reference"] == REFERENCE}
    compared = [row for row in compared if (row["problem"], row["noise"]) in levels]
    for key, group in _grouped(compared, "problem", "noise", "recipe").items():
        entries = []
        for metric in POSTERIOR:
            those = [row for row in group if row["metric"] == metric]
            error = "" if those[0]["value_error"] is None else f" ± {_mean(those, 'value_error', 4)}"
            entries.append(f"**{_mean(those, 'value', 4)}**{error} ({_mean(those, 'floor', 4)})")
        lines.append(f"| {' | '.join(key)} | {' | '.join(entries)} |")
    lines.append(
        f"\n{config.flux.measurements:,} test measurements, {config.flux.generated:,} samples and"
        f" {config.flux.references:,} of the reference each."
    )
    return "\n".join(lines) + "\n"


def recipes_markdown(config: Config, table2: list[Row], flux: list[Row]) -> str:
    """Recipes side by side, means over everything else that the run varies."""
    lines = [
        "## Recipes\n",
        "Means over formulations, data sets and training seeds; ± is the standard deviation over training seeds. Joint",
        "densities: exact W1 and S1 over its floor. Linear flux problems: error of the posterior mean and posterior",
        "standard deviation over those of the linear-Gaussian posterior.\n",
        "| recipe | sampler | W1 | S1 / floor | flux: error ratio | flux: std ratio |",
        "|---" * 6 + "|",
    ]
    linear = [row for row in flux if row["linear_gaussian"] and not row.get("wall")]
    for recipe in config.training.recipes:
        for sampler in dict.fromkeys(row["sampler"] for row in [*table2, *flux]):
            where = {"recipe": recipe, "sampler": sampler}
            entries = [
                _by_seed(_where(table2, **where, metric="W1"), "value"),
                _by_seed(_where(table2, **where, metric="S1"), "value", "floor"),
                *(
                    _by_seed(_where(linear, **where, metric=name), "value", "linear_gaussian")
                    for name in ("error", "std")
                ),
            ]
            lines.append(f"| `{recipe}` | {sampler} | {' | '.join(entries)} |")
    return "\n".join(lines) + "\n"


def _where(rows: list[Row], **wanted: str) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _by_seed(rows: list[Row], column: str, relative_to: str | None = None) -> str:
    """Mean, and its spread over training seeds; in units of another column's mean if one is given."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["seed"]].append(row)
    means = [
        _means(group, column)[0] / (1.0 if relative_to is None else _means(group, relative_to)[0])
        for group in groups.values()
    ]
    if not means:
        return "-"
    return f"{fmean(means):.3f}" + (f" ± {stdev(means):.3f}" if len(means) > 1 else "")


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


def _mean(rows: list[Row], column: str, digits: int = 3) -> str:
    """A mean as a table shows it: "-" where there is none."""
    return "-" if any(row[column] is None for row in rows) else f"{_means(rows, column)[0]:.{digits}f}"


def _training(config: Config, row: Row) -> str:
    recipe = row["recipe"]
    seeds = ", ".join(map(str, config.training.seeds_of(recipe)))
    paper = " (paper: 10,000)" if recipe == "paper" else ""
    return f"Recipe `{recipe}`, {row['epochs']:,} epochs{paper}, training seed(s) {seeds}"


def _schedules(config: Config, recipe: str, kind: str) -> str:
    """The forward processes, and the noise that sampling leaves where it stops."""
    how = RECIPES[recipe][kind]
    left, schedules = [], []
    for name in config.training.formulations_of(recipe):
        process = formulation(name, how.sigma_max)
        t = torch.tensor(process.sampling_end(how.t_min, how.noise_ratio_end), dtype=torch.float64)
        left.append(f"{name}: {process.noise_ratio(t).item():.2g}")
        exploding = {"ve": "geometric VE", "ve-linear": "linear VE"}.get(name)
        schedule = "VP with linear beta" if name.startswith("vp-k") else name
        if exploding:
            schedule = f"{exploding} schedule with sigma_max {how.sigma_max:g}"
        if schedule not in schedules:
            schedules.append(schedule)
    unit = "x's standard deviation" if how.standardised else "x's range" if kind == "flux" else "x"
    return f"{', '.join(schedules)}; sampling stops at noise\nsigma/m in units of {unit} ({', '.join(left)})"


def _integrators(config: Config, rows: list[Row]) -> str:
    """What the samplers are and what they spent."""
    parts = []
    for by in config.sampling.integrators(rows[0]["recipe"]):
        spent = _means([row for row in rows if row["alpha"] == by.alpha], "evaluations")[0]
        parts.append(f"{by.description} ({spent:.0f} network evaluations a sample)")
    return ", ".join(parts)


def costs_markdown(rows: list[Row]) -> str:
    """Accuracy against cost, a row a sampler and length, a column a problem."""
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    lines = [
        "## Accuracy against cost\n",
        "One network of each problem, sampled by every sampler at several lengths. Each entry: distance from exact",
        "samples (joint densities: exact W1; flux: marginal W1 to the reference posterior, in its standard",
        "deviations), in brackets network evaluations a sample, and seconds for 1,000 samples in one process with one",
        "thread. The first row: what as many exact samples get.\n",
        f"| sampler | method | length | {' | '.join(problems)} |",
        "|---" * (3 + len(problems)) + "|",
    ]
    floors = {row["problem"]: row["floor"] for row in rows}
    lines.append(f"| exact samples | | | {' | '.join(f'{floors[problem]:.4f}' for problem in problems)} |")
    groups: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        length = f"{row['steps']} steps" if row["steps"] else f"tolerance {row['tolerance']:g}"
        groups[f"{row['sampler']} | {row['method']} | {length}"][row["problem"]] = row
    for name, by_problem in groups.items():
        entries = [
            f"**{row['value']:.4f}** ({row['evaluations']:.0f}; {1e3 * row['seconds'] / row['samples']:.2f} s)"
            for row in (by_problem[problem] for problem in problems)
        ]
        lines.append(f"| {name} | {' | '.join(entries)} |")
    return "\n".join(lines) + "\n"
