"""How few evaluations, and how little time, each sampler needs on trained networks.

First, make the runs that it is about:

    fluxbench run --profile table2
    fluxbench run --profile linear

Every sampler starts from the same normals, and is compared with the probability-flow ODE at tolerance 1e-6, in float64
down to sigma/m = 1e-4: exact W1, difference of the means and of the standard deviations, component by component, in
units of the converged standard deviation, the mean over measurements and components. ODE samplers differ from it by
their error alone; SDE samplers draw numbers of their own, which leaves the noise of so many samples: the floor, that of
the converged ODE from other normals, which an SDE may exceed by a tenth. One process, one thread; time is the median of
several rounds.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from fluxbench.bench.draw import measured_by
from fluxbench.diffusion.samplers import (
    Samples,
    Score,
    euler_maruyama,
    exponential_multistep,
    heun,
    probability_flow,
    runge_kutta45,
)
from scipy.integrate import solve_ivp
from torch import Tensor

from fluxbench.bench import layout
from fluxbench.bench.config import load
from fluxbench.bench.study import Found, Options, goal, line
from fluxbench.diffusion.networks import ScoreNetwork
from fluxbench.solvers.data import datasets
from fluxbench.storage import Row
from fluxbench.training import checkpoints

PROFILES = ("table2", "linear")
FORMULATION, NOISE = "vp-k2", 0.01
ROWS = 8_000
"""Samples a problem: 2,000 for each of four y, or 100 for each of 80 measurements."""
TITLE = f"Samplers on trained networks ({FORMULATION}, recipe `tuned`, {ROWS:,} samples)"
ROUNDS = 3
STEPS = 16
"""Of the default ODE sampler."""
TOLERANCES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
ERRORS = ("W1", "mean", "std")
FLOOR = "floor of SDE samplers"
ALLOWED = 0.01
"""Error in units of the posterior's standard deviation."""


@dataclass(frozen=True)
class Problem:
    """A trained network and the measurements on which it is sampled.

    Attributes:
        name: of the problem.
        network: float32.
        condition: shape (M, n).
        x_size: dimension of a sample.
        t_min: where sampling stops.
    """

    name: str
    network: ScoreNetwork
    x_size: int
    condition: Tensor
    t_min: float

    @property
    def each(self) -> int:
        """Number of samples for each measurement."""
        return ROWS // len(self.condition)

    def normals(self, seed: int, dtype: torch.dtype = torch.float32) -> Callable[[], Tensor]:
        """Return a source of normals for the whole batch, of shape (ROWS, x_size)."""
        generator = torch.Generator().manual_seed(seed)
        shape = (ROWS, self.x_size)
        return lambda: torch.randn(shape, generator=generator).to(dtype)

    def score(self, dtype: torch.dtype = torch.float32) -> Score:
        """Return the network's score at this problem's conditions, in either precision."""
        network = copy.deepcopy(self.network).to(dtype)
        y = self.condition.to(dtype).repeat_interleave(self.each, dim=0)
        return lambda x, t, rows: network(x, y[rows], t)


def trained(root: Path) -> list[Problem]:
    """Return the networks of the two runs: each joint density, and the linear flux problem at 1 % noise.

    Raises:
        InputError: if a run is not there or made otherwise.
    """
    found = []
    for profile in PROFILES:
        config = load(profile, [f"root={root}"])
        for cell in config.cells():
            if (cell.recipe, cell.formulation, cell.seed) != ("tuned", FORMULATION, 0):
                continue
            if cell.problem not in config.densities.problems and cell.noise != NOISE:
                continue
            dataset = datasets.read(layout.solved(config, cell.problem))
            path = layout.checkpoint_path(config, cell)
            checkpoint = checkpoints.load_trained(path, cell.specification(dataset.specification))
            measured = measured_by(cell, dataset, 80)
            condition = torch.as_tensor(checkpoint.normalisation.condition(measured), dtype=torch.float64)
            network = checkpoint.network(torch.device("cpu"))
            recipe = cell.hyperparameters
            t_min = network.formulation.sampling_end(recipe.t_min, recipe.noise_ratio_end)
            found.append(Problem(cell.problem, network, checkpoint.x_size, condition, t_min))
    return found


def by_scipy(problem: Problem, score: Score, tolerance: float) -> Samples:
    """Sample by SciPy's RK45 on the whole batch as one vector, as the authors' code does it."""
    process, shape = problem.network.formulation, (ROWS, problem.x_size)
    rows = torch.arange(ROWS)

    def slope(t: float, flat: np.ndarray) -> np.ndarray:
        x = torch.as_tensor(flat, dtype=torch.float32).reshape(shape)
        times = torch.full((ROWS,), t, dtype=torch.float64)
        return probability_flow(score, process, x, times, rows).double().numpy().ravel()

    start = (process.terminal_std * problem.normals(0)()).double().numpy().ravel()
    found = solve_ivp(slope, (1.0, problem.t_min), start, "RK45", rtol=tolerance, atol=tolerance)
    return Samples(torch.as_tensor(found.y[:, -1]).reshape(shape), float(found.nfev))


