"""How close the posteriors of recipe `tuned` are to the exact ones, on the linear flux problem with its clipped prior.

First, make the run that it is about:

    fluxbench run --profile linear

Error of the posterior mean, posterior standard deviation and coverage, of samples and of as many from the run's
reference posteriors. Beside each noise level stands whether these can be trusted: the largest
split R-hat and the fewest effective samples.
"""

from fluxbench.bench.config import load
from fluxbench.bench.run import Run
from fluxbench.bench.scoring.table import table
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.storage import Row

TITLE = "Posteriors of the linear flux problem against the exact ones (clipped prior)"
PROFILE = "linear"
STEPS = 20_000
METRICS = ["error", "std", "coverage"]


def measure(options: Options) -> Findings:
    """Compare samples at every noise level with the reference posteriors, a row each.

    Raises:
        InputError: if the run is not there or made otherwise.
    """
    run = Run(load(PROFILE, [f"root={options.root}"]))
    scores = table(run)
    scores = scores[scores["metric"].isin(METRICS) & (scores["wall"] == "")]
    scores = scores.set_index(["noise", "alpha", "metric"]).sort_index()
    rows, goals = [], []
    for each in run.sample_sets:
        cell, sampler = each.cell, each.integrator
        own = scores.loc[each.noise, sampler.alpha]
        row: Row = {"noise": each.noise, "formulation": cell.formulation, "sampler": sampler.label}
        row |= own["value"][METRICS].to_dict()
        where = f"noise {each.noise:g}, {sampler.label}"
        if each.noise == 0.0:
            error = row["error"]
            goals.append(goal(f"{where}: error", error, error < 0.02, "below 0.02 (the paper: 0.059)"))
        else:
            row |= own["floor"][METRICS].add_prefix("exact ").to_dict()
            reference = run.reference(each.problem, each.noise)
            row |= {"R-hat": float(reference.r_hat.max()), "effective": float(reference.effective.min())}
            error, std = (row[name] / row[f"exact {name}"] for name in ("error", "std"))
            coverage = abs(row["coverage"] - 0.9)
            goals += [
                goal(f"{where}: error / exact", error, error <= 1.1, "at most 1.1"),
                goal(f"{where}: std / exact", std, abs(std - 1.0) <= 0.1, "0.9 to 1.1"),
                goal(f"{where}: distance of 90 % coverage from 0.9", coverage, coverage <= 0.02, "at most 0.02"),
            ]
        row |= {"steps": cell.steps(run.config.sizes(each.problem).train_samples), "seed": cell.seed}
        row |= {name: own.loc["error", name].item() for name in ("measurements", "generated", "evaluations")}
        rows.append(row)
        print(line(row), flush=True)
    steps = max(row["steps"] for row in rows)
    goals.append(goal("training steps", steps, steps <= STEPS, f"at most {STEPS:,}"))
    return {"Linear flux problem, recipe `tuned`": rows}, goals
