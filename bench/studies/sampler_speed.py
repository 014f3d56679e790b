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
from pathlib import Path
from statistics import median
from typing import ClassVar, override

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from fluxbench.bench.config import load
from fluxbench.bench.run import Run
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.integrators import EulerMaruyama, Exponential, Heun, Integrator, RungeKutta, Samples
from fluxbench.diffusion.integrators.integrator import Normals, Score
from fluxbench.diffusion.networks import given
from fluxbench.solvers import problems
from fluxbench.solvers.data.measurements import Measured, observations
from fluxbench.storage import Row
from fluxbench.training.posterior import Posterior

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
        posterior: of the network, float32.
        measured: M measurements.
    """

    posterior: Posterior
    measured: Measured

    @property
    def name(self) -> str:
        """Name of the inverse problem."""
        return self.posterior.cell.problem

    @property
    def each(self) -> int:
        """Number of samples for each measurement."""
        return ROWS // len(self.measured.y)

    def normals(self, seed: int, dtype: torch.dtype = torch.float32) -> Callable[[], Tensor]:
        """Return a source of normals for the whole batch, of shape (ROWS, d)."""
        generator = torch.Generator().manual_seed(seed)
        shape = (ROWS, self.posterior.x_size)
        return lambda: torch.randn(shape, generator=generator).to(dtype)

    def sample(self, integrator: Integrator) -> Samples:
        """Draw all samples in the network's units, by every ODE sampler from the same normals."""
        score = self.posterior.score(self.measured, self.each)
        normals = self.normals(0 if integrator.alpha == 0.0 else 1)
        return integrator.integrate(score, self.posterior.formulation, normals, self.posterior.t_min)


class SciPy(RungeKutta):
    """SciPy's RK45 on the whole batch as one vector, as the authors' code does it."""

    title: ClassVar[str] = "SciPy's RK45"

    @override
    def integrate(self, score: Score, formulation: Formulation, normals: Normals, t_min: float) -> Samples:
        start = formulation.terminal_std * normals()
        rows = torch.arange(len(start))

        def slope(t: float, flat: np.ndarray) -> np.ndarray:
            x = torch.as_tensor(flat, dtype=start.dtype).reshape(start.shape)
            times = torch.full((len(x),), t, dtype=torch.float64)
            flow = formulation.probability_flow(x, times, score(x, times, rows))
            return flow.to(x.dtype).double().numpy().ravel()

        whole, tolerance = start.double().numpy().ravel(), self.tolerance
        solution = solve_ivp(slope, (1.0, t_min), whole, "RK45", rtol=tolerance, atol=tolerance)
        return Samples(torch.as_tensor(solution.y[:, -1]).reshape(start.shape), float(solution.nfev))


SAMPLERS: dict[str, Integrator] = {
    **{f"ODE, exponential, {steps} steps": Exponential(0.0, steps) for steps in (10, 12, 14, 16, 20, 24)},
    "ODE, Heun, 16 steps": Heun(0.0, 16),
    **{
        f"ODE, {name}, {tolerance:g}": method(0.0, tolerance)
        for tolerance in TOLERANCES
        for name, method in (("Runge-Kutta", RungeKutta), ("SciPy's RK45", SciPy))
    },
    **{f"SDE, exponential, {steps} steps": Exponential(1.0, steps) for steps in (64, 32)},
    "SDE, Euler-Maruyama, 500 steps": EulerMaruyama(1.0, 500),
}
"""What is compared, by its name in the table."""


def trained(root: Path) -> list[Problem]:
    """Return the networks of the two runs: each joint density, and the linear flux problem at 1 % noise.

    Raises:
        InputError: if a run is not there or made otherwise.
    """
    chosen = []
    for run in (Run(load(profile, [f"root={root}"])) for profile in PROFILES):
        for cell in run.cells:
            level = NOISE if problems.problem(cell.problem).noisy else 0.0
            if (cell.recipe, cell.formulation, cell.seed, cell.noise) == ("tuned", FORMULATION, 0, level):
                measured = observations(run.dataset(cell.problem), level, 80)
                chosen.append(Problem(run.posterior(cell), measured))
    return chosen


def converged(problem: Problem, seed: int) -> Tensor:
    """Return samples of the probability-flow ODE to all the digits that matter, of shape (ROWS, d)."""
    posterior, formulation = problem.posterior, problem.posterior.formulation
    condition = torch.as_tensor(posterior.normalisation.condition(problem.measured))
    score = given(copy.deepcopy(posterior.network).double(), condition.repeat_interleave(problem.each, dim=0))
    end = formulation.sampling_end(0.0, 1e-4)
    x = RungeKutta(0.0, 1e-6).integrate(score, formulation, problem.normals(seed, torch.float64), end).x
    return x / formulation.m(torch.tensor(end, dtype=torch.float64))


def errors(problem: Problem, x: Tensor, reference: Tensor) -> Row:
    """Return W1, mean and standard deviation against a reference, in units of its standard deviation."""
    x, reference = (a.double().reshape(len(problem.measured.y), problem.each, -1) for a in (x, reference))
    std = reference.std(dim=1)
    w1 = (x.sort(dim=1).values - reference.sort(dim=1).values).abs().mean(dim=1)
    return {
        "W1": (w1 / std).mean().item(),
        "mean": ((x.mean(dim=1) - reference.mean(dim=1)).abs() / std).mean().item(),
        "std": ((x.std(dim=1) - std).abs() / std).mean().item(),
    }


def timed(problem: Problem, integrator: Integrator, rounds: int) -> tuple[Samples, float]:
    """Return what a sampler draws, and the seconds that it takes, the median of several rounds."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        samples = problem.sample(integrator)
        seconds.append(time.perf_counter() - began)
    return samples, median(seconds)


@torch.no_grad()
def compared(problem: Problem, rounds: int) -> list[Row]:
    """Compare every sampler with the converged ODE on one problem, a row each."""
    reference = converged(problem, 0)
    rows = [{"sampler": FLOOR, **errors(problem, converged(problem, 1), reference)}]
    for name, integrator in SAMPLERS.items():
        samples, seconds = timed(problem, integrator, rounds)
        spent = {"evaluations": samples.evaluations, "seconds": seconds}
        rows.append({"sampler": name, **spent, **errors(problem, samples.x, reference)})
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


def measure(options: Options) -> Findings:
    """Compare samplers on every network: a table a problem, and the goals of each.

    Raises:
        InputError: if a run is not there or made otherwise.
    """
    torch.set_num_threads(1)
    tables = {problem.name: compared(problem, options.rounds) for problem in trained(options.root)}
    return tables, [row for name, rows in tables.items() for row in goals_of(name, rows)]
