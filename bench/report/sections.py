"""What stands in a report, from top to bottom: words, tables and pictures of one question each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from typing import Any

import pandas as pd

from fluxbench.bench.report import summary
from fluxbench.bench.report.labels import labelled
from fluxbench.bench.report.pictures import costs as cost_pictures
from fluxbench.bench.report.pictures import densities as density_pictures
from fluxbench.bench.report.pictures import fluxes, grid, posteriors
from fluxbench.bench.report.pictures.processes import figure1
from fluxbench.bench.report.pictures.style import Picture
from fluxbench.bench.report.tables import costs as cost_table
from fluxbench.bench.report.tables import flux as flux_table
from fluxbench.bench.report.tables import posteriors as posterior_table
from fluxbench.bench.report.tables import recipes as recipe_table
from fluxbench.bench.report.tables import table2
from fluxbench.bench.run import Run, SampleSet

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


def sections(run: Run, scores: pd.DataFrame, costs: pd.DataFrame, made: dict[str, Any]) -> Iterator[Section]:
    """Yield every section of a run's report, in its order.

    Args:
        run: whose data sets, samples and references the pictures show.
        scores: rows of ``scores.csv``.
        costs: rows of ``costs.csv``, none if nothing was measured.
        made: provenance of the report.

    Raises:
        InputError: if a data set, a sample or a reference file is missing or made otherwise.
    """
    config, scores = run.config, labelled(scores)
    densities = scores[scores["problem"].isin(config.densities.problems)]
    flux = scores[scores["problem"].isin(config.flux.problems)]
    compared = grid.compared(scores)
    yield Section(summary.ran(run, scores, made))
    yield Section(summary.in_short(densities, flux, costs), [grid.heat_map(compared)] if len(compared) else [])
    yield Section("## Forward processes (sections 2, 3)\n", [figure1()])
    shown = [recipe for recipe in config.training.recipes if not recipe.startswith("tuned-without")]
    if len(densities):
        histograms = (picture for recipe in shown for picture in _histograms(run, recipe))
        yield Section(table2.text(config, densities), chain([density_pictures.joint(run)], histograms))
    if len(flux):
        text = flux_table.text(config, flux)
        if not _installed("dolfinx"):
            text += "\nWithout dolfinx, which is not installed here, Figures 6, 12 and 15 (fields) are left out.\n"
        yield Section(text, chain(_instances(run), (each for recipe in shown for each in _fluxes(run, flux, recipe))))
        calibrated = (posteriors.calibrated(run, recipe) for recipe in shown)
        if run.referenced:
            excess = (posteriors.excess(_first_seed(run, flux, recipe)) for recipe in shown)
            yield Section(posterior_table.text(config, flux), chain(calibrated, excess))
        else:
            yield Section("## Calibration\n", calibrated)
    if len(costs):
        yield Section(cost_table.text(costs), [cost_pictures.against_cost(costs)])
    if len(config.training.recipes) > 1:
        yield Section(recipe_table.text(scores))
    if trends := _trends(run):
        yield Section("## Over time\n\nBenchmarks of asv by commit (`fluxbench bench run`).\n", trends)
    yield Section("## Ours by choice\n\n" + CHOICES)


def _sample_sets(run: Run, recipe: str, formulation: str) -> list[SampleSet]:
    """Return the sets of samples that pictures show: those of the first training seed, the ODE's first."""
    wanted = recipe, formulation, run.config.training.seeds_of(recipe)[0]
    sample_sets = sorted(run.sample_sets, key=lambda samples: samples.integrator.alpha)
    return [
        samples
        for samples in sample_sets
        if (samples.cell.recipe, samples.cell.formulation, samples.cell.seed) == wanted
    ]


def _histograms(run: Run, recipe: str) -> Iterator[Picture]:
    """Draw one picture a formulation, of the SDE, as in the paper."""
    for formulation in run.config.training.formulations_of(recipe):
        last = {samples.problem: samples for samples in _sample_sets(run, recipe, formulation)}
        yield density_pictures.histograms(run, [last[problem] for problem in run.config.densities.problems])


def _installed(package: str) -> bool:
    return find_spec(package) is not None


def _instances(run: Run) -> Iterator[Picture]:
    """Draw fields, where there is a dolfinx to compute them."""
    if _installed("dolfinx"):
        from fluxbench.bench.report.pictures.fields import instances  # noqa: PLC0415 - dolfinx, for these pictures alone

        yield from (instances(run, problem) for problem in run.config.flux.problems)


def _fluxes(run: Run, flux: pd.DataFrame, recipe: str) -> Iterator[Picture]:
    """Draw cases of every formulation at the lowest noise by the ODE, as in the paper, then errors and spreads."""
    quiet = min(run.config.flux.noise)
    segments = _first_seed(run, flux[flux["wall"] != ""], recipe)
    for problem in run.config.flux.problems:
        for formulation in run.config.training.formulations_of(recipe):
            candidates = _sample_sets(run, recipe, formulation)
            yield fluxes.cases(run, next(each for each in candidates if (each.problem, each.noise) == (problem, quiet)))
        for metric in ("error", "std"):
            yield fluxes.segments(segments[segments["problem"] == problem], metric)


def _first_seed(run: Run, scores: pd.DataFrame, recipe: str) -> pd.DataFrame:
    """Return a recipe's scores of its first training seed, which pictures show."""
    seed = run.config.training.seeds_of(recipe)[0]
    return scores[(scores["recipe"] == recipe) & (scores["seed"] == seed)]


def _trends(run: Run) -> list[Picture]:
    """Draw the history of benchmarks; nothing where asv is not installed, or has measured fewer than two commits."""
    if not _installed("asv"):
        return []
    from fluxbench.bench.trends.history import pictures  # noqa: PLC0415 - asv, of the extra `dev`

    return pictures(run.results.parent / "asv")
