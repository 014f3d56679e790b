"""How close the posteriors of recipe `tuned` are to the exact ones, on the linear flux problem with its clipped prior.

First, make the run that it is about:

    fluxbench run --profile linear

Error of the posterior mean, posterior standard deviation and coverage, of samples and of as many from the run's
reference posteriors. Beside each noise level stands whether these can be trusted: the largest
split R-hat and the fewest effective samples.
"""

from fluxbench.bench import layout, score
from fluxbench.bench.config import load
from fluxbench.bench.study import Found, Options, goal, line
from fluxbench.storage import Row

TITLE = "Posteriors of the linear flux problem against the exact ones (clipped prior)"
PROFILE = "linear"
STEPS = 20_000
METRICS = ("error", "std", "coverage")


def measure(options: Options) -> Found:
    """Compare samples at every noise level with the reference posteriors, a row each.

    Raises:
        InputError: if the run is not there or made otherwise.
    """
    config = load(PROFILE, [f"root={options.root}"])
    scores = [row for row in score.table(config) if row["metric"] in METRICS and not row.get("wall")]
    rows, reached = [], []
    for cell, by in layout.sampled(config):
        those = {row["metric"]: row for row in scores if (row["noise"], row["alpha"]) == (cell.noise, by.alpha)}
        row: Row = {"noise": cell.noise, "formulation": cell.formulation, "sampler": by.label}
        row |= {name: those[name]["value"] for name in METRICS}
        where = f"noise {cell.noise:g}, {by.label}"
        if cell.noise == 0.0:
            error = row["error"]
            reached.append(goal(f"{where}: error", error, error < 0.02, "below 0.02 (the paper: 0.059)"))
        else:
            row |= {f"exact {name}": those[name]["floor"] for name in METRICS}
            exact = layout.exact(config, cell.problem, cell.noise)
            row |= {"R-hat": float(exact.r_hat.max()), "effective": float(exact.effective.min())}
            error, std = (row[name] / row[f"exact {name}"] for name in ("error", "std"))
            coverage = abs(row["coverage"] - 0.9)
            reached += [
                goal(f"{where}: error / exact", error, error <= 1.1, "at most 1.1"),
                goal(f"{where}: std / exact", std, abs(std - 1.0) <= 0.1, "0.9 to 1.1"),
                goal(f"{where}: distance of 90 % coverage from 0.9", coverage, coverage <= 0.02, "at most 0.02"),
            ]
        steps = cell.steps(config.sizes(cell.problem).train_samples)
        sizes = {name: those["error"][name] for name in ("measurements", "generated", "evaluations")}
        rows.append(row | {"steps": steps, "seed": cell.seed} | sizes)
        print(line(rows[-1]), flush=True)
    steps = max(row["steps"] for row in rows)
    reached.append(goal("training steps", steps, steps <= STEPS, f"at most {STEPS:,}"))
    return {"Linear flux problem, recipe `tuned`": rows}, reached
