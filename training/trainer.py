"""Train one cell: a score network by denoising score matching, the data in memory, resumed where it was left.

The loop is meant to be read from top to bottom. Everything random comes from one generator whose state is in the
checkpoint, so a run that is killed and started again ends with the same bits as one that is not.

In a process group (DistributedDataParallel) every rank draws the same batch from the same generator and takes its share
of the rows, so that gradients, averaged over ranks, are those of one process but for rounding.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.losses import DenoisingLoss, log_normal_times
from fluxbench.errors import InputError
from fluxbench.training import ending
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import Recipe
from fluxbench.training.state import Progress, State, Statistics


def train(
    cell: Cell,
    data_path: Path,
    path: Path,
    device_name: str,
    progress: Progress = lambda steps: None,
    watch: Callable[[Statistics], None] = lambda statistics: None,
) -> None:
    """Train ``cell`` on the data set at ``data_path``, or finish training it; the checkpoint is ``path``.

    Statistics go beside it, a JSON line a tick, under the suffix ``.jsonl``, and to ``watch``. Returns early, with a
    checkpoint at the end of an epoch, if it is asked to end (:mod:`ending`). Where a process group is
    set up, every rank calls this, and the first one writes.

    Raises:
        InputError: if the data set is missing, damaged or smaller than a batch, ``path`` holds a checkpoint of another
            configuration or device, a batch cannot be shared evenly among the ranks, or training diverges.
    """
    rank, ranks = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    recipe, device = cell.hyperparameters, torch.device(device_name)
    if recipe.batch_size % ranks != 0:
        raise InputError(f"expected a number of ranks that divides the batch of {recipe.batch_size}, found {ranks}")
    mine = slice(rank * recipe.batch_size // ranks, (rank + 1) * recipe.batch_size // ranks)
    state = State.of(cell, data_path, path, device)
    if state.step > 0:
        progress(state.step)
    if state.finished:
        return
    if rank == 0:
        state.drop_later_lines()
    x0, y, network, generator = state.x0, state.y, state.network, state.generator
    objective: nn.Module = DenoisingLoss(network)
    if ranks > 1:
        objective = DistributedDataParallel(objective)

    while not (state.finished or _asked_to_end(path, ranks, device)):
        began, step = time.perf_counter(), state.step
        loss_sum = torch.zeros((), device=device)
        for _ in range(state.epochs_to_tick):
            order = torch.randperm(len(x0), generator=generator, device=device)
            for i in range(state.steps_per_epoch):
                rows = order[i * recipe.batch_size : (i + 1) * recipe.batch_size]
                t = draw_times(recipe, network.formulation, len(rows), generator)
                z = torch.randn(len(rows), x0.shape[1], generator=generator, device=device)
                loss = objective(x0[rows[mine]], y[rows[mine]], t[mine], z[mine])
                state.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                state.optimizer.param_groups[0]["lr"] = recipe.rate((step + i) / state.steps)
                state.optimizer.step()
                if state.average is not None:
                    follow(state.average, network, recipe.average, step + i)
                loss_sum += loss.detach()
            step += state.steps_per_epoch
            progress(state.steps_per_epoch)
            if _asked_to_end(path, ranks, device):
                break

        if ranks > 1:
            distributed.all_reduce(loss_sum)
        done = step - state.step
        mean_loss = loss_sum.item() / (ranks * done)
        elapsed = time.perf_counter() - began
        tick = state.advance(done, mean_loss, elapsed, seconds=elapsed)
        if rank == 0:
            state.write(tick)
        watch(tick)


def _asked_to_end(path: Path, ranks: int, device: torch.device) -> bool:
    """Whether a rank has seen the request, so that all end after the same epoch."""
    asked = ending.requested(path)
    if ranks > 1:
        seen = torch.tensor(float(asked), device=device)
        distributed.all_reduce(seen)
        asked = bool(seen.item() > 0.0)
    return asked


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
    return times_at(recipe, formulation, u)


def times_at(recipe: Recipe, formulation: Formulation, u: Tensor) -> Tensor:
    """Times at which batches ask for the loss, from uniform numbers of shape (..., B), float64; shape as these."""
    if recipe.times == "uniform":
        return u
    count = u.shape[-1]
    strata = torch.arange(count, device=u.device)  # one time in each; rows are shuffled, so their order does not matter
    end = recipe.noise_ratio_min
    return log_normal_times(formulation, (strata + u) / count, recipe.level_mean, recipe.level_std, end)
