"""The grid on Ray Tune: one trial for each network, named as its checkpoint.

How a cell is trained is planned before anything starts, from its size and from what the cluster has:

- *packed*: one process a cell, actors that are used again for the next one;
- *DDP*: several processes a cell (TorchTrainer: gloo between cores, NCCL between GPUs), for cells so large that
  starting them does not count.

A cell's result is the same cell whatever the way, but for rounding. It is in the checkpoint that the trial writes, so
that a grid that was killed goes on from there, and Tune keeps nothing of its own that would have to be restored.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import train as ray_train
from ray import tune
from ray.exceptions import RayActorError
from ray.train.torch import TorchTrainer
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback
from ray.util.metrics import Gauge

from solvers.errors import InputError
from training.cells import Cell
from training.cluster import Cluster
from training.trainer import Statistics, train

ROUNDS = 3
"""A cell whose process was killed is trained on, so often."""


@dataclass(frozen=True)
class Work:
    """One network to train.

    Attributes:
        cell: the network's.
        data: its data set.
        path: its checkpoint.
        steps: optimiser steps in all.
    """

    cell: Cell
    data: Path
    path: Path
    steps: int


@dataclass(frozen=True)
class Plan:
    """How cells are trained.

    Attributes:
        ranks: processes a cell.
        device: where, ``"cpu"`` or ``"cuda"``.
        gpus: a process; less than one where several cells share one.
        at_once: cells at a time.
    """

    ranks: int
    device: str
    gpus: float
    at_once: int

    @property
    def of_a_process(self) -> dict[str, float]:
        """Resources, in Ray's words."""
        return {"CPU": 1.0, "GPU": self.gpus} if self.gpus > 0.0 else {"CPU": 1.0}

    @property
    def description(self) -> str:
        """One line, before it starts."""
        way = "packed, a process each" if self.ranks == 1 else f"DDP, {self.ranks} processes each"
        where = "a core" if self.device == "cpu" else f"{self.gpus:g} GPU"
        return f"{self.at_once} cell(s) at once, {way} with {where} a process"


def plan(cluster: Cluster, cells: int, ranks: int, device: str, share: int) -> Plan:
    """How to train so many cells.

    Args:
        cluster: what there is.
        cells: to train.
        ranks: processes a cell.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for GPUs where there are any.
        share: cells that share a GPU.

    Raises:
        InputError: if the cluster cannot meet it.
    """
    if device == "auto":
        device = "cuda" if cluster.gpus > 0 else "cpu"
    if device == "cuda" and cluster.gpus == 0:
        raise InputError("device: expected a GPU in the cluster, found none; 'auto' takes cores then")
    gpus = 0.0 if device == "cpu" else 1.0 if ranks > 1 else 1.0 / share
    # With DDP, the trial that starts the processes takes no core of its own.
    fit = cluster.cores // ranks if device == "cpu" else min(cluster.cores // ranks, int(cluster.gpus / (gpus * ranks)))
    if fit < 1:
        asked = f"{ranks} core(s)" + (f" and {ranks * gpus:g} GPU(s)" if gpus else "")
        raise InputError(f"training.ranks: {asked} are asked for a cell, there are {cluster.cores} and {cluster.gpus}")
    return Plan(ranks, device, gpus, min(fit, max(cells, 1)))


def train_all(works: Sequence[Work], how: Plan, folder: Path, watch: tune.Callback) -> dict[str, str]:
    """Train every cell, or finish training it.

    Args:
        works: the cells.
        how: from :func:`plan`.
        folder: where Tune and Train leave their records.
        watch: told what happens.

    Returns:
        Why cells failed, by name; the others are trained.
    """
    failed: dict[str, str] = {}
    todo = {work.cell.network_name: work for work in works}
    for attempt in range(ROUNDS):
        failed = _round(todo, how, folder, watch, attempt)
        lost = {name for name, reason in failed.items() if reason.startswith(LOST)}
        if not lost:
            break
        todo = {name: todo[name] for name in lost}
    return failed


LOST = "its process was killed"


