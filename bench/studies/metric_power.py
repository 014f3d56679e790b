"""Which metric sees which fault: posteriors known to be wrong, at the suite's sample sizes.

Exact posteriors of the linear flux problem (1 % noise, far from where anything is clipped), of one with two modes, and
of the joint density Bimodal are spoilt in a known way. What a metric says of them is compared with what it says of
exact samples, with truths, measurements and references drawn anew each time: an entry is how many standard deviations
of these it lies from their mean; p-values stand as they are. A fault is flagged where a metric lies so far away as, by
Student's t, one of all metrics of exact samples does in a hundred sets; or where a p-value is as small. Each set of
exact samples is compared with the others in the same way: as many of them may be flagged.

How long it takes to score a full test set is measured too.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from scipy.stats import t

from fluxbench.arrays import Floats
from fluxbench.bench.metrics import joint
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.bench.scoring import densities, flux
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.problems.bimodal import BIMODAL
from fluxbench.solvers.problems.linear import LINEAR
from fluxbench.storage import Row

TITLE = "Which metric sees which fault"
MEASUREMENTS, SAMPLES = 100, 1_000
GENERATED = 10_000
"""Of the joint density, for each value of y."""
DRAWS = 12
"""Sets of exact samples, to know what a metric says of them."""
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

Random = np.random.Generator
Values = dict[str, float]


@dataclass(frozen=True)
class Case:
    """Posteriors that can be drawn from: N(mean +- shift, root root^T), both signs alike.

    Attributes:
        truth: shape (M, d).
        mean: shape (M, d).
        root: shape (d, d).
        shift: shape (d,); zero for one mode.
    """

    truth: Floats
    mean: Floats
    root: Floats
    shift: Floats

    def draw(self, random: Random, spread: float = 1.0, modes: tuple[int, ...] = (-1, 1)) -> Floats:
        """Draw samples (M, S, d), wider by ``spread``, of some of the modes."""
        shape = (len(self.mean), SAMPLES, self.mean.shape[1])
        sign = random.choice(modes, size=(*shape[:2], 1))
        return self.mean[:, None] + sign * self.shift + spread * random.standard_normal(shape) @ self.root.T


@cache
def operator() -> Floats:
    """Return the matrix that takes the linear problem's fluxes to its sensors."""
    matrix = LINEAR.simulator().operator
    if matrix is None:
        raise ValueError("expected a linear problem")
    return matrix


def case(random: Random, two_modes: bool, measurements: int) -> Case:
    """Return the linear problem's posteriors at 1 % noise, as they are or doubled, of truths drawn from the prior."""
    x = PRIOR.mean + random.standard_normal((measurements, PRIOR.size)) @ PRIOR.root
    y = x @ operator().T + NOISE * SPAN * random.standard_normal((measurements, len(operator())))
    exact = linear_gaussian(PRIOR, operator(), y, NOISE * SPAN)
    values, vectors = np.linalg.eigh(exact.covariance[0])
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    shift = APART * root[:, -1] if two_modes else np.zeros(PRIOR.size)
    truth = x + random.choice((-1, 1), size=(measurements, 1)) * shift
    return Case(truth, exact.mean, root, shift)


Fault = Callable[[Case, Random], Floats]
FAULTS: dict[str, Fault] = {
    "shifted by 0.1 std": lambda case, random: case.draw(random) + 0.1 * np.linalg.norm(case.root, axis=1),
    "over-dispersed by 10 %": lambda case, random: case.draw(random, 1.1),
    "under-dispersed by 10 %": lambda case, random: case.draw(random, 0.9),
    "the prior": lambda case, random: PRIOR.mean + random.standard_normal(case.draw(random).shape) @ PRIOR.root,
    "right marginals, no correlation": lambda case, random: random.permuted(case.draw(random), axis=1),
    "of another measurement": lambda case, random: np.roll(case.draw(random), 1, axis=0),
}
TWO_MODES: dict[str, Fault] = {"one of two modes dropped": lambda case, random: case.draw(random, modes=(1,))}

SCALAR_FAULTS: dict[str, Callable[[Floats, Random], Floats]] = {
    "shifted by 0.1 std": lambda x, random: x + 0.1 * x.std(axis=1, keepdims=True),
    "over-dispersed by 10 %": lambda x, random: _wider(x, 1.1),
    "under-dispersed by 10 %": lambda x, random: _wider(x, 0.9),
    "the prior": lambda x, random: np.cbrt(np.sqrt(2.0) * random.standard_normal(x.shape)),
    "one of two modes dropped": lambda x, random: np.abs(x) * np.sign(np.array(BIMODAL.y_values))[:, None],
}


