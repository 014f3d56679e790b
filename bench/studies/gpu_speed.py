"""How far training and sampling are from what the device could do, and what comes nearer.

The flux network of recipe `tuned`, on a GPU if there is one and else on one core, trained and sampled

- *plain*: operation by operation, as `fluxbench train` and `fluxbench sample` do;
- *compiled*: by torch.compile, which fuses operations;
- *CUDA graph*: recorded once and replayed, so that nothing is launched by the host;
- *stacked*: several cells in one set of matrix products, as `fluxbench train` does on a GPU.

The floor of so many cells is the longer of two times: their matrix products' operations (a forward pass 2 B sum in out,
a backward pass twice that) at the rate of a large product, and the bytes that must move even if everything else were
fused (weights, gradients, Adam's moments, the average; inputs and outputs of every layer) at the rate of a large copy.
Both rates are measured first, in the same float32. A mode that the device does not have says so, and why.
"""

import copy
import math
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from fluxbench.bench.asv.samplers import END
from fluxbench.bench.asv.training import SIZES, cell_of, write_data
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.diffusion.integrators import Exponential
from fluxbench.diffusion.integrators.integrator import Score
from fluxbench.diffusion.losses import DenoisingLoss
from fluxbench.diffusion.networks import ScoreNetwork, given
from fluxbench.provenance import processor
from fluxbench.storage import Row
from fluxbench.training.recipes import Recipe
from fluxbench.training.stacked import Stack, stacked_network
from fluxbench.training.state import State
from fluxbench.training.trainer import draw_times, follow

TITLE = "Training and sampling beside what the device could do"
ROUNDS = 3
CELL = replace(cell_of("tuned, flux"), noise=0.01)
STACKS = (1, 8, 32)
EVALUATIONS = 16
"""Of the default ODE sampler."""
SAMPLER = Exponential(0.0, EVALUATIONS)
ROWS = {"cpu": 1_000, "cuda": 20_000}
"""Samples a cell that are drawn at once."""
MATRIX = {"cpu": 1_024, "cuda": 8_192}
"""Rows and columns of the large product."""
COPIED = {"cpu": 2**28, "cuda": 2**31}
"""Bytes of the large copy."""
SECONDS = 2.0
"""A measurement takes about so long."""
PATIENCE = {"cpu": 60.0, "cuda": 300.0}
"""Seconds after which compiling is given up."""
LATE = 1_000
"""A step at which the moving average has a long memory."""
AT_LEAST = {"cpu": 0.6, "cuda": 5.0}
"""Times the plain trainer's speed, for the largest stack, which on a core has nothing idle to use."""

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
Workload = Callable[[int], Any]
"""Does so many steps, or draws so often."""


@dataclass(frozen=True)
class Device:
    """What is measured on, and its limits.

    Attributes:
        device: in torch's words.
        name: in its maker's words.
        flops: operations a second of a large float32 product.
        bytes: bytes a second, read and written by a large copy.
    """

    device: torch.device
    name: str
    flops: float
    bytes: float

    @classmethod
    def at_hand(cls) -> "Device":
        """Return the GPU if there is one, else a core, its limits measured."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        name = torch.cuda.get_device_name() if device.type == "cuda" else f"one core of {processor()}"
        size, count = MATRIX[device.type], COPIED[device.type] // 4
        a, b = (torch.randn(size, size, device=device) for _ in range(2))
        source, target = (torch.zeros(count, device=device) for _ in range(2))
        product = _fastest(lambda: torch.mm(a, b), device)
        copied = _fastest(lambda: target.copy_(source), device)
        return cls(device, name, 2.0 * size**3 / product, 8.0 * count / copied)

    def floor(self, flops: float, moved: float) -> float:
        """Return the least seconds for so many operations and so many bytes moved."""
        return max(flops / self.flops, moved / self.bytes)


def _fastest(work: Callable[[], Any], device: torch.device) -> float:
    return min(_seconds(lambda times: work(), 1, device) for _ in range(7))


def _seconds(run: Workload, times: int, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    run(times)
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rate(run: Workload, device: torch.device, rounds: int) -> float:
    """Return steps, or draws, a second: the median of several rounds after a warm one."""
    with patience(PATIENCE[device.type]):
        run(3)
    times = min(max(math.ceil(SECONDS / rounds / max(_seconds(run, 1, device), 1e-6)), 1), 2_000)
    return times / median(_seconds(run, times, device) for _ in range(rounds))


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Give up a block that takes longer than so many seconds.

    Raises:
        TimeoutError: if it does.
    """
    over = False

    def give_up(*_of_signal: Any) -> None:
        nonlocal over
        over = True
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Exception as error:  # a compiler makes an error of its own of it
        if over:
            raise TimeoutError(f"not ready after {seconds:g} seconds") from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def training_costs(network: ScoreNetwork, batch: int) -> tuple[float, float]:
    """Return the operations and the bytes of a training step of one cell.

    Weights: read by both passes, the gradient written; Adam reads weight, gradient and two moments and writes three of
    them; the average reads two and writes one. Activations of a layer: input and output of the forward pass; input,
    output's gradient and input's gradient of the backward pass.
    """
    layers = _layers(network)
    weights = sum(parameter.numel() for parameter in network.parameters())
    activations = batch * sum(3 * into + 2 * out for into, out in layers)
    return 6.0 * batch * sum(into * out for into, out in layers), 4.0 * (13 * weights + activations)


