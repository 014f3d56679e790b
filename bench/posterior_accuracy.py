"""How close the posteriors of recipe `tuned` are to the exact ones, on the linear flux problem with its clipped prior:

    .venv/bin/fluxbench run --profile linear
    .venv/bin/python -m bench.posterior_accuracy

The exact posteriors are the run's references (:mod:`bench.references`). Beside each noise level stands whether they can
be trusted: the largest split R-hat, the fewest effective samples, and the coverage of their own 90 % intervals.
"""

import sys

import numpy as np

from bench import layout
from bench.config import Config, load
from bench.goals import Found, Options, goal, line, measuring_command
from bench.metrics import marginal
from solvers import datasets
from solvers.problems import Floats
from solvers.storage import Row
from training.cells import Cell
from training.trainer import total_steps

PROFILE = "linear"
STEPS = 20_000


def summary(x: Floats, truth: Floats, mean_flux: float) -> Row:
    """Error of the posterior mean, posterior standard deviation and coverage of the 90 % interval, over everything.

    Args:
        x: samples, shape (M, S, d).
        truth: shape (M, d).
        mean_flux: over all segments and test samples.
    """
    low, high = np.quantile(x, (0.05, 0.95), axis=1)
    return {
        "error": float(marginal.segment_errors(x.mean(axis=1), truth, mean_flux).mean()),
        "std": float(marginal.segment_stds(x).mean()),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
    }


def reference(config: Config, cell: Cell, truth: Floats, mean_flux: float) -> Row:
    """The reference posterior of a cell's measurements summed up, and whether it can be trusted.

    Raises:
        InputError: if it is missing or made otherwise.
    """
    exact = layout.exact(config, cell.problem, cell.noise)
    found = summary(exact.x[: len(truth)], truth, mean_flux)
    trust = {"R-hat": float(exact.r_hat.max()), "effective": float(exact.effective.min())}
    return {f"exact {name}": value for name, value in found.items()} | trust


def compare(options: Options) -> Found:
    """The table and its goals.

    Raises:
        InputError: if the run is not there or made otherwise.
    """
    config = load(PROFILE, [f"root={options.root}"])
    rows, reached = [], []
    references: dict[tuple[str, float], Row] = {}
    for cell, by in layout.sampled(config):
        dataset = datasets.read(layout.solved(config, cell.problem))
        found = layout.drawn(config, cell, by)
        truth, mean_flux = dataset.test.x[: len(found.x)], float(dataset.test.x.mean())
        # Fluxes are not negative, which a network only knows from its data: a sample below zero means zero.
        ours = summary(np.maximum(found.x, 0.0), truth, mean_flux)
        row: Row = {"noise": cell.noise, "formulation": cell.formulation, "sampler": by.label, **ours}
        where = f"noise {cell.noise:g}, {by.label}"
        steps = total_steps(cell, len(dataset.train.x))
        if cell.noise == 0.0:
            error = ours["error"]
            reached.append(goal(f"{where}: error", error, error < 0.02, "below 0.02 (the paper: 0.059)"))
        else:
            key = cell.problem, cell.noise
            if key not in references:  # every sampler has the same measurements
                references[key] = reference(config, cell, truth, mean_flux)
            exact = references[key]
            row |= exact
            error, std = (ours[name] / exact[f"exact {name}"] for name in ("error", "std"))
            coverage = abs(ours["coverage"] - 0.9)
            reached += [
                goal(f"{where}: error / exact", error, error <= 1.1, "at most 1.1"),
                goal(f"{where}: std / exact", std, abs(std - 1.0) <= 0.1, "0.9 to 1.1"),
                goal(f"{where}: distance of 90 % coverage from 0.9", coverage, coverage <= 0.02, "at most 0.02"),
            ]
        rows.append(row | {"steps": steps, "seed": cell.seed, "measurements": len(truth), "samples": found.x.shape[1]})
        print(line(rows[-1]), flush=True)
    steps = max(row["steps"] for row in rows)
    reached.append(goal("training steps", steps, steps <= STEPS, f"at most {STEPS:,}"))
    return {"Linear flux problem, recipe `tuned`": rows}, reached


def main() -> int:
    """Command line."""
    title = "Posteriors of the linear flux problem against the exact ones (clipped prior)"
    return measuring_command("posterior_accuracy", __doc__, title, compare)


if __name__ == "__main__":
    sys.exit(main())