def _wider(x: Floats, factor: float) -> Floats:
    mean = x.mean(axis=1, keepdims=True)
    return mean + factor * (x - mean)


def of_flux(fault: Fault, random: Random, two_modes: bool) -> Values:
    """Return every metric of spoilt posteriors of fresh measurements, by name."""
    fresh = case(random, two_modes, MEASUREMENTS)
    known = flux.Known(fresh.truth, PRIOR.mean, fresh.draw(random))
    return _values(flux.rows(fault(fresh, random), known, LINEAR.geometry))


def of_density(fault: Callable[[Floats, Random], Floats], random: Random) -> Values:
    """Return every distance of spoilt samples of a joint density from fresh test samples, by name."""
    seed = int(random.integers(2**31))
    test = Split(*BIMODAL.simulate(seed, "test", 0, 100_000))
    dataset = Dataset({"problem": BIMODAL.name, "seed": seed}, {}, test, test, None, {})
    x = np.stack([BIMODAL.sample_conditional(y, GENERATED, seed, "spoilt") for y in BIMODAL.y_values])
    return _values(densities.rows(dataset, fault(x, random), None))


def _values(rows: list[Row]) -> Values:
    return {row["metric"]: row["value"] for row in rows if "wall" not in row}


def compared(values: Values, exact: list[Values]) -> tuple[Values, set[str]]:
    """Return what a table shows of each metric beside those of exact samples, and the metrics that flag a fault."""
    draws, level = len(exact), FALSE_ALARMS / len(values)
    limit = t.isf(0.5 * level, draws - 1) * np.sqrt(1.0 + 1.0 / draws)
    shown, flagged = {}, set()
    for name, value in values.items():
        others = [each[name] for each in exact]
        tests = name.endswith("p-value")
        shown[name] = value if tests else float((value - np.mean(others)) / np.std(others, ddof=1))
        if (value < level) if tests else (abs(shown[name]) > limit):
            flagged.add(name)
    return shown, flagged


def power(title: str, measure: Callable[[Any, Random], Values], faults: dict[str, Any], as_is: Any) -> Findings:
    """Measure faults, a row and a goal each; then exact samples against each other, one goal for all."""
    exact = [measure(as_is, np.random.default_rng([0, i])) for i in range(DRAWS)]
    rows, goals = [], []
    for i, (name, fault) in enumerate(faults.items()):
        shown, flagged = compared(measure(fault, np.random.default_rng([1, i])), exact)
        rows.append({"samples": name, **shown, "flagged by": len(flagged)})
        print(line(rows[-1]), flush=True)
        goals.append(goal(f"{title}, {name}: metrics that flag it", len(flagged), len(flagged) > 0, "at least 1"))
    alarms = sum(bool(compared(each, exact[:i] + exact[i + 1 :])[1]) for i, each in enumerate(exact))
    what = f"{title}: sets of exact samples flagged, of {DRAWS}"
    goals.append(goal(what, alarms, alarms <= 1, "at most 1"))
    return {f"{title}: standard deviations from exact samples": rows}, goals


def scoring_time() -> Row:
    """Measure how long a full test set takes to score on one core."""
    random = np.random.default_rng(2)
    full = case(random, two_modes=False, measurements=FULL)
    samples, exact = (full.draw(random).astype(np.float32) for _ in range(2))
    known = flux.Known(full.truth, PRIOR.mean, exact)
    began = time.perf_counter()
    flux.rows(samples, known, LINEAR.geometry)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    joint.classifier_accuracies(samples[: flux.CLASSIFIED], exact[: flux.CLASSIFIED])
    classifier = time.perf_counter() - began
    sizes: Row = {"measurements": FULL, "samples": SAMPLES, "reference": SAMPLES, "cores": 1}
    return sizes | {"seconds": seconds, "of which C2ST": classifier}


def measure(_options: Options) -> Findings:
    """Spoil three kinds of posteriors, a table of faults each, and time the scoring of a full test set."""
    findings = [
        power("Flux", partial(of_flux, two_modes=False), FAULTS, Case.draw),
        power("Flux, two modes", partial(of_flux, two_modes=True), TWO_MODES, Case.draw),
        power("Joint density", of_density, SCALAR_FAULTS, lambda x, random: x),
    ]
    took = scoring_time()
    tables = {title: rows for each, _ in findings for title, rows in each.items()}
    goals = [row for _, reached in findings for row in reached]
    seconds = took["seconds"] - took["of which C2ST"]
    goals.append(goal("seconds to score, but for C2ST", seconds, seconds < SECONDS, f"below {SECONDS:g}"))
    return tables | {"Time to score a full test set": [took]}, goals