def sampling_costs(network: ScoreNetwork, rows: int) -> tuple[float, float]:
    """Return the operations and the bytes of all evaluations for so many samples of one cell."""
    layers = _layers(network)
    weights = sum(parameter.numel() for parameter in network.parameters())
    activations = rows * sum(into + out for into, out in layers)
    return EVALUATIONS * 2.0 * rows * sum(into * out for into, out in layers), EVALUATIONS * 4.0 * (
        weights + activations
    )


def _layers(network: ScoreNetwork) -> list[tuple[int, int]]:
    return [(part.in_features, part.out_features) for part in network.modules() if isinstance(part, nn.Linear)]


def batches(state: State) -> Iterator[Batch]:
    """Yield batches without end as the plain trainer draws them: x, y, times and normals."""
    recipe, count, device = state.cell.hyperparameters, state.cell.hyperparameters.batch_size, state.x0.device
    while True:
        order = torch.randperm(len(state.x0), generator=state.generator, device=device)
        for i in range(state.steps_per_epoch):
            rows = order[i * count : (i + 1) * count]
            t = draw_times(recipe, state.network.formulation, count, state.generator)
            z = torch.randn(count, state.x0.shape[1], generator=state.generator, device=device)
            yield state.x0[rows], state.y[rows], t, z


def plain_steps(state: State, objective: Callable[..., Tensor]) -> Workload:
    """Return steps of the plain trainer, with its network's loss as a module."""
    recipe, drawn, average = state.cell.hyperparameters, batches(state), state.average

    def run(steps: int) -> None:
        for _ in range(steps):
            loss = objective(*next(drawn))
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            state.optimizer.step()
            if average is not None:
                follow(average, state.network, recipe.average, LATE)

    return run