def samplers(problem: Problem) -> dict[str, Callable[[], Samples]]:
    """Return every sampler by name, all ODE samplers from the same normals."""
    process, t_min, score = problem.network.formulation, problem.t_min, problem.score()

    def exponential(alpha: float, seed: int, steps: int) -> Samples:
        return exponential_multistep(score, process, problem.normals(seed), alpha, steps, t_min)

    def runge_kutta(tolerance: float) -> Samples:
        return runge_kutta45(score, process, problem.normals(0), t_min, tolerance)

    found: dict[str, Callable[[], Samples]] = {
        f"ODE, exponential, {steps} steps": partial(exponential, 0.0, 0, steps) for steps in (10, 12, 14, 16, 20, 24)
    }
    found["ODE, Heun, 16 steps"] = lambda: heun(score, process, problem.normals(0), 16, t_min)
    for tolerance in TOLERANCES:
        found[f"ODE, Runge-Kutta, {tolerance:g}"] = partial(runge_kutta, tolerance)
        found[f"ODE, SciPy's RK45, {tolerance:g}"] = partial(by_scipy, problem, score, tolerance)
    for steps in (64, 32):
        found[f"SDE, exponential, {steps} steps"] = partial(exponential, 1.0, 1, steps)
    found["SDE, Euler-Maruyama, 500 steps"] = lambda: euler_maruyama(
        score, process, problem.normals(1), 1.0, 500, t_min
    )
    return found


def converged(problem: Problem, seed: int) -> Tensor:
    """Return samples of the probability-flow ODE to all the digits that matter, of shape (ROWS, x_size)."""
    network = problem.network
    end = network.formulation.sampling_end(0.0, 1e-4)
    score = problem.score(torch.float64)
    found = runge_kutta45(score, network.formulation, problem.normals(seed, torch.float64), end, 1e-6)
    return found.x / network.formulation.m(torch.tensor(end, dtype=torch.float64))


def errors(problem: Problem, x: Tensor, reference: Tensor) -> Row:
    """Return W1, mean and standard deviation against a reference, in units of its standard deviation."""
    x, reference = (a.double().reshape(len(problem.condition), problem.each, -1) for a in (x, reference))
    std = reference.std(dim=1)
    w1 = (x.sort(dim=1).values - reference.sort(dim=1).values).abs().mean(dim=1)
    return {
        "W1": (w1 / std).mean().item(),
        "mean": ((x.mean(dim=1) - reference.mean(dim=1)).abs() / std).mean().item(),
        "std": ((x.std(dim=1) - std).abs() / std).mean().item(),
    }


def timed(draw: Callable[[], Samples], rounds: int) -> tuple[Samples, list[float]]:
    """Return what a sampler draws, and the seconds of each round."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        found = draw()
        seconds.append(time.perf_counter() - began)
    return found, seconds


def compared(problem: Problem, rounds: int) -> list[Row]:
    """Compare every sampler with the converged ODE on one problem, a row each."""
    with torch.no_grad():
        reference = converged(problem, 0)
        rows = [{"sampler": FLOOR, **errors(problem, converged(problem, 1), reference)}]
        for name, draw in samplers(problem).items():
            found, seconds = timed(draw, rounds)
            spent = {"evaluations": found.evaluations, "seconds": median(seconds)}
            rows.append({"sampler": name, **spent, **errors(problem, found.x, reference)})
            print(f"{problem.name}: {line(rows[-1])}", flush=True)
    return rows


def goals_of(problem: str, rows: list[Row]) -> list[Row]:
    """Return the goals of the default samplers on one problem, from its rows."""
    by_name = {row["sampler"]: row for row in rows}
    default = by_name[f"ODE, exponential, {STEPS} steps"]
    worst = max(default[name] for name in ERRORS)
    scipy = by_name["ODE, SciPy's RK45, 1e-05"]["seconds"] / default["seconds"]
    runge_kutta = [row for name, row in by_name.items() if "Runge-Kutta" in name or "RK45" in name]
    good = [row["seconds"] for row in runge_kutta if max(row[name] for name in ERRORS) <= ALLOWED]
    best = min(good, default=float("inf")) / default["seconds"]
    sde, many = by_name["SDE, exponential, 64 steps"], by_name["SDE, Euler-Maruyama, 500 steps"]
    beyond = max(sde[name] - max(many[name], 1.1 * by_name[FLOOR][name]) for name in ERRORS)
    return [
        goal(
            f"{problem}: ODE in {STEPS} evaluations: largest of W1, mean, std", worst, worst <= ALLOWED, f"<= {ALLOWED}"
        ),
        goal(f"{problem}: times faster than SciPy's RK45 at 1e-5", scipy, scipy >= 5.0, "at least 5"),
        goal(f"{problem}: times faster than RK45 at its best tolerance", best, best >= 1.8, "at least 1.8"),
        goal(f"{problem}: SDE in 64 evaluations: error beyond Euler-Maruyama 500", beyond, beyond <= 0.0, "at most 0"),
    ]


def measure(options: Options) -> Found:
    """Compare samplers on every network: a table a problem, and the goals of each.

    Raises:
        InputError: if a run is not there or made otherwise.
    """
    torch.set_num_threads(1)
    tables = {problem.name: compared(problem, options.rounds) for problem in trained(options.root)}
    return tables, [row for name, rows in tables.items() for row in goals_of(name, rows)]
