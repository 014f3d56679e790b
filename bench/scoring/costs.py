"""Accuracy against cost: how near samples of every integrator, at several efforts, come to exact ones.

Tables hold each sampler at one effort. Here one network of each problem is sampled by all of them (stage ``sample``),
and the samples are scored against exact ones: what more evaluations buy, until the network's own error is all that is
left. Seconds are wall time in one process with one thread, beside as many others as sample.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from fluxbench.arrays import Reals
from fluxbench.bench.files import ladders, scores
from fluxbench.bench.metrics import marginal, transport
from fluxbench.bench.run import Run, SampleSet
from fluxbench.bench.scoring.densities import EXACT_DRAWS
from fluxbench.solvers import problems
from fluxbench.storage import Row

COLUMNS = (
    *("problem", "noise", "recipe", "formulation", "sampler", "alpha", "method", "steps", "tolerance"),
    *("evaluations", "seconds", "samples", "metric", "value", "floor"),
)
"""Of ``costs.csv``."""

Judge = Callable[[Reals], float]
"""From samples (M, S, d) to a distance from exact ones."""


def score(run: Run, each: SampleSet, progress: Callable[[int], None]) -> None:
    """Score the ladder of a network, unless that is done.

    Raises:
        InputError: if an input is missing, damaged or made otherwise.
    """
    scores.ensure(run.costs_path(each), run.costs_specification(each), lambda: _rows(run, each))
    progress(1)


def table(run: Run) -> pd.DataFrame:
    """Return the rows of ``costs.csv``.

    Raises:
        InputError: if a file is missing or made otherwise.
    """
    rows = [row for each in run.studied for row in scores.read(run.costs_path(each), run.costs_specification(each))]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"steps": "Int64"})


def _rows(run: Run, each: SampleSet) -> list[Row]:
    judge, floor = _known(run, each)
    rows: list[Row] = []
    for rung in ladders.read(run.ladder_path(each), run.ladder_specification(each)):
        numbers = rung.integrator.specification()
        rows.append(
            {
                "problem": each.problem,
                "noise": each.noise if problems.problem(each.problem).noisy else None,
                "recipe": each.cell.recipe,
                "formulation": each.cell.formulation,
                "sampler": rung.integrator.label,
                "alpha": rung.integrator.alpha,
                "method": rung.integrator.method,
                "steps": numbers.get("steps"),
                "tolerance": numbers.get("tolerance"),
                "evaluations": round(rung.evaluations, 1),
                "seconds": round(rung.seconds, 4),
                "samples": rung.x.shape[0] * rung.x.shape[1],
                "metric": "W1" if problems.problem(each.problem).closed_form else "marginal W1",
                "value": judge(rung.x),
                "floor": floor,
            }
        )
    return rows


def _known(run: Run, each: SampleSet) -> tuple[Judge, float]:
    """What judges samples, and what it says of as many exact ones.

    A joint density: exact W1 to the conditional, mean over the values of y. A problem with a sampled reference: W1 to
    it in its standard deviations, mean over components and measurements.
    """
    measurements, count = run.ladder_sizes(each)
    if not problems.problem(each.problem).closed_form:
        known, admissible = run.reference(each.problem, each.noise), problems.problem(each.problem).admissible
        reference = known.x[:measurements]

        def marginal_distance(x: Reals) -> float:
            return float(np.nanmean(marginal.wasserstein(admissible(x), reference)))

        return marginal_distance, marginal_distance(known.again[: len(reference), :count])

    density, seed = problems.joint_density(each.problem), run.config.seed
    exact = [density.sample_conditional(y, EXACT_DRAWS, seed, "exact-0") for y in density.y_values]

    def distance(x: Reals) -> float:
        pairs = zip(x, exact, strict=True)
        return float(np.mean([transport.wasserstein_1d(a[:, 0].astype(np.float64), b) for a, b in pairs]))

    drawn = [density.sample_conditional(y, count, seed, "floor-0") for y in density.y_values]
    return distance, distance(np.stack(drawn)[:, :, None])