def _round(works: dict[str, Work], how: Plan, folder: Path, watch: tune.Callback, attempt: int) -> dict[str, str]:
    if how.ranks == 1:
        trial, resources = tune.with_parameters(_packed, works=works, device=how.device), how.of_a_process
    else:  # the processes of its trainer take the resources
        trial, resources = tune.with_parameters(_ddp, works=works, how=how, folder=folder), {"CPU": 0.0}
    cells = [_columns(work.cell) for work in works.values()]
    tuner = tune.Tuner(
        tune.with_resources(trial, resources),
        param_space={"cell": tune.grid_search(cells)},
        tune_config=tune.TuneConfig(
            reuse_actors=how.ranks == 1,
            max_concurrent_trials=how.at_once,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=f"tune-{os.getpid()}-{attempt}", storage_path=str(folder), verbose=0, callbacks=[watch]
        ),
    )
    failed = {}
    results = tuner.fit()
    for i in range(len(results)):
        error, config = results[i].error, results[i].config
        if error is not None and config is not None:
            failed[config["cell"]["name"]] = _reason(error)
    return failed


def _packed(config: dict[str, Any], works: dict[str, Work], device: str) -> None:
    """A trial that trains by itself, in an actor that other cells had before."""
    work = works[config["cell"]["name"]]
    gauges = Gauges(work.cell.network_name)

    def watch(statistics: Statistics) -> None:
        gauges.set(statistics)
        tune.report({**statistics, "steps": work.steps})

    train(work.cell, work.data, work.path, device, watch=watch)


def _ddp(config: dict[str, Any], works: dict[str, Work], how: Plan, folder: Path) -> None:
    """A trial that starts the processes of a TorchTrainer and hands on what they say."""
    work = works[config["cell"]["name"]]
    trainer = TorchTrainer(
        _ddp_rank,
        train_loop_config={"work": work, "device": how.device},
        scaling_config=ray_train.ScalingConfig(
            num_workers=how.ranks, use_gpu=how.gpus > 0.0, resources_per_worker=how.of_a_process
        ),
        run_config=ray_train.RunConfig(
            name=f"{work.cell.network_name}-{tune.get_context().get_trial_id()}",
            storage_path=str(folder / "train"),
            callbacks=[TuneReportCallback()],  # type: ignore[list-item],
        ),
    )
    trainer.fit()


def _ddp_rank(config: dict[str, Any]) -> None:
    """One process of a cell; Train has set up the process group."""
    work: Work = config["work"]
    first = ray_train.get_context().get_world_rank() == 0
    gauges = Gauges(work.cell.network_name) if first else None

    def watch(statistics: Statistics) -> None:
        if gauges is not None:
            gauges.set(statistics)
        ray_train.report({**statistics, "steps": work.steps})

    train(work.cell, work.data, work.path, config["device"], watch=watch)


class Gauges:
    """What Ray's metrics say of a cell, for Prometheus to collect."""

    def __init__(self, name: str) -> None:
        self._gauges = {
            key: Gauge(f"fluxbench_{key}", what, tag_keys=("cell",))
            for key, what in {
                "loss": "Mean loss of the last tick",
                "steps_per_second": "Optimiser steps a second",
                "step": "Optimiser steps done",
                "gpu_memory": "Bytes of GPU memory held at most",
            }.items()
        }
        self._tags = {"cell": name}

    def set(self, statistics: Statistics) -> None:
        """After a tick."""
        held = float(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0.0
        for key, gauge in self._gauges.items():
            gauge.set(held if key == "gpu_memory" else statistics[key], tags=self._tags)


def _columns(cell: Cell) -> dict[str, Any]:
    """What the dashboard shows of a cell."""
    names = ("problem", "formulation", "noise", "recipe", "seed")
    return {"name": cell.network_name} | {name: getattr(cell, name) for name in names}


def _name(trial: Trial) -> str:
    return str(trial.config["cell"]["name"])


def _reason(error: BaseException) -> str:
    """One line; for a user's mistake or a divergence what the trainer said."""
    cause = getattr(error, "cause", error)
    if isinstance(error, RayActorError) or isinstance(cause, RayActorError):
        return LOST
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    return lines[-1].removeprefix("solvers.errors.InputError: ") if lines else type(cause).__name__
