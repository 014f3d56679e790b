"""Tables in Markdown and figures, from the tidy tables and the sample files."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from bench import figures
from bench.config import Config
from solvers.errors import InputError
from solvers.storage import provenance, write_text

Row = dict[str, str]


def write_report(config: Config) -> str:
    """Write ``report.md``, ``provenance.json`` and the figures under ``results/<name>``.

    Returns:
        The tables, as they stand in the report.

    Raises:
        InputError: if a table is missing.
    """
    parts = []
    if config.densities.problems:
        parts.append(table2_markdown(config, read_table(config.results / "table2.csv")))
    if config.flux.problems:
        parts.append(flux_markdown(config, read_table(config.results / "flux.csv")))
    tables = "\n".join(parts)
    pictures = figures.draw_all(config)
    shown = "\n".join(f"![{path.stem}](figures/{path.name})\n" for path in pictures)
    made = provenance()
    head = f"# fluxbench: profile `{config.name}`\n\nCommit {made['commit'] or 'unknown'}, {made['time']}, seed {config.seed}.\n"
    write_text(config.results / "report.md", f"{head}\n{tables}\n## Figures\n\n{shown}")
    record = {"provenance": made, "configuration": config.model_dump(exclude={"root"})}
    write_text(config.results / "provenance.json", json.dumps(record, indent=1) + "\n")
    return tables


def read_table(path: Path) -> list[Row]:
    """The rows of a tidy table.

    Raises:
        InputError: if it is missing.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench score` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table2_markdown(config: Config, rows: list[Row]) -> str:
    """Table 2 in the paper's shape: formulation and sampler down, data sets across; score, (floor), [paper]."""
    lines = [
        "## Table 2: conditional density estimation (section 6.1)\n",
        "Regularised optimal transport distance S1 between generated samples and the test samples in the band |y' - y| < 0.05,",
        "mean over four y. Each entry: **score** (floor: exact samples scored the same way) [paper].\n",
    ]
    problems = config.densities.problems
    lines += [f"| formulation | sampler | {' | '.join(map(str.capitalize, problems))} |", "|---" * (2 + len(problems)) + "|"]
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["metric"] == "S1":
            groups[formulation_label(row), sampler_label(row)].append(row)
    for (name, sampler), group in groups.items():
        entries = [_table2_entry([row for row in group if row["dataset"] == problem]) for problem in problems]
        lines.append(f"| {name} | {sampler} | {' | '.join(entries)} |")
    lines += [f"\n{_table2_conditions(config, rows)}", "\nThe same samples by other readings, mean over the entries above:\n"]
    lines += ["| metric | score | floor |", "|---|---|---|"]
    meanings = {
        "S1": "Sinkhorn, cost abs(x - x')",
        "S2": "Sinkhorn, cost (x - x')^2",
        "W1": "exact W1 to the exact conditional",
    }
    for metric, meaning in meanings.items():
        those = [row for row in rows if row["metric"] == metric]
        score, floor = (fmean(float(row[key]) for row in those) for key in ("score", "floor"))
        lines.append(f"| {metric}: {meaning} | {score:.4f} | {floor:.4f} |")
    return "\n".join(lines) + "\n"


def _table2_entry(rows: list[Row]) -> str:
    score, floor = (fmean(float(row[key]) for row in rows) for key in ("score", "floor"))
    paper = f" [{float(rows[0]['paper']):.3f}]" if rows[0]["paper"] else ""
    return f"**{score:.3f}** ({floor:.3f}){paper}"


def _table2_conditions(config: Config, rows: list[Row]) -> str:
    sizes, first = config.densities, rows[0]
    return (
        f"Recipe `{first['recipe']}`, {first['epochs']} epochs (paper: 10,000) on {sizes.train_samples:,} samples; "
        f"{sizes.generated:,} samples for each y (paper: 10,000); training seed(s) {_seeds(config)}; geometric VE schedule "
        f"with sigma_max 12, VP with linear beta; {_integrators(config, rows)}. Choices of ours where the paper's are lost: "
        "the values of y, the ground cost, the number of SDE steps, the division of the network's output by sigma."
    )


def flux_markdown(config: Config, rows: list[Row]) -> str:
    """The flux problems' errors and posterior standard deviations, the mean over all 30 segments."""
    lines = [
        "## Boundary flux (section 6.2)\n",
        "Normalised error abs(posterior mean - truth) / mean flux and posterior standard deviation (units of flux), mean over",
        "30 segments; `exact` is the linear-Gaussian posterior on the same measurements, `prior` knows no measurement.\n",
        "| problem | noise | formulation | sampler | error | exact | prior | std | exact | prior |",
        "|---" * 10 + "|",
    ]
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["problem"], row["noise"], formulation_label(row), sampler_label(row)].append(row)
    for key, group in groups.items():
        numbers = []
        for metric in ("error", "std"):
            those = [row for row in group if row["metric"] == metric]
            value, exact, prior = (fmean(float(row[column]) for row in those) for column in ("value", "exact", "prior"))
            numbers.append(f"**{value:.3f}** | {exact:.3f} | {prior:.3f}")
        lines.append(f"| {' | '.join(key)} | {' | '.join(numbers)} |")
    sizes, first = config.flux, rows[0]
    lines.append(
        f"\nRecipe `{first['recipe']}`, {first['epochs']} epochs (paper: 10,000) on {sizes.train_samples:,} samples; "
        f"{sizes.measurements:,} test measurements (paper: 1,000) with {sizes.generated:,} posterior samples each (paper: "
        f"1,000); training seed(s) {_seeds(config)}; geometric VE schedule with sigma_max 5, VP with linear beta; "
        f"{_integrators(config, rows)}. Noise is a standard deviation in units of the measurement's range. Choices of ours "
        "where the paper's are lost: kappa, prior variance, noise levels, sensor positions, the number of SDE steps."
    )
    return "\n".join(lines) + "\n"


def _seeds(config: Config) -> str:
    return ", ".join(map(str, config.training.seeds))


def _integrators(config: Config, rows: list[Row]) -> str:
    """What the samplers are and what they spent."""
    spent: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        spent[row["sampler"]].append(float(row["evaluations"]))
    texts = {
        "ODE": f"ODE by Runge-Kutta 5(4) at tolerance {config.sampling.ode_tolerance:g}",
        "SDE": f"SDE by Euler-Maruyama in {config.sampling.sde_steps:,} uniform steps",
    }
    return ", ".join(f"{texts[name]} ({fmean(counts):.0f} network evaluations a sample)" for name, counts in spent.items())


def formulation_label(row: Row) -> str:
    """VE, or VP of an order."""
    return f"VP (k = {row['k']})" if row["k"] else "VE"


def sampler_label(row: Row) -> str:
    """ODE, SDE, or an SDE of another alpha than 1."""
    return row["sampler"] if float(row["alpha"]) in (0.0, 1.0) else f"SDE (alpha = {row['alpha']})"
