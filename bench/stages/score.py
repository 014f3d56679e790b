"""Stage ``score``: every set of samples beside its bounds, and the tidy tables."""

from functools import partial

from fluxbench.bench.report.write import write_tables
from fluxbench.bench.run import Run
from fluxbench.bench.scoring import costs
from fluxbench.bench.scoring.score import bound, score
from fluxbench.errors import InputError
from fluxbench.training import workers


def act(run: Run) -> None:
    """Score what is not scored yet, and write ``scores.csv``, ``table2.csv`` and ``costs.csv``.

    Raises:
        InputError: if a sample file is missing or damaged.
    """
    _must_be_there(run)
    tasks: list[workers.Labelled] = [
        (run.bounds_path(*where).stem, 1, partial(bound, run, *where)) for where in run.scored
    ]
    tasks += [(f"{each.network} {each.integrator.label}", 1, partial(score, run, each)) for each in run.sample_sets]
    tasks += [(f"{each.network} by every integrator", 1, partial(costs.score, run, each)) for each in run.studied]
    workers.run(tasks, run.config.worker_count, "score", "set", lambda number: tasks[number][0])
    write_tables(run)


def _must_be_there(run: Run) -> None:
    """Refuse now, before anything is scored."""
    for problem in run.problems:
        run.solved(problem)
    for each in run.sample_sets:
        run.require_samples(each)
    for each in run.studied:
        run.require_ladder(each)
    for path in (run.reference_path(*where) for where in run.referenced):
        if not path.exists():
            raise InputError(f"{path}: not found; `fluxbench reference` makes it")
