"""What stands in a report, from top to bottom: words, tables and pictures of one question each."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from statistics import fmean
from typing import Any

from fluxbench.bench import costs, layout
from fluxbench.bench.config import Config
from fluxbench.bench.report import tables
from fluxbench.bench.report.pictures import costs as cost_pictures
from fluxbench.bench.report.pictures import densities, fluxes, grid, posteriors
from fluxbench.bench.report.pictures.processes import figure1
from fluxbench.bench.report.pictures.style import Picture
from fluxbench.bench.scoring.flux import REFERENCE
from fluxbench.storage import Row

CHOICES = """\
- *Table 2*: the four values of y, the ground cost of the transport (two readings are reported), three test sets in
  place of one.
- *Flux problems*: kappa, the reaction's rate and capacity, the prior's variance, sensors at the segments' centres,
  noise levels, one minimum and maximum for all components; a flux below zero counts as zero.
- *Recipe `paper`*: what the text leaves open is taken from the authors' code (width, learning rate, end of sampling);
  the number of SDE steps and their spacing, and the division of the network's output by sigma, are ours.
- *Start of VP*: N(0, sigma(1)^2) in place of N(0, 1).
- *Recipe `tuned`*, the exponential integrators, reference posteriors, floors, and every metric but S1, error and std.
"""
"""What the paper leaves open, or what it has not."""
NEAR = 1.1
"""Within this factor of the converged solution's distance a sampler is as good as it gets."""


@dataclass(frozen=True)
class Section:
    """One question.

    Attributes:
        text: Markdown, from a heading of the second level on.
        pictures: beneath it, in their order; drawn as they are asked for, once.
    """

    text: str
    pictures: Iterable[Picture] = ()

    @property
    def title(self) -> str:
        """The heading."""
        return self.text.split("\n", 1)[0].removeprefix("## ")


def sections(config: Config, rows: list[Row], made: dict[str, Any]) -> Iterator[Section]:
    """Every section of a run's report, in its order.

    Args:
        config: the run.
        rows: of ``scores.csv``.
        made: provenance of the report.

    Raises:
        InputError: if a data set, a sample or a score file is missing or made otherwise.
    """
    table2 = [row for row in rows if row["problem"] in config.densities.problems]
    flux = [row for row in rows if row["problem"] in config.flux.problems]
    spent = costs.table(config)
    yield Section(_ran(config, rows, made))
    yield Section(_in_short(config, table2, flux, spent), [grid.heat_map(rows)] if grid.compared(rows) else [])
    yield Section("## Forward processes (sections 2, 3)\n", [figure1()])
    shown = [recipe for recipe in config.training.recipes if not recipe.startswith("tuned-without")]
    if table2:
        samples = (picture for recipe in shown for picture in _histograms(config, recipe))
        yield Section(tables.table2_markdown(config, table2), chain([densities.joint(config)], samples))
    if flux:
        text = tables.flux_markdown(config, flux)
        if not _installed("dolfinx"):
            text += "\nWithout dolfinx, which is not installed here, Figures 6, 12 and 15 (fields) are left out.\n"
        inferred = (picture for recipe in shown for picture in _fluxes(config, flux, recipe))
        yield Section(text, chain(_instances(config), inferred))
        calibrated = (posteriors.calibrated(config, recipe) for recipe in shown)
        if layout.referenced(config):
            excess = (_excess(config, flux, recipe) for recipe in shown)
            yield Section(tables.posterior_markdown(config, flux), chain(calibrated, excess))
        else:
            yield Section("## Calibration\n", calibrated)
    if spent:
        yield Section(tables.costs_markdown(spent), [cost_pictures.against_cost(spent)])
    if len(config.training.recipes) > 1:
        yield Section(tables.recipes_markdown(config, table2, flux))
    if trends := _trends(config):
        yield Section("## Over time\n\nBenchmarks of asv by commit (`fluxbench bench run`).\n", trends)
    yield Section("## Ours by choice\n\n" + CHOICES)


def _ran(config: Config, rows: list[Row], made: dict[str, Any]) -> str:
    versions = made["versions"]
    seconds = {
        (
            row["problem"],
            row["noise"],
            row["recipe"],
            row["amortised"],
            row["formulation"],
            row["alpha"],
            row["seed"],
        ): (row["seconds"])
        for row in rows
    }
    facts = {
        "run": f"`{config.name}`, seed {config.seed}",
        "commit": f"`{made['commit']}`",
        "host": f"{made['host']}, {made['machine']}",
        "time": made["time"],
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "networks": f"{len(config.networks()):,}, trained in {_training_hours(config):.2f} core hours",
        "sets of samples": f"{len(seconds):,}, drawn in {sum(seconds.values()) / 3600.0:.2f} core hours",
    }
    lines = ["## What was run\n", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items())]
    lines.append("\nThe whole configuration: `provenance.json`; every number: `scores.csv`.")
    return "\n".join(lines) + "\n"


def _training_hours(config: Config) -> float:
    """By the networks' statistics; those that are gone count nothing."""
    seconds = 0.0
    for cell in config.networks():
        path = layout.checkpoint_path(config, cell).with_suffix(".jsonl")
        if path.exists():
            seconds += json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["seconds"]
    return seconds / 3600.0


