"""Stage ``train``: every network of the grid, through Ray, or by worker processes where there is none."""

from functools import partial

from fluxbench.bench.run import Run
from fluxbench.bench.stages import say
from fluxbench.bench.stages.resources import cluster_of, resources_of
from fluxbench.errors import InputError
from fluxbench.training import checkpoints, ending, workers
from fluxbench.training.planning import Job, Plan, device_of, plan
from fluxbench.training.trainer import train


def act(run: Run) -> None:
    """Train every network that is not trained yet.

    Raises:
        InputError: if a data set is missing, a checkpoint is another configuration's, the cluster cannot meet what is
            asked for, or a training diverges.
    """
    jobs, before = _jobs(run)
    if done := len(run.cells) - len(jobs):
        say(f"train: {done} of {len(run.cells)} networks there already")
    if not jobs:
        return
    config = run.config
    cluster = cluster_of(config)
    resources = resources_of(config, cluster)
    strategy, world_size = config.training.strategy, config.training.world_size
    if cluster is None:
        if strategy not in {None, "packed"} or world_size not in {None, 1}:
            found = f"strategy {strategy!r} and world_size {world_size}"
            raise InputError(f"training: without Ray expected strategy 'packed' and world_size 1, found {found}")
        strategy, world_size = "packed", 1
    chosen = plan(resources, jobs, strategy, world_size, device_of(config.device, resources))
    say(f"train: {len(jobs)} networks, {chosen.description}")
    with ending.asked_by_signals(run.folder / "cells"):
        if cluster is None:
            _train_by_workers(jobs, chosen)
            return
        from fluxbench.training import grid  # noqa: PLC0415 - Ray
        from fluxbench.training.watch import Watch  # noqa: PLC0415

        failed = grid.train_all(jobs, chosen, run.folder / "ray", Watch(jobs, before))
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise InputError(f"train: {len(failed)} of {len(jobs)} networks failed, the others are trained: {reasons}")


def _jobs(run: Run) -> tuple[list[Job], dict[str, int]]:
    """What is left to train, and the steps that earlier attempts have done, by name."""
    data = {problem: run.solved(problem) for problem in run.problems}
    jobs, before = [], dict[str, int]()
    for cell in run.cells:
        path = run.checkpoint_path(cell)
        steps = cell.steps(run.config.sizes(cell.problem).train_samples)
        step = 0
        if path.exists():  # refused now, not after hours of work on the others
            step = checkpoints.load(path, run.checkpoint_specification(cell)).step
        if not 0 < step == steps:
            jobs.append(Job(cell, data[cell.problem], path, steps))
            before[cell.name] = step
    return jobs, before


def _train_by_workers(jobs: list[Job], chosen: Plan) -> None:
    tasks: list[workers.Labelled] = [
        (job.cell.name, job.steps, partial(train, job.cell, job.data, job.path, chosen.device)) for job in jobs
    ]
    workers.run(tasks, chosen.at_once, "train", "step", lambda number: tasks[number][0])
