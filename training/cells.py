"""A cell of the grid: one problem, formulation, noise level, recipe and seed, hence one trained network."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from fluxbench.solvers.data.measurements import Noise
from fluxbench.solvers.problems import DENSITIES, FLUX_PROBLEMS
from fluxbench.training.recipes import RECIPES, Recipe

VERSION = 2
"""Raise it when a network of the same settings becomes another one: networks, samples and scores are made again."""


@dataclass(frozen=True)
class Cell:
    """What determines a trained network, besides its data set.

    Attributes:
        problem: name of the data set's problem.
        formulation: name of the forward process, such as ``"ve"`` or ``"vp-k2"``.
        noise: standard deviation of the measurement noise in normalised units; 0 for the joint densities.
        recipe: name of the recipe.
        seed: of initial weights, batches and noise.
        hyperparameters: the recipe's numbers, as this run uses them.
        amortised: the range of noise levels that one network serves, of which ``noise`` is one; None for a network of
            its own.
    """

    problem: str
    formulation: str
    noise: float
    recipe: str
    seed: int
    hyperparameters: Recipe
    amortised: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Unique within a run; names the files of the cell's samples and scores."""
        return self._named(f"{self.noise:g}" if self.amortised is None else f"{self.noise:g}-amortised")

    @property
    def network_name(self) -> str:
        """Names the checkpoint, which amortised cells share."""
        return self._named(f"{self.noise:g}" if self.amortised is None else "amortised")

    def _named(self, noise: str) -> str:
        level = "" if self.problem in DENSITIES else f"_noise-{noise}"
        return f"{self.problem}_{self.formulation}{level}_{self.recipe}_seed-{self.seed}"

    @property
    def training_noise(self) -> Noise:
        """The noise of the measurements on which the network is trained: one level, or a range."""
        return self.noise if self.amortised is None else self.amortised

    def steps(self, samples: int) -> int:
        """Optimiser steps in all on so many training samples; an epoch's last, smaller batch is left out."""
        recipe = self.hyperparameters
        return recipe.epochs * (samples // recipe.batch_size)

    def specification(self, data: dict[str, Any]) -> dict[str, Any]:
        """Everything that determines the checkpoint, given the data set's specification."""
        problem = FLUX_PROBLEMS.get(self.problem)
        cell = asdict(self) | {"noise": self.training_noise}
        sensors_on = 1.0 if problem is None else problem.sensors_on
        return {"version": VERSION, "cell": cell, "sensors_on": sensors_on, "data": data}


def grid(
    problems: Iterable[str],
    kind: str,
    formulations: Iterable[str],
    noises: Iterable[float],
    recipe: str,
    seeds: Iterable[int],
    epochs: int | None = None,
    amortised: tuple[float, float] | None = None,
) -> list[Cell]:
    """The cells of a product of settings, for problems of one kind (``"densities"`` or ``"flux"``).

    ``epochs`` replaces the recipe's own number; cells of a range ``amortised`` share one network.
    """
    hyperparameters = RECIPES[recipe][kind]
    if epochs is not None:
        hyperparameters = replace(hyperparameters, epochs=epochs)
    formulations, noises, seeds = list(formulations), list(noises), list(seeds)
    return [
        Cell(problem, name, noise, recipe, seed, hyperparameters, amortised)
        for problem in problems
        for noise in noises
        for name in formulations
        for seed in seeds
    ]
