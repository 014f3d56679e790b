"""The grid on Ray Tune: one trial for each network, named as its checkpoint.

How a cell is trained is planned before anything starts, from its size and from what the cluster has:

- *packed*: one process a cell, actors that are used again for the next one;
- *ddp*: several processes a cell (TorchTrainer: gloo between cores, NCCL between GPUs), for cells so large that starting
  them does not count.

A cell's result is the same cell whatever the way, but for rounding. It is in the checkpoint that the trial writes, so
that a grid that was killed goes on from there, and Tune keeps nothing of its own that would have to be restored.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import train as ray_train
from ray import tune
from ray.exceptions import RayActorError, RayError
from ray.train.torch import TorchTrainer
from ray.tune.experiment import Trial
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


def _round(
    works: dict[str, Work], how: Plan, folder: Path, watch: tune.Callback, attempt: int
) -> dict[str, str]:
    trial = tune.with_parameters(_packed if how.ranks == 1 else _ddp, works=works, how=how, folder=folder)
    resources = {"CPU": 1, "GPU": how.gpus} if how.ranks == 1 else {"CPU": 0}
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
    for result in tuner.fit():
        if result.error is not None:
            failed[result.config["cell"]["name"]] = _reason(result.error)
    return failed
