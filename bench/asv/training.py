"""Training: seconds a step by network and batch, and of the whole loop."""

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
    """A network's cell, with hyper-parameters of its own."""
    recipe, kind = network.split(", ")
    return Cell(kind, "vp-k2", 0.0, recipe, 0, replace(RECIPES[recipe][kind], **changes))


class Step:
    """Forward, backward and Adam on a batch that is there."""

    params = (NETWORKS, (250, 1_000, 4_000))
    param_names = ("network", "batch")
    repeat = 20

    def setup(self, network: str, batch: int) -> None:
        """Build the network and draw the batch."""
        torch.set_num_threads(1)
        cell = cell_of(network, batch_size=batch)
        _, x_size, y_size = SIZES[cell.problem]
        self.network = checkpoints.build_network(cell, x_size, y_size)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4, fused=True)
        generator = torch.Generator().manual_seed(0)
        self.x0, self.z, self.y = (torch.randn(batch, size, generator=generator) for size in (x_size, x_size, y_size))
        self.t = draw_times(cell.hyperparameters, self.network.formulation, batch, generator)
        self.time_step(network, batch)  # the first step makes room for gradients and Adam's state

    def time_step(self, network: str, batch: int) -> None:
        """Seconds a step."""
        loss = denoising_score_matching(self.network, self.x0, self.y, self.t, self.z)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def peakmem_step(self, network: str, batch: int) -> None:
        """Bytes at the most, of a process that trains."""
        self.time_step(network, batch)


class Loop:
    """A hundred steps as `fluxbench train` takes them: batches, moving average, statistics, checkpoint."""

    params = (NETWORKS,)
    param_names = ("network",)
    timeout, repeat = 300, 2

    def setup_cache(self) -> None:
        """Write data sets of the right size into the working directory."""
        random = np.random.default_rng(0)
        for kind, (count, *sizes) in SIZES.items():
            split = Split(*(random.normal(size=(count, size)) for size in sizes))
            specification = {"problem": kind, "seed": 0}
            dataset = Dataset(specification, {}, split, split, None, {"x": "1", "y": "1"})
            datasets.write(Path(f"{kind}.h5"), dataset)

    def setup(self, network: str) -> None:
        """Forget what was trained."""
        torch.set_num_threads(1)
        count = SIZES[cell_of(network).problem][0]
        self.cell = cell_of(network, epochs=100_000 // count)
        self.path = Path(f"{network}.pt")
        for path in (self.path, self.path.with_suffix(".jsonl")):
            path.unlink(missing_ok=True)

    def time_train(self, network: str) -> None:
        """Seconds for all steps, from reading the data set on."""
        train(self.cell, Path(f"{self.cell.problem}.h5"), self.path, "cpu")
