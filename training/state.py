"""One cell in training: what it starts from, what it has come to, and the files that it leaves at every tick.

Both trainers share it, the plain and the stacked one, so that either goes on from where the other stopped.
"""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fluxbench.diffusion.networks import ScoreNetwork
from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.data.measurements import MeasurementOperator, MinMax
from fluxbench.solvers.data.staging import staged
from fluxbench.storage import write_text
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.checkpoints import Checkpoint
from fluxbench.training.normalisation import Normalisation

TICK_STEPS = 500
"""A tick, at the end of an epoch after about this many steps, writes a line of statistics and a checkpoint."""

Progress = Callable[[int], None]
"""Called with the number of steps done since the last call."""

Statistics = dict[str, float]
"""Of a tick: step, epoch, mean loss, steps a second, seconds in all."""


@dataclass
class State:
    """A cell's data as its network sees them, and how far its training has come.

    Attributes:
        cell: which is trained.
        path: its checkpoint.
        specification: what determines the result.
        x_scale: normalisation of the inferred vector.
        y_scale: normalisation of the measurement vector.
        normalisation: from these to what the network sees.
        x0: inferred vectors, shape (N, d).
        y: what the network is conditioned on, shape (N, n).
        network: which is trained.
        average: the moving average of its weights; None if the recipe has none.
        optimizer: of the network's weights.
        generator: of everything random but the initial weights.
        step: optimiser steps done.
        steps: optimiser steps in all.
        seconds: training time so far, over all attempts.
        provenance: of the checkpoints that are written.
    """

    cell: Cell
    path: Path
    specification: dict[str, Any]
    x_scale: MinMax
    y_scale: MinMax
    normalisation: Normalisation
    x0: Tensor
    y: Tensor
    network: ScoreNetwork
    average: ScoreNetwork | None
    optimizer: torch.optim.Adam
    generator: torch.Generator
    step: int
    steps: int
    seconds: float
    provenance: dict[str, Any]

    @classmethod
    def of(cls, cell: Cell, data_path: Path, path: Path, device: torch.device) -> "State":
        """At the start, or where the checkpoint at ``path`` left off.

        Raises:
            InputError: if the data set is missing, damaged or smaller than a batch, or ``path`` holds a checkpoint of
                another configuration or device.
        """
        dataset = datasets.read(staged(data_path))
        recipe = cell.hyperparameters
        operator = MeasurementOperator.of(dataset, cell.noise)
        x, y, normalisation = _seen(cell, dataset, operator)
        if len(x) < recipe.batch_size:
            raise InputError(
                f"{cell.problem}: expected at least a batch of {recipe.batch_size} samples, found {len(x)}"
            )
        torch.manual_seed(cell.seed)  # initial weights
        network = checkpoints.build_network(cell, x.shape[1], y.shape[1]).to(device)
        state = cls(
            cell=cell,
            path=path,
            specification=cell.specification(dataset.specification),
            x_scale=operator.x_scale,
            y_scale=operator.y_scale,
            normalisation=normalisation,
            x0=x.to(device),
            y=y.to(device),
            network=network,
            average=copy.deepcopy(network).requires_grad_(False) if recipe.average > 0.0 else None,
            optimizer=torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True),
            generator=torch.Generator(device).manual_seed(cell.seed),
            step=0,
            steps=cell.steps(len(x)),
            seconds=0.0,
            provenance=provenance() | {"device": str(device)},
        )
        if path.exists():
            state._resume(checkpoints.load(path, state.specification), device)
        return state

    def _resume(self, saved: Checkpoint, device: torch.device) -> None:
        found = saved.provenance["device"]
        if not saved.finished and torch.device(found).type != device.type:
            raise InputError(f"{self.path}: half trained on {found}; go on there (device = ...), or remove it")
        self.step, self.seconds = saved.step, saved.seconds
        self.network.load_state_dict(saved.model)
        self.optimizer.load_state_dict(saved.optimizer)
        if self.average is not None and saved.average is not None:
            self.average.load_state_dict(saved.average)
        if not saved.finished:  # the state of another device's generator is of another kind
            self.generator.set_state(saved.generator)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step == self.steps

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches."""
        return len(self.x0) // self.cell.hyperparameters.batch_size

    @property
    def epochs_to_tick(self) -> int:
        """Epochs until the next tick."""
        left = (self.steps - self.step) // self.steps_per_epoch
        return min(math.ceil(TICK_STEPS / self.steps_per_epoch), left)

    def advance(self, steps: int, mean_loss: float, elapsed: float, seconds: float) -> Statistics:
        """Count the steps of a tick as done.

        Args:
            steps: since the last tick.
            mean_loss: of these.
            elapsed: seconds that they took.
            seconds: of those that are this cell's share.

        Returns:
            The tick's statistics.

        Raises:
            InputError: if the loss is not finite.
        """
        self.step += steps
        self.seconds += seconds
        if not math.isfinite(mean_loss):
            raise InputError(f"training diverged before step {self.step}: the loss is {mean_loss}")
        tick: Statistics = {"step": self.step, "epoch": self.step // self.steps_per_epoch, "loss": mean_loss}
        return tick | {"steps_per_second": steps / elapsed, "seconds": self.seconds}

    def write(self, tick: Statistics) -> None:
        """Append the statistics of a tick to the file beside the checkpoint, and replace the checkpoint."""
        statistics = self.path.with_suffix(".jsonl")
        statistics.parent.mkdir(parents=True, exist_ok=True)
        with statistics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(tick) + "\n")
        checkpoint = Checkpoint(
            specification=self.specification,
            x_size=self.x0.shape[1],
            y_size=self.y.shape[1],
            x_scale=self.x_scale,
            y_scale=self.y_scale,
            normalisation=self.normalisation,
            step=self.step,
            steps=self.steps,
            seconds=self.seconds,
            model=self.network.state_dict(),
            average=None if self.average is None else self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            generator=self.generator.get_state(),
            provenance=self.provenance,
        )
        checkpoints.save(self.path, checkpoint)

    def drop_later_lines(self) -> None:
        """Forget what was logged after the checkpoint that training goes on from, and a line that a crash cut short."""
        path, kept = self.path.with_suffix(".jsonl"), []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                if json.loads(line)["step"] <= self.step:
                    kept.append(line + "\n")
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        write_text(path, "".join(kept))


def _seen(cell: Cell, dataset: Dataset, operator: MeasurementOperator) -> tuple[Tensor, Tensor, Normalisation]:
    """The training split's x and y as the network sees them, and the normalisation that made them."""
    samples = operator.measure(dataset.train, "train")
    normalisation = Normalisation.identity(samples.x.shape[1])
    if cell.hyperparameters.standardised:
        normalisation = Normalisation.fit(samples.x, operator.y_scale.normalise(dataset.train.y))
    normalisation = replace(normalisation, noise_range=cell.noise_range)
    x, y = normalisation.standardise(samples.x), normalisation.condition(samples)
    return torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32), normalisation
