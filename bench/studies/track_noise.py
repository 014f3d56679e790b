"""How much of asv's tracked accuracy is chance: its small run with other training seeds.

A change of the code that draws other random numbers trains other networks, and tracked numbers change without being
worse. By how much, other training seeds tell. The thresholds in `asv.conf.json`, beyond which `fluxbench bench
compare` calls a tracked number worse, are above the largest step from one seed to another, and not so high that they
let everything pass.
"""

from itertools import permutations, product
from typing import Any

import numpy as np

from fluxbench.bench.asv import accuracy
from fluxbench.bench.asv.accuracy import Scores
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.bench.trends.compare import threshold
from fluxbench.bench.trends.measurements import configuration
from fluxbench.storage import Row

TITLE = "What training seeds change in asv's tracked accuracy"
SEEDS = 5
LOOSEST = 3.0
"""Thresholds are at most so many times the largest step between two seeds."""


def measure(options: Options) -> Findings:
    """Train the small run with several seeds: a row a tracked number, and two goals each.

    Raises:
        InputError: if a stage of the small run fails.
    """
    thresholds, rows, goals = configuration().regressions_thresholds, [], []
    root = options.root.resolve() / "runs" / "track_noise"
    accuracy.run(root, f"training.seeds={list(range(SEEDS))}")
    by_seed = [accuracy.read(root, str(seed)) for seed in range(SEEDS)]
    for group in (accuracy.Table2, accuracy.Table2Mean, accuracy.Flux):
        for name in [name for name in vars(group) if name.startswith("track_")]:
            share = threshold(thresholds, f"accuracy.{group.__name__}.{name}")
            row = _spread(group, name, by_seed) | {"threshold": share}
            rows.append(row)
            print(line(row), flush=True)
            step, what = row["largest step between seeds"], f"threshold of {row['track']}"
            goals.append(goal(f"{what}: above the largest step", share, share > step, f"> {step:.3g}"))
            goals.append(goal(f"{what}: not loose", share, share <= LOOSEST * step, f"<= {LOOSEST * step:.3g}"))
    return {f"{SEEDS} training seeds": rows}, goals


def _spread(group: type[Any], name: str, by_seed: list[Scores]) -> Row:
    """Mean, and relative spread over seeds: the largest over all sets of parameters."""
    track = getattr(group(), name)
    values = np.array(
        [[track(scores, *params) for params in product(*getattr(group, "params", ()))] for scores in by_seed]
    )
    steps = [values[b] / values[a] - 1.0 for a, b in permutations(range(len(values)), 2)]
    deviation = values.std(axis=0, ddof=1) / values.mean(axis=0)
    return {
        "track": f"{group.__name__}.{name}",
        "mean": float(values.mean()),
        "largest relative std over seeds": float(deviation.max()),
        "largest step between seeds": float(np.max(steps)),
    }
