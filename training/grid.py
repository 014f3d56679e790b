"""The grid on Ray Tune: a trial for every network, or for every stack of them, as :mod:`training.planning` has it.

What a trial leaves is the checkpoint of its network. A grid that was killed goes on from these, and Tune keeps nothing
of its own that would have to be restored. A process of :func:`_packed` serves one network after the other, so that only
the first one waits for it to start.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import train as ray_train
from ray import tune
from ray.exceptions import RayActorError, RayTaskError
from ray.train import WorkerGroupError
from ray.train.torch import TorchTrainer
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback

from solvers.errors import InputError
from training.cells import Cell
from training.gauges import Gauges
from training.planning import Plan, Work
from training.stacked import stacks, train_stack
from training.trainer import Statistics, train

ROUNDS = 4
"""A network whose process was killed is trained on, so often."""
LARGEST_STACK = 64
"""Networks a stack."""
LITTLE = 0.01
"""Of a core."""
LOST = "its process was killed"


class NetworksFailedError(InputError):
    """Why networks of a trial failed, by name."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        self.reasons = reasons

    def __reduce__(self) -> tuple[type, tuple[dict[str, str]]]:
        """How it comes back from another process."""
        return NetworksFailedError, (self.reasons,)


def train_all(works: Sequence[Work], how: Plan, folder: Path, watch: tune.Callback) -> dict[str, str]:
    """Train every network, or finish training it.

    Args:
        works: the networks.
        how: from :func:`training.planning.plan`.
        folder: where Tune and Train leave their records; what was there before is removed.
        watch: told what happens.

    Returns:
        Why networks failed, by name; the others are trained.
    """
    for name in ("ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a trial's error is in what is returned
    shutil.rmtree(folder, ignore_errors=True)
    failed: dict[str, str] = {}
    for attempt in range(ROUNDS):
        todo = works if attempt == 0 else [work for work in works if failed.get(work.cell.network_name) == LOST]
        if not todo:
            break
        failed = {name: reason for name, reason in failed.items() if reason != LOST}
        failed |= _round(_trials(todo, how), how, folder / f"round-{attempt}", watch)
    return failed


def _trials(works: Sequence[Work], how: Plan) -> dict[str, list[Work]]:
    """The networks of each trial, by its name."""
    if how.way != "stacked":
        return {work.cell.network_name: [work] for work in works}
    groups = stacks(works, LARGEST_STACK)
    return {f"{group[0].cell.network_name}-and-{len(group) - 1}-more": group for group in groups}


def _round(trials: dict[str, list[Work]], how: Plan, folder: Path, watch: tune.Callback) -> dict[str, str]:
    """Run every trial once."""
    if not trials:  # every network was done when its process was killed
        return {}
    trial = {"packed": _packed, "stacked": _stacked, "ddp": _ddp}[how.way]
    # The processes of a trainer take resources of their own; a trial cannot do with none.
    resources = {"CPU": LITTLE} if how.way == "ddp" else _resources(how)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trial, trials=trials, how=how, folder=folder), resources),
        param_space={"trial": tune.grid_search([_columns(name, works[0].cell) for name, works in trials.items()])},
        tune_config=tune.TuneConfig(
            reuse_actors=how.way != "ddp",
            max_concurrent_trials=how.at_once,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(folder.resolve()), verbose=0, callbacks=[watch]),
    )
    failed: dict[str, str] = {}
    results = tuner.fit()
    for i in range(len(results)):
        result = results[i]
        if result.error is not None and result.config is not None:
            failed |= _reasons(result.error, trials[result.config["trial"]["name"]])
    return failed


