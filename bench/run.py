"""A run: where its files lie, and what they must carry.

Whoever needs a file asks the run for its content, which has been checked against the configuration by then.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxbench import hdf5
from fluxbench.bench.config import Config
from fluxbench.bench.files import ladders, references, samples
from fluxbench.bench.files.references import Reference
from fluxbench.bench.files.samples import PosteriorSamples
from fluxbench.diffusion.integrators import Integrator
from fluxbench.solvers import problems
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.training.cells import Cell

if TYPE_CHECKING:
    from fluxbench.training.posterior import Posterior

LADDER_MEASUREMENTS = 10
"""Of a test split, for accuracy against cost; a joint density has its own values of y."""

_data_specification = cache(datasets.expected_specification)
"""Built once for each data set of a process."""


@dataclass(frozen=True)
class SampleSet:
    """Posterior samples of one network at a noise level by one integrator.

    Attributes:
        cell: the network.
        noise: level of the measurements in normalised units.
        integrator: of the reverse process.
    """

    cell: Cell
    noise: float
    integrator: Integrator

    @property
    def problem(self) -> str:
        """Name of the problem."""
        return self.cell.problem

    @property
    def network(self) -> str:
        """Name of the network at its noise level, as ``fluxbench infer --cell`` takes it."""
        return self.cell.named(f"{self.noise:g}-amortised" if self.cell.amortised else f"{self.noise:g}")

    @property
    def name(self) -> str:
        """Name of its files, unique within a run."""
        return f"{self.network}_{self.integrator.slug}"


@dataclass(frozen=True)
class Run:
    """The files of a configuration.

    Attributes:
        config: what is solved, trained, sampled and scored.
    """

    config: Config

    @property
    def folder(self) -> Path:
        """Scratch: data sets, checkpoints, samples, scores."""
        return self.config.runs

    @property
    def results(self) -> Path:
        """Tables and figures."""
        return self.config.results

    @property
    def problems(self) -> list[str]:
        """Names of the problems."""
        return self.config.problems

    @cached_property
    def cells(self) -> list[Cell]:
        """Every network."""
        return self.config.cells()

    @cached_property
    def sample_sets(self) -> list[SampleSet]:
        """Every set of samples: each network at each of its noise levels by each integrator."""
        found = []
        for cell in self.cells:
            levels = [cell.noise] if isinstance(cell.noise, float) else self.config.flux.amortised_levels
            integrators = self.config.sampling.integrators(cell.recipe)
            found += [SampleSet(cell, noise, integrator) for noise in levels for integrator in integrators]
        return found

    @property
    def referenced(self) -> list[tuple[str, float]]:
        """Problems and noise levels with a sampled reference: where there is noise, and no closed form."""
        flux = self.config.flux
        levels = [noise for noise in flux.noise if noise > 0.0 and flux.references > 0]
        sampled = [name for name in self.problems if not problems.problem(name).closed_form]
        return [(name, noise) for name in sampled for noise in levels]

    @property
    def scored(self) -> list[tuple[str, float]]:
        """Problems and noise levels at which networks are scored, in the order of the cells."""
        return list(dict.fromkeys((each.problem, each.noise) for each in self.sample_sets))

    @property
    def studied(self) -> list[SampleSet]:
        """One network of each problem whose posteriors are known, for accuracy against cost.

        It is that of the first recipe and seed, the last formulation, and the lowest noise level that has a reference:
        there samplers have most to do.
        """
        if self.config.sampling.costs == 0:
            return []
        training = self.config.training
        recipe = training.recipes[0]
        wanted = (recipe, training.formulations_of(recipe)[-1], training.seeds_of(recipe)[0], False)
        found: dict[str, SampleSet] = {}
        for each in sorted(self.sample_sets, key=lambda each: each.noise):
            cell = each.cell
            known = problems.problem(each.problem).closed_form or (each.problem, each.noise) in self.referenced
            if known and (cell.recipe, cell.formulation, cell.seed, cell.amortised) == wanted:
                found.setdefault(each.problem, each)
        return [found[name] for name in self.problems if name in found]

    def data_path(self, problem: str) -> Path:
        """Return the path of a problem's data set."""
        return self.folder / "data" / f"{problem}.h5"

    def checkpoint_path(self, cell: Cell) -> Path:
        """Return the path of a cell's checkpoint; its statistics lie beside it under the suffix ``.jsonl``."""
        return self.folder / "cells" / f"{cell.name}.pt"

    def reference_path(self, problem: str, noise: float) -> Path:
        """Return the path of the reference posteriors of a problem at a noise level."""
        return self.folder / "references" / f"{problem}_noise-{noise:g}.h5"

    def samples_path(self, each: SampleSet) -> Path:
        """Return the path of a set of samples."""
        return self.folder / "samples" / f"{each.name}.h5"

    def ladder_path(self, each: SampleSet) -> Path:
        """Return the path of the samples of a set's network by every integrator."""
        return self.folder / "samples" / f"{each.network}_ladder.h5"

    def scores_path(self, each: SampleSet) -> Path:
        """Return the path of the scores of a set of samples."""
        return self.folder / "scores" / f"{each.name}.json"

    def costs_path(self, each: SampleSet) -> Path:
        """Return the path of the scores of a ladder."""
        return self.folder / "scores" / f"{each.network}_ladder.json"

    def bounds_path(self, problem: str, noise: float) -> Path:
        """Return the path of what bounds the scores of a problem at a noise level."""
        level = f"_noise-{noise:g}" if problems.problem(problem).noisy else ""
        return self.folder / "scores" / f"{problem}{level}_bounds.json"

    def data_specification(self, problem: str) -> dict[str, Any]:
        """Return what a problem's data set must carry."""
        sizes, config = self.config.sizes(problem), self.config
        return _data_specification(problem, sizes.train_samples, sizes.test_samples, config.seed, config.flux.mesh)

    def checkpoint_specification(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's checkpoint must carry."""
        return cell.specification(self.data_specification(cell.problem))

    def reference_specification(self, problem: str, noise: float) -> dict[str, Any]:
        """Return what the reference posteriors of a problem at a noise level must carry."""
        flux = self.config.flux
        return references.specification(self.data_specification(problem), noise, flux.measurements, flux.references)

    def samples_specification(self, each: SampleSet) -> dict[str, Any]:
        """Return what a set of samples must carry."""
        sizes, values = self.config.sizes(each.problem), problems.problem(each.problem).y_values
        return self.checkpoint_specification(each.cell) | {
            "noise": each.noise,
            "integrator": each.integrator.specification(),
            "measurements": sizes.measurements if values is None else list(values),
            "generated": sizes.generated,
            "sampling_seed": self.config.seed,
        }

    def ladder_sizes(self, each: SampleSet) -> tuple[int, int]:
        """Return the number of measurements at which a ladder is drawn, and of samples for each."""
        measurements = min(LADDER_MEASUREMENTS, self.config.sizes(each.problem).measurements)
        return measurements, max(2, self.config.sampling.costs // measurements)

    def ladder_specification(self, each: SampleSet) -> dict[str, Any]:
        """Return what the ladder of a set's network must carry."""
        rungs = [integrator.specification() for integrator in ladders.integrators()]
        drawn = {"noise": each.noise, "samples": self.config.sampling.costs, "sampling_seed": self.config.seed}
        return self.checkpoint_specification(each.cell) | drawn | {"integrators": rungs}

    def scores_specification(self, each: SampleSet) -> dict[str, Any]:
        """Return what determines the scores of a set of samples: these, and the reference."""
        return self.samples_specification(each) | self._comparison(each.problem, each.noise)

    def costs_specification(self, each: SampleSet) -> dict[str, Any]:
        """Return what determines the scores of a ladder: this, and the reference."""
        return self.ladder_specification(each) | self._comparison(each.problem, each.noise)

    def bounds_specification(self, problem: str, noise: float) -> dict[str, Any]:
        """Return what determines the bounds of a problem's scores at a noise level."""
        sizes, values = self.config.sizes(problem), problems.problem(problem).y_values
        made: dict[str, Any] = {"data": self.data_specification(problem), "generated": sizes.generated}
        if problems.problem(problem).closed_form and values is not None:
            return made | {"y_values": list(values)}
        return made | {"noise": noise, "measurements": sizes.measurements} | self._comparison(problem, noise)

    def _comparison(self, problem: str, noise: float) -> dict[str, Any]:
        """The specification of the sampled reference with which scores compare, or nothing without one."""
        if (problem, noise) not in self.referenced:
            return {}
        return {"reference": self.reference_specification(problem, noise)}

    def solved(self, problem: str) -> Path:
        """Return the path of a problem's data set, which must have been made with this configuration.

        Raises:
            InputError: if it is missing, damaged or made otherwise.
        """
        path, expected = self.data_path(problem), self.data_specification(problem)
        return hdf5.require(path, datasets.SCHEMA, datasets.VERSION, expected)

    def dataset(self, problem: str) -> Dataset:
        """Read a problem's data set.

        Raises:
            InputError: if it is missing, damaged or made otherwise.
        """
        return datasets.read(self.solved(problem))

    def posterior(self, cell: Cell, device: str = "cpu") -> "Posterior":
        """Read the posterior of a trained cell.

        Raises:
            InputError: if its checkpoint is missing, damaged, unfinished or made otherwise.
        """
        from fluxbench.training.posterior import Posterior  # noqa: PLC0415 - torch

        return Posterior.load(self.checkpoint_path(cell), self.checkpoint_specification(cell), device)

    def reference(self, problem: str, noise: float) -> Reference:
        """Read the reference posteriors of a problem at a noise level.

        Raises:
            InputError: if they are missing, damaged or made otherwise.
        """
        return references.read(self.reference_path(problem, noise), self.reference_specification(problem, noise))

    def samples(self, each: SampleSet) -> PosteriorSamples:
        """Read a set of samples.

        Raises:
            InputError: if it is missing, damaged or drawn otherwise.
        """
        return samples.read(self.samples_path(each), self.samples_specification(each))

    def require_samples(self, each: SampleSet) -> None:
        """Look at the head of a sample file, which says how it was drawn.

        Raises:
            InputError: if it is missing, damaged or drawn otherwise.
        """
        expected = self.samples_specification(each)
        hdf5.require(self.samples_path(each), samples.SCHEMA, samples.VERSION, expected)

    def require_ladder(self, each: SampleSet) -> None:
        """Look at the head of a ladder, which says how it was drawn.

        Raises:
            InputError: if it is missing, damaged or drawn otherwise.
        """
        hdf5.require(self.ladder_path(each), ladders.SCHEMA, ladders.VERSION, self.ladder_specification(each))
