"""What the training loop costs beyond forward, backward and Adam on the same tensors:

    .venv/bin/fluxbench study training_speed

For each recipe and kind of problem: steps a second of the loop as `fluxbench train` runs it, with its random numbers,
batches, moving average, statistics and checkpoints, beside those of the bare loop. In turns, one thread, the median of
several rounds.
"""

import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch

from fluxbench.bench.studies.goals import Found, Options, goal, line, measuring_command
from fluxbench.diffusion.losses import denoising_score_matching
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import RECIPES
from fluxbench.training.trainer import draw_times, train

SIZES = {"densities": (10_000, 1, 1), "flux": (9_000, 30, 30)}
"""Samples, dimension of x and of y."""
STEPS = 500
ALLOWED = 0.1


def data(kind: str, path: Path) -> None:
    """A data set of that size; what stands in it does not count."""
    count, x_size, y_size = SIZES[kind]
    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(count, x_size)), rng.normal(size=(count, y_size)))
    specification = {"problem": kind, "seed": 0}
    datasets.write(path, Dataset(specification, {}, split, split, None, {"x": "1", "y": "1"}))


def bare(cell: Cell, x_size: int, y_size: int) -> float:
    """Seconds a step of forward, backward and Adam on tensors that are there."""
    recipe = cell.hyperparameters
    network = checkpoints.build_network(cell, x_size, y_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    x0, z = torch.randn(recipe.batch_size, x_size), torch.randn(recipe.batch_size, x_size)
    y = torch.randn(recipe.batch_size, y_size)
    t = draw_times(recipe, network.formulation, recipe.batch_size, torch.Generator().manual_seed(0))
    began = time.perf_counter()
    for _ in range(STEPS):
        loss = denoising_score_matching(network, x0, y, t, z)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - began) / STEPS


def loop(cell: Cell, data_path: Path, path: Path) -> float:
    """Seconds a step of the training loop, checkpoints and all."""
    path.unlink(missing_ok=True)
    train(cell, data_path, path, "cpu")
    saved = checkpoints.load(path)
    return saved.seconds / saved.steps


def compare(options: Options) -> Found:
    """The table and its goals."""
    torch.set_num_threads(1)
    rows, reached = [], []
    with tempfile.TemporaryDirectory() as directory:
        for name, kind in product(("paper", "tuned"), SIZES):
            (count, x_size, y_size), recipe = SIZES[kind], RECIPES[name][kind]
            epochs = STEPS // (count // recipe.batch_size)
            cell = Cell(kind, "vp-k2", 0.0, name, 0, replace(recipe, epochs=epochs))
            paths = Path(directory) / f"{kind}.h5", Path(directory) / f"{kind}.pt"
            data(kind, paths[0])
            bare(cell, x_size, y_size)  # warm
            pairs = [(bare(cell, x_size, y_size), loop(cell, *paths)) for _ in range(options.rounds)]
            ratio = median(whole / alone for alone, whole in pairs)
            alone, whole = (median(times) for times in zip(*pairs, strict=True))
            rows.append(
                {"recipe": name, "kind": kind, "bare, steps/s": 1.0 / alone, "loop, steps/s": 1.0 / whole}
                | {"loop / bare, median of rounds": ratio}
            )
            print(line(rows[-1]), flush=True)
            what = f"recipe `{name}`, {kind}: training loop beyond the bare one"
            reached.append(goal(what, ratio - 1.0, ratio - 1.0 <= ALLOWED, f"at most {ALLOWED}"))
    return {"One thread": rows}, reached


def main() -> int:
    """Command line."""
    return measuring_command("training_speed", __doc__, "Speed of the training loop", compare, rounds=5)


if __name__ == "__main__":
    sys.exit(main())
