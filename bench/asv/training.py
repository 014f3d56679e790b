"""Training: seconds a step by network and batch, and of the whole loop.

Studies of speed train the same networks on the same data sets: ``cell_of``, ``write_data`` and ``bare_step``.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fluxbench.diffusion.losses import denoising_score_matching
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import RECIPES
from fluxbench.training.trainer import draw_times, train

SIZES = {"densities": (10_000, 1, 1), "flux": (9_000, 30, 30)}
"""Samples, dimension of x and of y."""
NETWORKS = ("paper, densities", "paper, flux", "tuned, densities", "tuned, flux")


def cell_of(network: str, **changes: Any) -> Cell:
    """Return a network's cell: one of ``NETWORKS``, with hyper-parameters changed."""
    recipe, kind = network.split(", ")
    return Cell(kind, "vp-k2", 0.0, recipe, 0, replace(RECIPES[recipe][kind], **changes))


def write_data(kind: str, path: Path, specification: dict[str, Any] | None = None) -> None:
    """Write a data set of the kind's size; what stands in it does not count.

    Args:
        kind: one of ``SIZES``.
        path: of the data set.
        specification: that it carries; by default that of a problem of the kind's name.
    """
    count, *sizes = SIZES[kind]
    random = np.random.default_rng(0)
    split = Split(*(random.normal(size=(count, size)) for size in sizes))
    specification = specification or {"problem": kind, "seed": 0}
    datasets.write(path, Dataset(specification, {}, split, split, None, {"x": "1", "y": "1"}))


def bare_step(cell: Cell) -> Callable[[], None]:
    """Return a step that trains a cell's network by forward, backward and Adam alone, always on one batch."""
    recipe, (_, x_size, y_size) = cell.hyperparameters, SIZES[cell.problem]
    network = checkpoints.build_network(cell, x_size, y_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)
    x0, z, y = (torch.randn(recipe.batch_size, size, generator=generator) for size in (x_size, x_size, y_size))
    t = draw_times(recipe, network.formulation, recipe.batch_size, generator)

    def step() -> None:
        loss = denoising_score_matching(network, x0, y, t, z)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step()  # the first one makes room for gradients and Adam's state
    return step


class Step:
    """Forward, backward and Adam on a batch that is there."""

    params = (NETWORKS, (250, 1_000, 4_000))
    param_names = ("network", "batch")
    repeat = 20

    def setup(self, network: str, batch: int) -> None:
        """Build the network and draw the batch."""
        torch.set_num_threads(1)
        self.step = bare_step(cell_of(network, batch_size=batch))

    def time_step(self, network: str, batch: int) -> None:
        """Take a step; measured in seconds."""
        self.step()

    def peakmem_step(self, network: str, batch: int) -> None:
        """Take a step in a process that trains; measured in bytes at the most."""
        self.step()


class Loop:
    """A hundred steps as `fluxbench train` takes them: batches, moving average, statistics, checkpoint."""

    params = (NETWORKS,)
    param_names = ("network",)
    timeout, repeat = 300, 2

    def setup_cache(self) -> None:
        """Write data sets of the right size into the working directory."""
        for kind in SIZES:
            write_data(kind, Path(f"{kind}.h5"))

    def setup(self, network: str) -> None:
        """Forget what was trained."""
        torch.set_num_threads(1)
        count = SIZES[cell_of(network).problem][0]
        self.cell = cell_of(network, epochs=100_000 // count)
        self.path = Path(f"{network}.pt")
        for path in (self.path, self.path.with_suffix(".jsonl")):
            path.unlink(missing_ok=True)

    def time_train(self, network: str) -> None:
        """Take all steps, from reading the data set on; measured in seconds."""
        train(self.cell, Path(f"{self.cell.problem}.h5"), self.path, "cpu")
