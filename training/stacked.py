"""Train many small cells at once: their weights stacked, so that a step of all of them is one set of matrix products.

A product of 1000 rows with weights of 256 x 256 leaves most of a GPU idle, and takes longer to start than to do. A
*stack* of C cells of one shape has weights of shape (C, ...) and takes the gradient of the sum of their losses, in
which every cell finds its own,

    d/dtheta_c sum_c' L_c'(theta_c') = dL_c/dtheta_c;

Adam and the moving average work element by element. Every cell draws from a generator of its own what the plain trainer
would draw, so its result is the plain trainer's but for rounding, and its checkpoints are ordinary ones: either trainer
goes on from those of the other. A stack that is killed goes on with the same bits if it goes on whole; killed while its
checkpoints were written, it falls into two, and products of another number of matrices may round otherwise.

The random numbers of an epoch are drawn before its steps, and the host waits for the device at ticks alone. The steps
themselves are not captured in a CUDA graph: a stack that fills the device hides what it costs to launch them.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from fluxbench.diffusion.losses import denoising_score_matching
from fluxbench.diffusion.networks import ScoreNetwork
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.data.staging import staged
from fluxbench.training import checkpoints, ending
from fluxbench.training.cells import Cell
from fluxbench.training.normalisation import Normalisation
from fluxbench.training.planning import Job
from fluxbench.training.state import Progress, State, Statistics
from fluxbench.training.trainer import follow, times_at

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam keeps of every weight."""


class StackedBody(nn.Module):
    """The bodies of C networks as one, from inputs (C, B, size) to outputs (C, B, out_size).

    Args:
        bodies: of one shape.
    """

    def __init__(self, bodies: Sequence[nn.Module]) -> None:
        super().__init__()
        stacked, buffers = torch.func.stack_module_state(list(bodies))
        if buffers:
            raise ValueError(f"expected bodies without buffers, found {list(buffers)}")
        self._names = list(stacked)
        self._weights = nn.ParameterList(stacked.values())
        self._body = (copy.deepcopy(bodies[0]).to("meta"),)  # a tuple keeps its weights out of the parameters

    def forward(self, u: Tensor) -> Tensor:
        """Values at u (C, B, size)."""

        def one(weights: dict[str, Tensor], u: Tensor) -> Tensor:
            return torch.func.functional_call(self._body[0], weights, (u,))

        found: Tensor = torch.vmap(one)(dict(zip(self._names, self._weights, strict=True)), u)
        return found


def stacked_network(networks: Sequence[ScoreNetwork]) -> ScoreNetwork:
    """Networks of one shape and formulation as one; its parameters are theirs, in their order, in front an axis C."""
    scaled = type(networks[0])
    return scaled(networks[0].formulation, StackedBody([network.layers for network in networks]))


def stacks(jobs: Sequence[Job], most: int) -> list[list[Job]]:
    """Works in stacks of cells that can be trained together.

    These have the same formulation, hyperparameters, sizes of x and y, number of samples, and step that their
    checkpoints have reached; problem, noise and seed may differ.

    Args:
        jobs: the cells.
        most: cells a stack; a larger group is split evenly.

    Returns:
        The stacks, without the cells that are done. A cell whose files cannot be read is alone in one, and
        :func:`train_stack` says why.
    """
    read = cache(datasets.read)  # many cells share one
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        try:
            dataset = read(staged(job.data))
            shape, step = _shape(job.cell, dataset), _step(job, dataset)
        except InputError:
            groups[job.path,] = [job]
            continue
        if not 0 < step == job.cell.steps(len(dataset.train.x)):
            groups.setdefault((*shape, step), []).append(job)
    return [part for group in groups.values() for part in _split(group, most)]


def _step(job: Job, dataset: Dataset) -> int:
    if not job.path.exists():
        return 0
    return checkpoints.load(job.path, job.cell.specification(dataset.specification)).step


def _shape(cell: Cell, dataset: Dataset) -> tuple[Any, ...]:
    """What the cells of a stack have in common, but for their step."""
    x, y = dataset.train.x, dataset.train.y
    sample = MeasurementOperator.of(dataset, cell.noise).measure(Split(x[:1], y[:1]), "train")
    seen = replace(Normalisation.identity(x.shape[1]), noise_range=cell.noise_range).condition(sample)
    return cell.formulation, cell.hyperparameters, *x.shape, seen.shape[1]


