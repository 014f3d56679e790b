"""How the networks of a grid are trained, decided before anything starts:

- *packed*: one process a network, which goes on to the next one when it is done;
- *stacked*: on a GPU, networks of one shape advanced together in batched matrix products by one process;
- *ddp*: several processes a network, for those so large that starting processes does not count.

A network is the same whatever the strategy, but for rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fluxbench.errors import InputError
from fluxbench.training.cells import Cell

Strategy = Literal["packed", "stacked", "ddp"]
STRATEGIES = get_args(Strategy)

SHARE = 4
"""Processes that share a GPU at most, where a network does not fill it."""
START = 30.0
"""Seconds that the processes of a network take to start (DDP)."""
WORTH = 10
"""Times as long a network must train for several processes to pay."""
RATE = {"cpu": 5e10, "cuda": 5e12}
"""Floating point operations a second of one process on networks this small: an estimate."""


@dataclass(frozen=True)
class Job:
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

    def seconds(self, device: str) -> float:
        """Training time of one process, an estimate: six operations a weight and sample (forward, backward)."""
        recipe = self.cell.hyperparameters
        weights = recipe.hidden_layers * recipe.width**2
        return 6.0 * weights * recipe.batch_size * self.steps / RATE[device]


@dataclass(frozen=True)
class Resources:
    """Of a cluster, or of the processes of one machine.

    Attributes:
        cores: in all.
        gpus: in all.
    """

    cores: int
    gpus: int


@dataclass(frozen=True)
class Plan:
    """How networks are trained.

    Attributes:
        strategy: one of ``STRATEGIES``.
        device: where, ``"cpu"`` or ``"cuda"``.
        ranks: processes of a trial.
        gpus: of each process; less than one where several share one.
        at_once: trials at a time.
    """

    strategy: Strategy
    device: str
    ranks: int
    gpus: float
    at_once: int

    @property
    def description(self) -> str:
        """One line, before it starts."""
        where = "a core" if self.device == "cpu" else f"{self.gpus:g} GPU"
        return {
            "packed": f"packed: {self.at_once} networks at once, {where} each",
            "stacked": f"stacked: networks of one shape together, up to {self.at_once} stacks at once, {where} each",
            "ddp": f"DDP: {self.at_once} networks at once, {self.ranks} processes each, {where} a process",
        }[self.strategy]


def plan(there: Resources, jobs: Sequence[Job], strategy: Strategy | None, world_size: int | None, device: str) -> Plan:
    """How to train networks with what is there.

    Args:
        there: the resources.
        jobs: the networks, at least one.
        strategy: None for the one that pays.
        world_size: processes a network; None for as many as pay.
        device: from :func:`device_of`.

    Raises:
        InputError: if it cannot be met, naming what was asked for and what is there.
    """
    slots = there.cores if device == "cpu" else min(there.cores, there.gpus)
    ranks = world_size or _ranks(slots, jobs, strategy, device)
    if strategy is None:
        strategy = "ddp" if ranks > 1 else "stacked" if device == "cuda" and len(jobs) > 1 else "packed"
    if strategy != "ddp" and ranks > 1:
        raise InputError(f"training.strategy: expected 'ddp' for world_size = {ranks}, found {strategy!r}")
    for job in jobs:
        batch = job.cell.hyperparameters.batch_size
        if batch % ranks != 0:
            raise InputError(f"training.world_size: expected a divisor of the batch of {batch}, found {ranks}")
    if ranks > slots:
        found = f"{there.cores} core(s) and {there.gpus} GPU(s)"
        unit = "core(s)" if device == "cpu" else "GPU(s), and a core each"
        raise InputError(f"training.world_size: {ranks} processes need {ranks} {unit}, the cluster has {found}")
    gpus, fit = 0.0, slots // ranks
    if device == "cuda":
        share = min(SHARE, math.ceil(len(jobs) / there.gpus)) if strategy == "packed" else 1
        gpus, fit = 1.0 / share, min(there.cores, share * there.gpus) // ranks
    return Plan(strategy, device, ranks, gpus, min(fit, len(jobs)))


def _ranks(slots: int, jobs: Sequence[Job], strategy: Strategy | None, device: str) -> int:
    """As many processes a network as are free, where each trains for long."""
    if strategy not in {None, "ddp"}:
        return 1
    free = slots // len(jobs)
    if strategy is None and min(job.seconds(device) for job in jobs) < WORTH * START:
        return 1
    sizes = [job.cell.hyperparameters.batch_size for job in jobs]
    return max([ranks for ranks in range(1, free + 1) if all(size % ranks == 0 for size in sizes)], default=1)


def device_of(wanted: str, there: Resources) -> str:
    """``"cuda"`` where there is a GPU and it is not unwanted, else ``"cpu"``.

    Raises:
        InputError: if a GPU is wanted and there is none.
    """
    if wanted == "cuda" and there.gpus == 0:
        raise InputError("device: expected a GPU, found none; 'auto' takes the CPU then")
    return "cuda" if there.gpus > 0 and wanted != "cpu" else "cpu"
