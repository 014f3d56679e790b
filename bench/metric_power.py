"""Which metric sees which fault: posteriors known to be wrong, at the suite's sample sizes.

    .venv/bin/python -m bench.metric_power

Exact posteriors of the linear flux problem (1 % noise, far from where anything is clipped), and of one with two modes,
are spoilt in a known way. What a metric says of them is compared with what it says of exact samples, drawn again and
again: an entry is how many of their standard deviations it lies from their mean, p-values as normal quantiles. A fault
is flagged where one metric lies so far away that one set of exact samples in a hundred does, by Student's t. Each set
of exact samples is compared with the others in the same way: as many of them may be flagged.

How long it takes to score a full test set is measured too.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import norm, t

from bench.goals import Found, Options, goal, line, measuring_command
from bench.references.gaussian import linear_gaussian
from bench.scoring import flux
from solvers.flux_problems.linear import LINEAR
from solvers.problems import Floats
from solvers.simulators import simulator
from solvers.storage import Row

MEASUREMENTS, SAMPLES = 100, 1_000
DRAWS = 20
"""Of exact samples, to know what a metric says of them."""
FALSE_ALARMS = 0.01
"""Share of sets of exact samples that some metric flags by chance."""
NOISE = 0.01
SPAN = 400.0
"""Of the readings, about: noise is in units of it."""
PRIOR = replace(LINEAR.prior, mean=30.0)
"""So far from zero that nothing is clipped."""
APART = 1.5
"""Half the distance of the two modes, in units of the posterior's standard deviation in their direction."""
FULL = 1_000
"""Measurements of a full test set."""
SECONDS = 120.0


@dataclass(frozen=True)
class Case:
    """Posteriors that can be drawn from: N(mean +- shift, root root^T), both signs alike.

    Attributes:
        truth: shape (M, d).
        mean: shape (M, d).
        root: shape (d, d).
        shift: shape (d,); zero for one mode.
        reference: exact samples, shape (M, S, d).
    """

    truth: Floats
    mean: Floats
    root: Floats
    shift: Floats
    reference: Floats

    def draw(self, random: np.random.Generator, spread: float = 1.0, modes: tuple[int, ...] = (-1, 1)) -> Floats:
        """Samples (M, S, d), wider by ``spread``, of some of the modes."""
        shape = (len(self.mean), SAMPLES, self.mean.shape[1])
        sign = random.choice(modes, size=(*shape[:2], 1))
        return self.mean[:, None] + sign * self.shift + spread * random.standard_normal(shape) @ self.root.T


def case(two_modes: bool, measurements: int) -> Case:
    """The linear problem's posteriors at 1 % noise, as they are or doubled."""
    random, prior = np.random.default_rng(0), PRIOR
    operator = simulator(LINEAR).operator
    if operator is None:
        raise ValueError("expected a linear problem")
    x = prior.mean + random.standard_normal((measurements, prior.size)) @ prior.root
    y = x @ operator.T + NOISE * SPAN * random.standard_normal((measurements, len(operator)))
    exact = linear_gaussian(prior, operator, y, NOISE * SPAN)
    values, vectors = np.linalg.eigh(exact.covariance[0])
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    shift = APART * root[:, -1] if two_modes else np.zeros(prior.size)
    truth = x + random.choice((-1, 1), size=(measurements, 1)) * shift
    bare = Case(truth, exact.mean, root, shift, np.empty(0))
    return Case(truth, exact.mean, root, shift, bare.draw(random))


def independent(samples: Floats, random: np.random.Generator) -> Floats:
    """The same marginals without correlation: every component's samples in an order of their own."""
    return random.permuted(samples, axis=1)


FAULTS: dict[str, Callable[[Case, np.random.Generator], Floats]] = {
    "shifted by 0.1 std": lambda case, random: case.draw(random) + 0.1 * case.reference.std(axis=1, keepdims=True),
    "over-dispersed by 10 %": lambda case, random: case.draw(random, 1.1),
    "under-dispersed by 10 %": lambda case, random: case.draw(random, 0.9),
    "the prior": lambda case, random: PRIOR.mean + random.standard_normal(case.reference.shape) @ PRIOR.root,
    "no correlation": lambda case, random: independent(case.draw(random), random),
    "of another measurement": lambda case, random: np.roll(case.draw(random), 1, axis=0),
}
BIMODAL_FAULTS: dict[str, Callable[[Case, np.random.Generator], Floats]] = {
    "one of two modes dropped": lambda case, random: case.draw(random, modes=(1,)),
}


