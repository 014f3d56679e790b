"""What the training loop costs beyond forward, backward and Adam on the same tensors.

For each recipe and kind of problem: steps a second of the loop as `fluxbench train` runs it, with its random numbers,
batches, moving average, statistics and checkpoints, beside those of the bare loop. In turns, one thread, the median of
several rounds.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from fluxbench.bench.asv.training import NETWORKS, SIZES, bare_step, cell_of, write_data
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import RECIPES
from fluxbench.training.trainer import train

TITLE = "Speed of the training loop"
ROUNDS = 5
STEPS = 500
ALLOWED = 0.1
"""Share of the bare loop's time that the training loop may take beyond it."""


def bare(cell: Cell) -> float:
    """Return the seconds a step of forward, backward and Adam on tensors that are there."""
    step = bare_step(cell)
    began = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - began) / STEPS


def loop(cell: Cell, data_path: Path, path: Path) -> float:
    """Return the seconds a step of the training loop, checkpoints and all."""
    path.unlink(missing_ok=True)
    train(cell, data_path, path, "cpu")
    saved = checkpoints.load(path)
    return saved.seconds / saved.steps


def measure(options: Options) -> Findings:
    """Measure every recipe and kind of problem, a row each, with a goal each."""
    torch.set_num_threads(1)
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as directory:
        for network in NETWORKS:
            name, kind = network.split(", ")
            epochs = STEPS // (SIZES[kind][0] // RECIPES[name][kind].batch_size)
            cell = cell_of(network, epochs=epochs)
            paths = Path(directory) / f"{kind}.h5", Path(directory) / f"{kind}.pt"
            write_data(kind, paths[0])
            bare(cell)  # warm
            pairs = [(bare(cell), loop(cell, *paths)) for _ in range(options.rounds)]
            ratio = median(whole / alone for alone, whole in pairs)
            alone, whole = (median(times) for times in zip(*pairs, strict=True))
            rows.append(
                {"recipe": name, "kind": kind, "bare, steps/s": 1.0 / alone, "loop, steps/s": 1.0 / whole}
                | {"loop / bare, median of rounds": ratio}
            )
            print(line(rows[-1]), flush=True)
            what = f"recipe `{name}`, {kind}: training loop beyond the bare one"
            goals.append(goal(what, ratio - 1.0, ratio - 1.0 <= ALLOWED, f"at most {ALLOWED}"))
    return {"One thread": rows}, goals