def _split(group: list[Job], most: int) -> list[list[Job]]:
    parts = math.ceil(len(group) / most)
    return [group[len(group) * i // parts : len(group) * (i + 1) // parts] for i in range(parts)]


def train_stack(
    jobs: Sequence[Job],
    device_name: str,
    progress: Progress = lambda steps: None,
    watch: Callable[[Cell, Statistics], None] = lambda cell, statistics: None,
) -> dict[str, str]:
    """Train the cells of one of the :func:`stacks`, or finish training them, each as the plain trainer does.

    Returns early, with checkpoints at the end of an epoch, if they are asked to end (:mod:`fluxbench.training.ending`).

    Args:
        jobs: the cells.
        device_name: where.
        progress: called with the number of steps done since the last call, of all cells together.
        watch: told the statistics of every cell and tick. Steps a second are those of the stack; the seconds are the
            cell's share.

    Returns:
        Why cells failed, by their networks' names, in the plain trainer's words. They do not disturb the others.

    Raises:
        ValueError: if the cells do not belong into one stack.
    """
    device = torch.device(device_name)
    states, failed = _states(jobs, device)
    if not states:
        return failed
    first = states[0]
    if first.step > 0:
        progress(first.step * len(states))
    if first.finished:
        return failed
    for state in states:
        state.drop_later_lines()
    stack = Stack(states)
    alive = dict(enumerate(states))
    step = first.step
    while alive and step < first.steps and not ending.requested(first.path):
        began, before = time.perf_counter(), step
        losses = torch.zeros(len(states), device=device)
        for _ in range(next(iter(alive.values())).epochs_to_tick):
            for batch in stack.epoch():
                losses += stack.step(step, *batch)
                step += 1
            progress(first.steps_per_epoch * len(alive))
            if ending.requested(first.path):
                break

        means = [loss / (step - before) for loss in losses.tolist()]
        elapsed = time.perf_counter() - began
        stack.hand_back()
        for i, state in list(alive.items()):
            try:
                tick = state.advance(step - before, means[i], elapsed, seconds=elapsed / len(states))
                state.write(tick)
            except InputError as error:
                failed[state.cell.name] = str(error)
                del alive[i]  # it is trained on, because that disturbs nobody, but its files stay as they are
            else:
                watch(state.cell, tick)
    return failed


def _states(jobs: Sequence[Job], device: torch.device) -> tuple[list[State], dict[str, str]]:
    """The cells of a stack, and why others cannot be trained."""
    states, failed = [], {}
    for job in jobs:
        try:
            states.append(State.of(job.cell, job.data, job.path, device))
        except InputError as error:
            failed[job.cell.name] = str(error)
    common = {
        (each.cell.formulation, each.cell.hyperparameters, each.x0.shape, each.y.shape, each.step) for each in states
    }
    if len(common) > 1:
        raise ValueError("expected cells of one formulation, recipe, shape and step, as stacks() puts them together")
    return states, failed


class Stack:
    """The weights, moving averages, moments and data of several cells, an axis C in front of each.

    Args:
        states: the cells, all at one step.
    """

    def __init__(self, states: Sequence[State]) -> None:
        self._states = states
        first = states[0]
        self._recipe, self._steps, self._batches = first.cell.hyperparameters, first.steps, first.steps_per_epoch
        self._network = stacked_network([state.network for state in states])
        averages = [state.average for state in states if state.average is not None]
        self._average = stacked_network(averages).requires_grad_(False) if averages else None
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=self._recipe.learning_rate, fused=True)
        if first.step > 0:
            self._optimizer.load_state_dict(_stacked_moments([state.optimizer.state_dict() for state in states]))
        self._x0 = torch.stack([state.x0 for state in states])
        self._y = torch.stack([state.y for state in states])
        for i, state in enumerate(states):  # what is left to the cells is what checkpoints are made of, on the host
            state.x0, state.y = self._x0[i], self._y[i]
            state.network.cpu()
            if state.average is not None:
                state.average.cpu()

    def epoch(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """The batches x (C, B, d), y (C, B, n), t (C, B), z (C, B, d) of the next epoch.

        Every generator is asked for what the plain trainer asks of it, in the same order.
        """
        cells, samples, size = self._x0.shape
        count, device = self._recipe.batch_size, self._x0.device
        order = torch.empty(cells, samples, dtype=torch.int64, device=device)
        u = torch.empty(cells, self._batches, count, dtype=torch.float64, device=device)
        z = torch.empty(cells, self._batches, count, size, device=device)
        for i, state in enumerate(self._states):
            torch.randperm(samples, generator=state.generator, out=order[i])
            for j in range(self._batches):
                torch.rand(count, generator=state.generator, out=u[i, j])
                torch.randn(count, size, generator=state.generator, out=z[i, j])
        t = times_at(self._recipe, self._network.formulation, u)
        rows = order[:, : self._batches * count].unflatten(1, (self._batches, count))
        own = torch.arange(cells, device=device)[:, None]
        for j in range(self._batches):
            yield self._x0[own, rows[:, j]], self._y[own, rows[:, j]], t[:, j], z[:, j]

    def step(self, step: int, x0: Tensor, y: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Step on a batch, after so many steps before; returns the cells' losses (C,)."""
        losses = denoising_score_matching(self._network, x0, y, t, z)
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        self._optimizer.param_groups[0]["lr"] = self._recipe.rate(step / self._steps)
        self._optimizer.step()
        if self._average is not None:
            follow(self._average, self._network, self._recipe.average, step)
        return losses.detach()

    @torch.no_grad()
    def hand_back(self) -> None:
        """Give every cell its weights, average and moments, from which its checkpoint is written."""
        parameters = list(self._network.parameters())
        weights = _on_host(parameters)
        averages = [] if self._average is None else _on_host(self._average.parameters())
        moments = {key: _on_host(self._optimizer.state[each][key] for each in parameters) for key in ("step", *MOMENTS)}
        for i, state in enumerate(self._states):
            own = list(state.network.parameters())
            for weight, values in zip(own, weights, strict=True):
                weight.copy_(values[i])
            if state.average is not None:
                for weight, values in zip(state.average.parameters(), averages, strict=True):
                    weight.copy_(values[i])
            state.optimizer.param_groups[0]["lr"] = self._optimizer.param_groups[0]["lr"]
            for j, weight in enumerate(own):
                of_cell = {key: moments[key][j][i].clone() for key in MOMENTS}
                state.optimizer.state[weight] = {"step": moments["step"][j].clone()} | of_cell


def _on_host(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().cpu() for tensor in tensors]


def _stacked_moments(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The optimizer states of cells at one step as one."""
    parts = [cell["state"] for cell in cells]
    state = {
        i: {"step": moments["step"]} | {key: torch.stack([part[i][key] for part in parts]) for key in MOMENTS}
        for i, moments in parts[0].items()
    }
    return {"state": state, "param_groups": cells[0]["param_groups"]}