def _reasons(error: BaseException, works: Sequence[Work]) -> dict[str, str]:
    """Why the networks of a trial failed; of a stack, those that did."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, NetworksFailedError):
        return cause.reasons
    if isinstance(cause, InputError):
        reason = str(cause)
    elif _is_loss(cause):
        reason = LOST
    else:
        reason = str(cause).strip().rpartition("\n")[2] or type(cause).__name__
    return {work.cell.network_name: reason for work in works}


def _is_loss(cause: BaseException) -> bool:
    """Whether a process was killed; the others of its network then fail with errors of their own."""
    if isinstance(cause, WorkerGroupError):
        return any(type(each).__name__ != "UserExceptionWithTraceback" for each in cause.worker_failures.values())
    return isinstance(cause, RayActorError)


def _resources(how: Plan) -> dict[str, float]:
    """Of one process, in Ray's words."""
    return {"CPU": 1.0, "GPU": how.gpus} if how.gpus > 0.0 else {"CPU": 1.0}


def _packed(config: dict[str, Any], trials: dict[str, list[Work]], how: Plan, folder: Path) -> None:  # noqa: ARG001
    """A trial that trains by itself, in a process that other networks had before."""
    (work,) = trials[config["trial"]["name"]]
    gauges = Gauges()

    def watch(statistics: Statistics) -> None:
        gauges.set(work.cell, statistics)
        tune.report(_logged(work, statistics))

    train(work.cell, work.data, work.path, how.device, watch=watch)


def _stacked(config: dict[str, Any], trials: dict[str, list[Work]], how: Plan, folder: Path) -> None:  # noqa: ARG001
    """A trial that trains a stack by itself."""
    works = trials[config["trial"]["name"]]
    by_name = {work.cell.network_name: work for work in works}
    gauges = Gauges()

    def watch(cell: Cell, statistics: Statistics) -> None:
        gauges.set(cell, statistics)
        tune.report(_logged(by_name[cell.network_name], statistics))

    failed = train_stack(works, how.device, watch=watch)
    if failed:
        raise NetworksFailedError(failed)


def _ddp(config: dict[str, Any], trials: dict[str, list[Work]], how: Plan, folder: Path) -> None:
    """A trial that starts the processes of a TorchTrainer and hands on what they say."""
    (work,) = trials[config["trial"]["name"]]
    result = TorchTrainer(
        _ddp_rank,
        train_loop_config={"work": work, "device": how.device},
        scaling_config=ray_train.ScalingConfig(
            num_workers=how.ranks,
            use_gpu=how.gpus > 0.0,
            resources_per_worker=_resources(how) | {"CPU": 1.0 - LITTLE},
        ),
        run_config=ray_train.RunConfig(
            name=work.cell.network_name,
            storage_path=str((folder / "train").resolve()),
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]
        ),
    ).fit()
    if reason := (result.metrics or {}).get("failed"):
        raise NetworksFailedError({work.cell.network_name: reason})


def _ddp_rank(config: dict[str, Any]) -> None:
    """One process of a network; Train has set up the process group."""
    work: Work = config["work"]
    gauges = Gauges()
    first = ray_train.get_context().get_world_rank() == 0

    def watch(statistics: Statistics) -> None:
        if first:
            gauges.set(work.cell, statistics)
        ray_train.report(_logged(work, statistics))

    try:
        train(work.cell, work.data, work.path, config["device"], watch=watch)
    except InputError as error:  # every rank has the same one
        ray_train.report({"failed": str(error)})


def _logged(work: Work, statistics: Statistics) -> dict[str, Any]:
    """What the live table is told of a tick, when the process's log, which the dashboard shows, has it."""
    print(f"{work.cell.network_name}: {json.dumps(statistics)}", flush=True)
    return {**statistics, "steps": work.steps, "network": work.cell.network_name}


def _columns(name: str, cell: Cell) -> dict[str, Any]:
    """What the dashboard shows of a trial."""
    names = ("problem", "formulation", "noise", "recipe", "seed")
    return {"name": name} | {column: getattr(cell, column) for column in names}


def _name(trial: Trial) -> str:
    return str(trial.config["trial"]["name"])
