"""Where the files of a run lie, and the specifications that they must carry."""

from pathlib import Path
from typing import Any

from fluxbench.bench.config import Config
from fluxbench.bench.files import references as store
from fluxbench.bench.files import samples
from fluxbench.bench.files.references import Reference
from fluxbench.bench.files.samples import Integrator, PosteriorSamples, sample_specification
from fluxbench.solvers.data import datasets
from fluxbench.storage import check_specification
from fluxbench.training.cells import Cell


def data_path(config: Config, problem: str) -> Path:
    """A problem's data set."""
    return config.runs / "data" / f"{problem}.h5"


def checkpoint_path(config: Config, cell: Cell) -> Path:
    """A cell's checkpoint; its statistics lie beside it under the suffix ``.jsonl``."""
    return config.runs / "cells" / f"{cell.network_name}.pt"


def sample_path(config: Config, cell: Cell, integrator: Integrator) -> Path:
    """A cell's samples by one integrator."""
    return config.runs / "samples" / f"{cell.name}_alpha-{integrator.alpha:g}.h5"


def score_path(config: Config, cell: Cell, integrator: Integrator) -> Path:
    """The scores of a sample file."""
    return config.runs / "scores" / f"{cell.name}_alpha-{integrator.alpha:g}.json"


def bound_path(config: Config, problem: str, noise: float | None) -> Path:
    """What bounds the scores of a joint density, or of a flux problem at a noise level."""
    level = "" if noise is None else f"_noise-{noise:g}"
    return config.runs / "scores" / f"{problem}{level}_bounds.json"


def cost_path(config: Config, cell: Cell) -> Path:
    """What every sampler costs on a cell's network, and what it is worth."""
    return config.runs / "scores" / f"{cell.name}_costs.json"


def reference_path(config: Config, problem: str, noise: float) -> Path:
    """Reference posteriors of a flux problem at a noise level."""
    return config.runs / "references" / f"{problem}_noise-{noise:g}.h5"


def sampled(config: Config) -> list[tuple[Cell, Integrator]]:
    """Every set of samples of a run."""
    return [(cell, by) for cell in config.cells() for by in config.sampling.integrators(cell.recipe)]


def data_specification(config: Config, problem: str) -> dict[str, Any]:
    """What a problem's data set must carry."""
    sizes = config.sizes(problem)
    return datasets.expected_specification(
        problem, sizes.train_samples, sizes.test_samples, config.seed, config.flux.mesh
    )


def referenced(config: Config) -> list[tuple[str, float]]:
    """The flux problems and noise levels of a run that have reference posteriors: levels above 0, if any."""
    if config.flux.references == 0:
        return []
    return [(problem, noise) for problem in config.flux.problems for noise in config.flux.noise if noise > 0.0]


def expected_reference(config: Config, problem: str, noise: float) -> dict[str, Any]:
    """What reference posteriors must carry."""
    data, flux = data_specification(config, problem), config.flux
    return store.specification(data, noise, flux.measurements, flux.references)


def expected_samples(config: Config, cell: Cell, integrator: Integrator) -> dict[str, Any]:
    """What a sample file must carry."""
    data, sizes = data_specification(config, cell.problem), config.sizes(cell.problem)
    return sample_specification(cell, data, integrator, sizes.measurements, sizes.generated, config.seed)


def drawn(config: Config, cell: Cell, integrator: Integrator) -> PosteriorSamples:
    """A cell's samples, which must have been drawn with this configuration.

    Raises:
        InputError: if they are missing, damaged or drawn otherwise.
    """
    path = sample_path(config, cell, integrator)
    check_specification(path, samples.specification(path), expected_samples(config, cell, integrator))
    return samples.read(path)


def exact(config: Config, problem: str, noise: float) -> Reference:
    """Reference posteriors, which must have been made with this configuration.

    Raises:
        InputError: if they are missing, damaged or made otherwise.
    """
    return store.read(reference_path(config, problem, noise), expected_reference(config, problem, noise))


def solved(config: Config, problem: str) -> Path:
    """A problem's data set, which must have been made with this configuration.

    Raises:
        InputError: if it is missing, damaged or made otherwise.
    """
    path = data_path(config, problem)
    check_specification(path, datasets.specification(path), data_specification(config, problem))
    return path