def headline(case: Case, samples: flux.Floats) -> dict[str, float]:
    """Every metric but the classifier's, which takes minutes; p-values as normal quantiles, high for small ones."""
    known = flux.Known(case.truth, PRIOR.mean, case.reference)
    return {
        row["metric"]: float(norm.isf(np.clip(row["value"], 1e-300, 0.999)))
        if "p-value" in row["metric"]
        else row["value"]
        for row in flux.rows(samples, known, LINEAR.geometry, classify=False)
        if "wall" not in row
    }


def deviations(found: dict[str, float], exact: list[dict[str, float]]) -> dict[str, float]:
    """Each metric's distance from what exact samples get, in units of their standard deviation."""
    return {
        name: float((value - np.mean(others)) / np.std(others, ddof=1))
        for name, value in found.items()
        for others in [[each[name] for each in exact]]
    }


def alarm(draws: int, metrics: int) -> float:
    """The distance beyond which one of so many metrics of exact samples lies in ``FALSE_ALARMS`` of all cases."""
    return float(t.isf(FALSE_ALARMS / (2 * metrics), draws - 1) * np.sqrt(1.0 + 1.0 / draws))


def power(two_modes: bool, faults: dict[str, Callable[[Case, np.random.Generator], Floats]]) -> Found:
    """One row a fault, and one goal each."""
    made, random = case(two_modes, MEASUREMENTS), np.random.default_rng(1)
    exact = [headline(made, made.draw(random)) for _ in range(DRAWS)]
    limit = alarm(DRAWS, len(exact[0]))
    rows, reached = [], []
    for name, spoil in faults.items():
        row = deviations(headline(made, spoil(made, random)), exact)
        rows.append({"samples": name} | row)
        print(line(rows[-1]), flush=True)
        farthest = max(abs(value) for value in row.values())
        reached.append(goal(f"{name}: farthest metric", farthest, farthest > limit, f"beyond {limit:.2g}"))
    limit = alarm(DRAWS - 1, len(exact[0]))
    left_out = [deviations(each, exact[:i] + exact[i + 1 :]) for i, each in enumerate(exact)]
    flagged = sum(max(abs(value) for value in each.values()) > limit for each in left_out)
    name = "exact, two modes" if two_modes else "exact"
    rows.append(
        {"samples": f"{name}: farthest of {DRAWS}"} | {metric: _farthest(left_out, metric) for metric in exact[0]}
    )
    reached.append(goal(f"{name}: sets flagged, of {DRAWS}", flagged, flagged <= 1, "at most 1"))
    return {"power": rows}, reached


def _farthest(sets: list[dict[str, float]], metric: str) -> float:
    return max((each[metric] for each in sets), key=abs)


def scoring_time() -> Row:
    """How long a full test set takes on one core."""
    made = case(two_modes=False, measurements=FULL)
    samples = made.draw(np.random.default_rng(1)).astype(np.float32)
    made = replace(made, reference=made.reference.astype(np.float32))
    began = time.perf_counter()
    headline(made, samples)
    seconds = time.perf_counter() - began
    return {"measurements": FULL, "samples": SAMPLES, "reference": SAMPLES, "cores": 1, "seconds": seconds}


def compare(_options: Options) -> Found:
    """One row a fault, the time of scoring, and goals."""
    (one, of_one), (two, of_two), took = power(False, FAULTS), power(True, BIMODAL_FAULTS), scoring_time()
    tables = {
        "Standard deviations from what exact samples get": one["power"] + two["power"],
        "Time to score a full test set": [took],
    }
    seconds = took["seconds"]
    return tables, [*of_one, *of_two, goal("seconds to score", seconds, seconds < SECONDS, f"below {SECONDS:g}")]


main = partial(measuring_command, "metric_power", __doc__, "Which metric sees which fault", compare)

if __name__ == "__main__":
    sys.exit(main())