def graph_steps(state: State, recipe: Recipe) -> Workload:
    """Return steps of the plain trainer from a CUDA graph, on batches that are copied to where it reads them."""
    objective, drawn, average = DenoisingLoss(state.network), batches(state), state.average
    held = tuple(part.clone() for part in next(drawn))
    rate = torch.tensor(1e-4, device=state.x0.device)
    optimizer = torch.optim.Adam(state.network.parameters(), lr=rate, fused=True, capturable=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        objective(*held).backward()
        optimizer.step()
        if average is not None:
            follow(average, state.network, recipe.average, LATE)

    graph = _recorded(step)

    def run(steps: int) -> None:
        for _ in range(steps):
            for place, part in zip(held, next(drawn), strict=True):
                place.copy_(part)
            graph.replay()

    return run


def _recorded(work: Callable[[], Any]) -> torch.cuda.CUDAGraph:
    """A graph of some work, which is done a few times before, on a stream of its own, as PyTorch asks for."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def stacked_steps(states: list[State]) -> Workload:
    """Return steps of a stack of networks."""
    stack = Stack(states)

    def endless() -> Iterator[Batch]:
        while True:
            yield from stack.epoch()

    drawn = endless()

    def run(steps: int) -> None:
        for _ in range(steps):
            stack.step(LATE, *next(drawn))

    return run


def draws(score: Score, network: ScoreNetwork, rows: int, size: int) -> Workload:
    """Return draws of so many samples of a size by the default ODE sampler."""
    device, process = next(network.parameters()).device, network.formulation
    end = process.sampling_end(0.0, END)

    @torch.no_grad()
    def run(times: int) -> None:
        for _ in range(times):
            SAMPLER.integrate(score, process, lambda: torch.randn(rows, size, device=device), end)

    return run


def stacked_score(network: ScoreNetwork, y: Tensor) -> Score:
    """Return the score of a stack, whose samplers see one long batch; y has shape (C, B, n)."""
    shape = y.shape[:2]

    def score(x: Tensor, t: Tensor, _rows: Tensor) -> Tensor:
        return network(x.unflatten(0, shape), y, t.unflatten(0, shape)).flatten(0, 1)

    return score


@torch.no_grad()
def graph_score(network: ScoreNetwork, y: Tensor, size: int) -> Score:
    """Return the score of one network from a CUDA graph, at conditions y of shape (B, n)."""
    x, t = torch.randn(len(y), size, device=y.device), torch.full((len(y),), 0.5, dtype=torch.float64, device=y.device)
    value = torch.empty_like(x)
    graph = _recorded(lambda: value.copy_(network(x, y, t)))

    def score(x_now: Tensor, t_now: Tensor, _rows: Tensor) -> Tensor:
        x.copy_(x_now)
        t.copy_(t_now)
        graph.replay()
        return value.clone()

    return score


class Modes:
    """Rows of modes, measured on one device.

    Args:
        device: what is measured on.
        rounds: how often everything is measured.
    """

    def __init__(self, device: Device, rounds: int) -> None:
        self._device, self._rounds = device, rounds
        self.rows: list[Row] = []

    def add(self, mode: str, cells: int, unit: str, amount: int, floor: float, make: Callable[[], Workload]) -> None:
        """Measure a mode and add its row.

        Args:
            mode: what it is called.
            cells: number of those that are trained or sampled together.
            unit: what is counted, a second.
            amount: how much of it a run does at a time for one cell.
            floor: least seconds of that for one cell.
            make: sets up what is run.
        """
        row: Row = {"mode": mode, "cells": cells}
        try:
            frequency = rate(make(), self._device.device, self._rounds)
            row |= {f"{unit} a cell": amount * frequency, f"{unit} in all": amount * cells * frequency}
            row |= {
                "floor, seconds": cells * floor,
                "seconds": 1.0 / frequency,
                "floor / seconds": cells * floor * frequency,
            }
        except Exception as error:  # whatever a compiler says, the other modes are measured
            row["not available"] = (" ".join(str(error).split()) or type(error).__name__)[:100].replace("|", "/")
        self.rows.append(row)
        print(line(row), flush=True)


def _graphs(device: torch.device) -> None:
    if device.type != "cuda":
        raise RuntimeError("CUDA alone has graphs")


def training(device: Device, states: Callable[[int], list[State]], rounds: int) -> list[Row]:
    """Measure steps a second in every mode, a row each."""
    modes, recipe = Modes(device, rounds), CELL.hyperparameters
    floor = device.floor(*training_costs(states(1)[0].network, recipe.batch_size))

    def plain() -> Workload:
        (state,) = states(1)
        return plain_steps(state, DenoisingLoss(state.network))

    def compiled() -> Workload:
        (state,) = states(1)
        return plain_steps(state, torch.compile(DenoisingLoss(state.network)))

    def graph() -> Workload:
        _graphs(device.device)
        return graph_steps(states(1)[0], recipe)

    def stacked(cells: int) -> Workload:
        return stacked_steps(states(cells))

    for mode, make in {"plain": plain, "compiled": compiled, "CUDA graph": graph}.items():
        modes.add(mode, 1, "steps/s", 1, floor, make)
    for cells in STACKS:
        modes.add(f"stacked, {cells}", cells, "steps/s", 1, floor, partial(stacked, cells))
    return modes.rows


def sampling(device: Device, states: Callable[[int], list[State]], rounds: int) -> list[Row]:
    """Measure samples a second in every mode, a row each."""
    modes, rows = Modes(device, rounds), ROWS[device.device.type]
    state = states(1)[0]
    network, size = state.network.requires_grad_(False).eval(), state.x0.shape[1]
    y = state.y[torch.arange(rows, device=device.device) % len(state.y)]
    floor = device.floor(*sampling_costs(network, rows))

    def graph() -> Workload:
        _graphs(device.device)
        return draws(graph_score(network, y, size), network, rows, size)

    def stacked(cells: int) -> Workload:
        stack = stacked_network([copy.deepcopy(network) for _ in range(cells)])
        return draws(stacked_score(stack, y.expand(cells, *y.shape)), stack, cells * rows, size)

    single = {
        "plain": lambda: draws(given(network, y), network, rows, size),
        "compiled": lambda: draws(given(torch.compile(network), y), network, rows, size),
        "CUDA graph": graph,
    }
    for mode, make in single.items():
        modes.add(mode, 1, "samples/s", rows, floor, make)
    for cells in STACKS:
        modes.add(f"stacked, {cells}", cells, "samples/s", rows, floor, partial(stacked, cells))
    return modes.rows


def measure(options: Options) -> Findings:
    """Measure the device, training and sampling: three tables and one goal."""
    torch.set_num_threads(1)
    inductor.compile_threads = 1  # no processes that go on compiling what was given up, and disturb what comes next
    device = Device.at_hand()
    where: Row = {"device": device.name, "torch": torch.__version__}
    where |= {"products, GFLOP/s": device.flops / 1e9, "copies, GB/s": device.bytes / 1e9}
    print(line(where), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "flux.h5"
        write_data("flux", path)

        def states(cells: int) -> list[State]:
            return [
                State.of(replace(CELL, seed=seed), path, path.with_suffix(".pt"), device.device)
                for seed in range(cells)
            ]

        trained, sampled = training(device, states, options.rounds), sampling(device, states, options.rounds)
    samples, x_size, y_size = SIZES["flux"]
    tables = {
        "Device": [where],
        f"Training on {device.name}: {samples:,} samples, x of {x_size}, y of {y_size}, batches of "
        f"{CELL.hyperparameters.batch_size:,}": trained,
        f"Sampling on {device.name}: {EVALUATIONS} evaluations, {ROWS[device.device.type]:,} samples a cell": sampled,
    }
    times = trained[-1].get("steps/s in all", 0.0) / trained[0]["steps/s in all"]
    bar = AT_LEAST[device.device.type]
    what = f"{device.name}: a stack of {STACKS[-1]}, times the plain trainer's steps a second"
    return tables, [goal(what, times, times >= bar, f"at least {bar:g}")]
