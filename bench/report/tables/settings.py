"""How the networks and samples of a table were made, in words."""

import pandas as pd
import torch

from fluxbench.bench.config import Config
from fluxbench.diffusion.formulations import formulation
from fluxbench.training.recipes import RECIPES


def training(config: Config, rows: pd.DataFrame) -> str:
    """Return recipe, epochs and training seeds.

    Args:
        config: the run.
        rows: scores of one recipe and family of problems.
    """
    recipe, epochs = rows["recipe"].iloc[0], rows["epochs"].iloc[0]
    seeds = ", ".join(map(str, config.training.seeds_of(recipe)))
    paper = " (paper: 10,000)" if recipe == "paper" else ""
    return f"Recipe `{recipe}`, {epochs:,} epochs{paper}, training seed(s) {seeds}"


def schedules(config: Config, recipe: str, family: str) -> str:
    """Return the forward processes of a recipe, and the noise that sampling leaves where it stops.

    Args:
        config: the run.
        recipe: its name.
        family: of the problems, "densities" or "flux".
    """
    settings = RECIPES[recipe][family]
    names, left = list[str](), list[str]()
    for name in config.training.formulations_of(recipe):
        process = formulation(name, settings.sigma_max)
        end = torch.tensor(process.sampling_end(settings.t_min, settings.noise_ratio_end), dtype=torch.float64)
        left.append(f"{name}: {process.noise_ratio(end).item():.2g}")
        names.append(_schedule(name, settings.sigma_max))
    unit = "x's standard deviation" if settings.standardised else "x's range" if family == "flux" else "x"
    processes = ", ".join(dict.fromkeys(names))
    return f"{processes}; sampling stops at noise\nsigma/m in units of {unit} ({', '.join(left)})"


def _schedule(name: str, sigma_max: float) -> str:
    if name.startswith("vp-k"):
        return "VP with linear beta"
    exploding = {"ve": "geometric VE", "ve-linear": "linear VE"}.get(name)
    return f"{exploding} schedule with sigma_max {sigma_max:g}" if exploding else name


def sampling(config: Config, rows: pd.DataFrame) -> str:
    """Return the integrators, and the network evaluations that each spent on a sample.

    Args:
        config: the run.
        rows: scores of one recipe and family of problems.
    """
    spent = rows.groupby("alpha")["evaluations"].mean()
    integrators = config.sampling.integrators(rows["recipe"].iloc[0])
    return ", ".join(
        f"{integrator.description} ({spent[integrator.alpha]:.0f} network evaluations a sample)"
        for integrator in integrators
    )