def _in_short(config: Config, table2: list[Row], flux: list[Row], spent: list[Row]) -> str:
    """The numbers that a reader in a hurry wants."""
    lines = ["## In short\n"]
    for recipe in config.training.recipes:
        s1 = [row for row in table2 if (row["recipe"], row["metric"]) == (recipe, "S1")]
        if s1:
            ratio = fmean(row["value"] for row in s1) / fmean(row["floor"] for row in s1)
            printed = [row for row in s1 if row["paper"] is not None]
            below = sum(row["value"] < row["paper"] for row in printed)
            lines.append(
                f"- **Table 2, recipe `{recipe}`**: the mean S1 is {ratio:.2f} times that of exact samples; {below} of "
                f"{len(printed)} entries are below the paper's."
            )
        for problem in config.flux.problems:
            here = [row for row in flux if (row["recipe"], row["problem"], row["metric"]) == (recipe, problem, "error")]
            ratios = [row["value"] / row["floor"] for row in here if not row["wall"] and row["floor"]]
            if ratios:
                lines.append(
                    f"- **{problem.capitalize()} flux problem, recipe `{recipe}`**: the error of the posterior mean is "
                    f"{min(ratios):.2f} to {max(ratios):.2f} times the exact posterior's."
                )
    if spent:
        lines.append(_enough(spent))
    return "\n".join(lines) + "\n"


def _enough(spent: list[Row]) -> str:
    """How many evaluations bring each ODE sampler as near to exact samples as its converged solution is."""
    ode = [row for row in spent if row["sampler"] == "ODE"]
    methods = list(dict.fromkeys(row["method"] for row in ode))
    names = [cost_pictures.LINES[method, "ODE"][0].removesuffix(", ODE") for method in methods]
    found = []
    for problem in dict.fromkeys(row["problem"] for row in ode):
        here = [row for row in ode if row["problem"] == problem]
        converged = min((row for row in here if row["tolerance"]), key=lambda row: row["tolerance"])
        good = [row for row in here if row["value"] <= NEAR * converged["value"]]
        least = [
            min((row["evaluations"] for row in good if row["method"] == method), default=None) for method in methods
        ]
        found.append(f"{problem} {' / '.join('more than tried' if n is None else f'{n:.0f}' for n in least)}")
    return (
        f"- **Cost**: network evaluations after which samples by the ODE are as near to exact ones as its converged "
        f"solution, within {NEAR - 1.0:.0%}, {' / '.join(names)}: {'; '.join(found)}."
    )


def _histograms(config: Config, recipe: str) -> Iterator[Picture]:
    """One picture a formulation, of the SDE, as in the paper."""
    seed = config.training.seeds_of(recipe)[0]
    for name in config.training.formulations_of(recipe):
        pairs = [
            (cell, by)
            for cell, by in layout.sampled(config)
            if (cell.recipe, cell.seed, cell.formulation) == (recipe, seed, name)
        ]
        shown = {cell.problem: (cell, by) for cell, by in sorted(pairs, key=lambda pair: pair[1].alpha)}
        yield densities.histograms(config, [shown[problem] for problem in config.densities.problems])


def _installed(package: str) -> bool:
    return find_spec(package) is not None


def _instances(config: Config) -> Iterator[Picture]:
    """Fields, where there is a dolfinx to compute them."""
    if _installed("dolfinx"):
        from fluxbench.bench.report.pictures.fields import instances  # noqa: PLC0415 - dolfinx, for these pictures alone

        yield from (instances(config, problem) for problem in config.flux.problems)


def _fluxes(config: Config, flux: list[Row], recipe: str) -> Iterator[Picture]:
    """Cases of every formulation at the lowest noise by the ODE, as in the paper, then errors and spreads."""
    seed, quiet = config.training.seeds_of(recipe)[0], min(config.flux.noise)
    for problem in config.flux.problems:
        for name in config.training.formulations_of(recipe):
            wanted = (recipe, seed, name, problem, quiet)
            pairs = [
                (cell, by)
                for cell, by in layout.sampled(config)
                if (cell.recipe, cell.seed, cell.formulation, cell.problem, cell.noise) == wanted
            ]
            yield fluxes.cases(config, *min(pairs, key=lambda pair: pair[1].alpha))
        here = [row for row in flux if (row["recipe"], row["problem"], row["seed"]) == (recipe, problem, seed)]
        here = [row for row in here if row["wall"]]
        for metric in ("error", "std"):
            yield fluxes.segments(config, here, metric)


def _excess(config: Config, flux: list[Row], recipe: str) -> Picture:
    seed = config.training.seeds_of(recipe)[0]
    here = [row for row in flux if (row["recipe"], row["seed"]) == (recipe, seed) and row["reference"] == REFERENCE]
    return posteriors.excess(here, recipe)


def _trends(config: Config) -> list[Picture]:
    """None where asv is not installed, or has measured fewer than two commits."""
    if not _installed("asv"):
        return []
    from fluxbench.bench.trends.history import pictures  # noqa: PLC0415 - asv, of the extra `dev`

    return pictures(config.results.parent / "asv")
