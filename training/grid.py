"""The grid on Ray Tune: a trial for every network, or for every stack of them, as :mod:`planning` has it.

What a trial leaves are the checkpoints of its networks. A grid that was killed goes on from these, and so does a trial
that Tune begins again, so Tune keeps nothing of its own that would have to be restored. A process of :func:`_packed`
serves one network after the other: only the first one waits for it to start.
"""

import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from ray import train as ray_train
from ray import tune
from ray.exceptions import RayActorError, RayTaskError
from ray.train import WorkerGroupError
from ray.train.torch import TorchTrainer
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback

from fluxbench.errors import InputError
from fluxbench.training import ending
from fluxbench.training.cells import Cell
from fluxbench.training.gauges import Gauges
from fluxbench.training.planning import Job, Plan
from fluxbench.training.stacked import stacks, train_stack
from fluxbench.training.state import Statistics
from fluxbench.training.trainer import train

RETRIES = 3
"""A trial whose process was killed is begun again, so often."""
LARGEST_STACK = 64
"""Networks a stack."""
LITTLE = 0.01
"""Of a core, for a trial that hands its work to other processes: it cannot do with none."""


def train_all(jobs: Sequence[Job], plan: Plan, folder: Path, watch: tune.Callback) -> dict[str, str]:
    """Train every network, or finish training it.

    Args:
        jobs: the networks, with absolute paths: processes work in folders of their own.
        plan: from :func:`fluxbench.training.planning.plan`.
        folder: where Tune and Train leave their records; what was there before is removed.
        watch: told what happens.

    Returns:
        Why networks failed, by name; the others are trained.
    """
    for name in ("ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a trial's error is in what is returned
    shutil.rmtree(folder, ignore_errors=True)
    trials = _trials(jobs, plan)
    strategies: dict[str, Callable[..., None]] = {"packed": _packed, "stacked": _stacked, "ddp": _ddp}
    parameters: dict[str, Any] = {"trials": trials, "plan": plan}
    if plan.strategy == "ddp":
        parameters["folder"] = folder.resolve()
    failures = Failures()
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(strategies[plan.strategy], **parameters),
            {"CPU": LITTLE} if plan.strategy == "ddp" else _resources(plan),
        ),
        param_space={"trial": tune.grid_search([_columns(name, own[0].cell) for name, own in trials.items()])},
        tune_config=tune.TuneConfig(
            reuse_actors=plan.strategy != "ddp",
            max_concurrent_trials=plan.at_once,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder.resolve()),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[failures, watch],
            verbose=0,
        ),
    )
    results = tuner.fit()
    for i in range(len(results)):
        error, config = results[i].error, results[i].config
        if error is not None and config is not None:
            failures.reasons |= {job.cell.name: _reason(error) for job in trials[config["trial"]["name"]]}
    return failures.reasons


class Failures(tune.Callback):
    """Collects what trials report of networks that cannot be trained; another attempt would end as they did."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial says something."""
        if "failed" in result:
            self.reasons[result["network"]] = result["failed"]


def _trials(jobs: Sequence[Job], plan: Plan) -> dict[str, list[Job]]:
    """The networks of each trial, by its name."""
    if plan.strategy != "stacked":
        return {job.cell.name: [job] for job in jobs}
    groups = stacks(jobs, min(LARGEST_STACK, math.ceil(len(jobs) / plan.at_once)))
    return {f"{group[0].cell.name}-and-{len(group) - 1}-more": group for group in groups}


def _reason(error: BaseException) -> str:
    """Why a trial could not be carried out, however often it was begun."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    told = str(cause).strip().rpartition("\n")[2] or type(cause).__name__
    if isinstance(cause, RayActorError) and not getattr(cause, "actor_init_failed", False):
        return f"its process was killed {RETRIES + 1} times"
    if isinstance(cause, WorkerGroupError):
        return f"one of its processes was killed, or failed, {RETRIES + 1} times: {told}"
    return told


def _resources(plan: Plan) -> dict[str, float]:
    """Of one process, in Ray's words."""
    return {"CPU": 1.0, "GPU": plan.gpus} if plan.gpus > 0.0 else {"CPU": 1.0}


