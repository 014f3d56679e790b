"""Which metric sees which fault: posteriors known to be wrong, at the suite's sample sizes.

    .venv/bin/python -m bench.metric_power

Exact posteriors of the linear flux problem (1 % noise, nothing clipped) and of one with two modes are spoilt in a known
way. A metric's value is compared with those of exact samples, drawn again and again: an entry is how many of their
standard deviations it lies from their mean. Beyond `ALARM` a fault is flagged; exact samples are flagged as often by
chance as a normal number is that far from zero, and the last row, exact samples once more, must not be.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

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
ALARM = 5.0
NOISE = 0.01
SPAN = 400.0
"""Of the readings, about: noise is in units of it."""
PRIOR = replace(LINEAR.prior, mean=30.0)
"""So far from zero that nothing is clipped."""
APART = 1.5
"""Half the distance of the two modes, in units of the posterior's standard deviation in their direction."""


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


def case(two_modes: bool) -> Case:
    """The linear problem's posteriors at 1 % noise, as they are or doubled."""
    random, prior = np.random.default_rng(0), PRIOR
    operator = simulator(LINEAR).operator
    if operator is None:
        raise ValueError("expected a linear problem")
    x = prior.mean + random.standard_normal((MEASUREMENTS, prior.size)) @ prior.root
    y = x @ operator.T + NOISE * SPAN * random.standard_normal((MEASUREMENTS, len(operator)))
    exact = linear_gaussian(prior, operator, y, NOISE * SPAN)
    values, vectors = np.linalg.eigh(exact.covariance[0])
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    shift = APART * root[:, -1] if two_modes else np.zeros(prior.size)
    truth = x + random.choice((-1, 1), size=(MEASUREMENTS, 1)) * shift
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


def headline(case: Case, samples: Floats) -> dict[str, float]:
    """Every metric but the classifier's, which takes minutes; p-values as the logarithm of 1/p."""
    known = flux.Known(case.truth, PRIOR.mean, case.reference)
    found = flux.rows(samples, known, LINEAR.geometry, classify=False)
    return {
        row["metric"]: -float(np.log(row["value"])) if "p-value" in row["metric"] else row["value"]
        for row in found
        if "wall" not in row
    }


def compare(_options: Options) -> Found:
    """One row a fault, and goals."""
    rows, reached = [], []
    for two_modes, faults in ((False, FAULTS), (True, BIMODAL_FAULTS)):
        made = case(two_modes)
        random = np.random.default_rng(1)
        exact = [headline(made, made.draw(random)) for _ in range(DRAWS)]
        again = {"exact, two modes" if two_modes else "exact": lambda case, random: case.draw(random)}
        for name, spoil in (faults | again).items():
            found = headline(made, spoil(made, random))
            row: Row = {"samples": name}
            for metric, value in found.items():
                values = np.array([each[metric] for each in exact])
                row[metric] = float((value - values.mean()) / values.std(ddof=1))
            rows.append(row)
            print(line(row), flush=True)
            worst = max(abs(row[metric]) for metric in found)
            if name in again:
                reached.append(goal(f"{name}: farthest metric", worst, worst <= ALARM, f"at most {ALARM:g}"))
            else:
                reached.append(goal(f"{name}: farthest metric", worst, worst > ALARM, f"beyond {ALARM:g}"))
    return {"Standard deviations from what exact samples get": rows}, reached


main = partial(measuring_command, "metric_power", __doc__, "Which metric sees which fault", compare)

if __name__ == "__main__":
    sys.exit(main())
