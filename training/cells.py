"""A cell of the grid: one problem, formulation, noise, recipe and seed, hence one trained network."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from fluxbench.solvers import problems
from fluxbench.solvers.data.measurements import Noise
from fluxbench.training.recipes import RECIPES, Recipe

VERSION = 3
"""Raise it when a network of the same settings becomes another one: networks, samples and scores are made again."""


@dataclass(frozen=True)
class Cell:
    """What determines a trained network, besides its data set.

    Attributes:
        problem: name of the data set's problem.
        formulation: name of the forward process, such as ``"ve"`` or ``"vp-k2"``.
        noise: standard deviation of the measurement noise in normalised units, 0 where a problem has no such noise; or
            the ends of a range of levels, all served by this network (amortised).
        recipe: name of the recipe.
        seed: of initial weights, batches and noise.
        hyperparameters: the recipe's numbers, as this run uses them.
    """

    problem: str
    formulation: str
    noise: Noise
    recipe: str
    seed: int
    hyperparameters: Recipe

    @property
    def amortised(self) -> bool:
        """Whether the network serves a range of noise levels."""
        return isinstance(self.noise, tuple)

    @property
    def noise_range(self) -> tuple[float, float] | None:
        """Least and largest level that an amortised network serves; None for a network of one level."""
        return self.noise if isinstance(self.noise, tuple) else None

    @property
    def name(self) -> str:
        """Name of the checkpoint, unique within a run."""
        return self.named("amortised" if self.amortised else f"{self.noise:g}")

    def named(self, noise: str) -> str:
        """Return a name that says ``noise`` of the level, where the problem has levels."""
        level = f"_noise-{noise}" if problems.known(self.problem).noisy else ""
        return f"{self.problem}_{self.formulation}{level}_{self.recipe}_seed-{self.seed}"

    def steps(self, samples: int) -> int:
        """Return the optimiser steps of a whole training; an epoch's last, smaller batch is left out.

        Args:
            samples: of the training split.
        """
        recipe = self.hyperparameters
        return recipe.epochs * (samples // recipe.batch_size)

    def specification(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return everything that determines the checkpoint, given the data set's specification."""
        sensors_on = problems.known(self.problem).sensors_on
        return {"version": VERSION, "cell": asdict(self), "sensors_on": sensors_on, "data": data}


def grid(
    problem_names: Iterable[str],
    formulations: Iterable[str],
    noises: Iterable[Noise],
    recipe: str,
    seeds: Iterable[int],
    epochs: int | None = None,
) -> list[Cell]:
    """Return the cells of a product of settings.

    Args:
        problem_names: whose family decides on the recipe's numbers.
        formulations: names of forward processes.
        noises: levels, or ranges of them that one network serves.
        recipe: name of the recipe.
        seeds: of training.
        epochs: in place of the recipe's own number.
    """
    formulations, noises, seeds = list(formulations), list(noises), list(seeds)
    cells = []
    for name in problem_names:
        hyperparameters = RECIPES[recipe][problems.known(name).family]
        if epochs is not None:
            hyperparameters = replace(hyperparameters, epochs=epochs)
        cells += [
            Cell(name, formulation, noise, recipe, seed, hyperparameters)
            for noise in noises
            for formulation in formulations
            for seed in seeds
        ]
    return cells