def _packed(config: dict[str, Any], trials: dict[str, list[Job]], plan: Plan) -> None:
    """A trial that trains by itself, in a process that other networks had before."""
    (job,) = trials[config["trial"]["name"]]
    if ending.requested(job.path):
        return
    gauges = Gauges()

    def watch(statistics: Statistics) -> None:
        gauges.set(job.cell, statistics)
        tune.report(_logged(job, statistics))

    try:
        train(job.cell, job.data, job.path, plan.device, watch=watch)
    except InputError as error:
        tune.report({"network": job.cell.name, "failed": str(error)})


def _stacked(config: dict[str, Any], trials: dict[str, list[Job]], plan: Plan) -> None:
    """A trial that trains a stack by itself."""
    jobs = trials[config["trial"]["name"]]
    if ending.requested(jobs[0].path):
        return
    by_name = {job.cell.name: job for job in jobs}
    gauges = Gauges()

    def watch(cell: Cell, statistics: Statistics) -> None:
        gauges.set(cell, statistics)
        tune.report(_logged(by_name[cell.name], statistics))

    # Begun again, a stack may have cells that are done, or that were killed between two checkpoints.
    for part in stacks(jobs, len(jobs)):
        for name, reason in train_stack(part, plan.device, watch=watch).items():
            tune.report({"network": name, "failed": reason})


def _ddp(config: dict[str, Any], trials: dict[str, list[Job]], plan: Plan, folder: Path) -> None:
    """A trial that starts the processes of a TorchTrainer and hands on what they say."""
    (job,) = trials[config["trial"]["name"]]
    if ending.requested(job.path):
        return  # a process group is slow to start
    trainer = TorchTrainer(
        _ddp_rank,
        train_loop_config={"job": job, "device": plan.device},
        scaling_config=ray_train.ScalingConfig(
            num_workers=plan.ranks,
            use_gpu=plan.gpus > 0.0,
            resources_per_worker=_resources(plan) | {"CPU": 1.0 - LITTLE},
        ),
        run_config=ray_train.RunConfig(
            name=f"{job.cell.name}-{uuid4().hex[:6]}",  # a run that was killed is not to be restored
            storage_path=str(folder / "train"),
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]
        ),
    )
    try:
        trainer.fit()
    except WorkerGroupError as error:
        causes = [getattr(each, "_base_exc", each) for each in error.worker_failures.values()]  # as it was raised
        told = [str(cause) for cause in causes if isinstance(cause, InputError)]
        if not told:
            raise
        tune.report({"network": job.cell.name, "failed": told[0]})


def _ddp_rank(config: dict[str, Any]) -> None:
    """One process of a network; Train has set up the process group."""
    job: Job = config["job"]
    gauges = Gauges()
    first = ray_train.get_context().get_world_rank() == 0

    def watch(statistics: Statistics) -> None:
        if first:
            gauges.set(job.cell, statistics)
        ray_train.report(_logged(job, statistics))

    train(job.cell, job.data, job.path, config["device"], watch=watch)


def _logged(job: Job, statistics: Statistics) -> dict[str, Any]:
    """What the live table is told of a tick, when the process's log, which the dashboard shows, has it."""
    print(f"{job.cell.name}: {json.dumps(statistics)}", flush=True)
    return {**statistics, "steps": job.steps, "network": job.cell.name}


def _columns(name: str, cell: Cell) -> dict[str, Any]:
    """What a trial's records show of it; of a stack, its first network."""
    names = ("problem", "formulation", "noise", "recipe", "seed")
    return {"name": name} | {column: getattr(cell, column) for column in names}


def _name(trial: Trial) -> str:
    return str(trial.config["trial"]["name"])
