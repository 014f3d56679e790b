"""Train one cell: a score network by denoising score matching, the data in memory, resumed where it was left.

The loop is meant to be read from top to bottom. Everything random comes from one generator whose state is in the
checkpoint, so a run that is killed and started again ends with the same bits as one that is not.

In a process group (DistributedDataParallel) every rank draws the same batch from the same generator and takes its share
of the rows, so that gradients, averaged over ranks, are those of one process but for rounding.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from diffusion.formulations import Formulation
from diffusion.losses import DenoisingLoss, log_normal_times
from solvers import datasets
from solvers.errors import InputError
from solvers.measurements import MeasurementOperator
from solvers.storage import provenance, write_text
from training import checkpoints
from training.cells import Cell
from training.checkpoints import Checkpoint
from training.normalisation import Normalisation
from training.recipes import Recipe

TICK_STEPS = 500
"""A tick, at the end of an epoch after about this many steps, writes a line of statistics and a checkpoint."""

Progress = Callable[[int], None]
"""Called with the number of steps done since the last call."""

Statistics = dict[str, float]
"""Of a tick: step, epoch, mean loss, steps a second, seconds in all."""


def total_steps(cell: Cell, samples: int) -> int:
    """Optimiser steps of a cell on so many training samples; an epoch's last, smaller batch is left out."""
    recipe = cell.hyperparameters
    return recipe.epochs * (samples // recipe.batch_size)


def train(  # noqa: PLR0912 - one loop, from top to bottom
    cell: Cell,
    data_path: Path,
    path: Path,
    device_name: str,
    progress: Progress = lambda steps: None,
    watch: Callable[[Statistics], None] = lambda statistics: None,
) -> None:
    """Train ``cell`` on the data set at ``data_path``, or finish training it; the checkpoint is ``path``.

    Statistics go beside it, a JSON line a tick, under the suffix ``.jsonl``, and to ``watch``. Where a process group is
    set up, every rank calls this, and the first one writes.

    Raises:
        InputError: if the data set is missing, damaged or smaller than a batch, ``path`` holds a checkpoint of another
            configuration or device, a batch cannot be shared evenly among the ranks, or training diverges.
    """
    rank, ranks = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    device = torch.device(device_name)
    dataset = datasets.read(data_path)
    recipe = cell.hyperparameters
    specification = cell.specification(dataset.specification)
    operator = MeasurementOperator.of(dataset, cell.training_noise)
    samples = operator.measure(dataset.train, "train")
    normalisation = Normalisation.identity(samples.x.shape[1])
    if recipe.standardised:
        normalisation = Normalisation.fit(samples.x, operator.y_scale.normalise(dataset.train.y))
    normalisation = replace(normalisation, noise_range=cell.amortised)
    x0 = torch.as_tensor(normalisation.standardise(samples.x), dtype=torch.float32, device=device)
    y = torch.as_tensor(normalisation.condition(samples), dtype=torch.float32, device=device)
    steps_per_epoch = len(x0) // recipe.batch_size
    if steps_per_epoch == 0:
        raise InputError(f"{cell.problem}: expected at least a batch of {recipe.batch_size} samples, found {len(x0)}")
    if recipe.batch_size % ranks != 0:
        raise InputError(f"expected a number of ranks that divides the batch of {recipe.batch_size}, found {ranks}")

    generator = torch.Generator(device).manual_seed(cell.seed)
    torch.manual_seed(cell.seed)  # initial weights
    network = checkpoints.build_network(cell, x0.shape[1], y.shape[1]).to(device)
    objective: nn.Module = DenoisingLoss(network)
    if ranks > 1:
        objective = DistributedDataParallel(objective)
    mine = slice(rank * recipe.batch_size // ranks, (rank + 1) * recipe.batch_size // ranks)
    average = copy.deepcopy(network).requires_grad_(False) if recipe.average > 0.0 else None
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    step, steps, seconds = 0, total_steps(cell, len(x0)), 0.0
    statistics = path.with_suffix(".jsonl")
    if path.exists():
        saved = checkpoints.load(path, specification)
        progress(saved.step)
        if saved.finished:
            return
        if torch.device(saved.provenance["device"]).type != device.type:
            found = saved.provenance["device"]
            raise InputError(f"{path}: half trained on {found}; go on there (device = ...), or remove it")
        network.load_state_dict(saved.model)
        optimizer.load_state_dict(saved.optimizer)
        if average is not None and saved.average is not None:
            average.load_state_dict(saved.average)
        generator.set_state(saved.generator)
        step, seconds = saved.step, saved.seconds
    if rank == 0:
        _keep_lines(statistics, step)

    made = provenance() | {"device": str(device)}
    epochs_per_tick = math.ceil(TICK_STEPS / steps_per_epoch)
    while step < steps:
        began, first = time.perf_counter(), step
        loss_sum = torch.zeros((), device=device)
        for _ in range(min(epochs_per_tick, (steps - step) // steps_per_epoch)):
            order = torch.randperm(len(x0), generator=generator, device=device)
            for i in range(steps_per_epoch):
                rows = order[i * recipe.batch_size : (i + 1) * recipe.batch_size]
                t = draw_times(recipe, network.formulation, len(rows), generator)
                z = torch.randn(len(rows), x0.shape[1], generator=generator, device=device)
                loss = objective(x0[rows[mine]], y[rows[mine]], t[mine], z[mine])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.param_groups[0]["lr"] = recipe.rate((step + i) / steps)
                optimizer.step()
                if average is not None:
                    follow(average, network, recipe.average, step + i)
                loss_sum += loss.detach()
            step += steps_per_epoch
            progress(steps_per_epoch)

        if ranks > 1:
            distributed.all_reduce(loss_sum)
        mean_loss = loss_sum.item() / (ranks * (step - first))
        elapsed = time.perf_counter() - began
        seconds += elapsed
        if not math.isfinite(mean_loss):
            raise InputError(f"{cell.network_name}: training diverged before step {step}: the loss is {mean_loss}")
        tick: Statistics = {"step": step, "epoch": step // steps_per_epoch, "loss": mean_loss}
        tick |= {"steps_per_second": (step - first) / elapsed, "seconds": seconds}
        watch(tick)
        if rank > 0:
            continue
        _append_line(statistics, tick)
        checkpoint = Checkpoint(
            specification=specification,
            x_size=x0.shape[1],
            y_size=y.shape[1],
            x_scale=operator.x_scale,
            y_scale=operator.y_scale,
            normalisation=normalisation,
            step=step,
            steps=steps,
            seconds=seconds,
            model=network.state_dict(),
            average=None if average is None else average.state_dict(),
            optimizer=optimizer.state_dict(),
            generator=generator.get_state(),
            provenance=made,
        )
        checkpoints.save(path, checkpoint)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, updates: int) -> None:
    """Move the averaged weights towards the network's, after so many ``updates`` before this one.

    The memory is short at first: 0.999^300 would leave three quarters of the untrained network in the average. The
    first update copies.
    """
    share = 1.0 - min(decay, (1.0 + updates) / (10.0 + updates)) if updates > 0 else 1.0
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, share)


def draw_times(recipe: Recipe, formulation: Formulation, count: int, generator: torch.Generator) -> Tensor:
    """Times at which a batch asks for the loss, shape (count,), float64."""
    u = torch.rand(count, dtype=torch.float64, generator=generator, device=generator.device)
    if recipe.times == "uniform":
        return u
    strata = torch.arange(count, device=u.device)  # one time in each; rows are shuffled, so their order does not matter
    end = recipe.noise_ratio_min
    return log_normal_times(formulation, (strata + u) / count, recipe.level_mean, recipe.level_std, end)


def _append_line(path: Path, record: dict[str, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _keep_lines(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint that training goes on from, and a line that a crash cut short."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    write_text(path, "".join(kept))
