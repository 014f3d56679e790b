"""Log-densities of a trained network's samples, along its probability-flow ODE."""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fluxbench.bench.draw import measured_by
from fluxbench.diffusion.likelihood import log_density
from fluxbench.errors import InputError
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell

Floats = NDArray[np.float64]


def log_densities(checkpoint_path: Path, cell: Cell, dataset: Dataset, x: Floats) -> Floats:
    """Log q(x | y) of a joint density's network where sampling stops, at the density's own values of y.

    There the model's density is that of m x_0 + sigma z, with sigma/m hardly above 0: of x_0 it is taken at m x.

    Args:
        checkpoint_path: the cell's trained network.
        cell: of a joint density.
        dataset: that it was trained on.
        x: where, shape (Y, N).

    Returns:
        Shape (Y, N), natural logarithms.

    Raises:
        InputError: if the checkpoint is missing or made otherwise, or the integration fails.
    """
    checkpoint = checkpoints.load_trained(checkpoint_path, cell.specification(dataset.specification))
    normalisation, recipe = checkpoint.normalisation, checkpoint.cell.hyperparameters
    condition = torch.as_tensor(normalisation.condition(measured_by(cell, dataset, len(x)))).repeat_interleave(
        x.shape[1], dim=0
    )
    network = checkpoint.network(torch.device("cpu")).double()
    process = network.formulation
    t_min = process.sampling_end(recipe.t_min, recipe.noise_ratio_end)

    def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        return network(x, condition[rows], t)

    m = process.m(torch.tensor(t_min, dtype=torch.float64)).item()
    at = normalisation.standardise(checkpoint.x_scale.normalise(x.reshape(-1, 1)))
    try:
        found = log_density(score, process, m * torch.as_tensor(at), t_min).value.numpy()
    except RuntimeError as error:
        raise InputError(f"{cell.name}: no log-density: {error}") from error
    stretch = m / (float(normalisation.x_std[0]) * checkpoint.x_scale.span)
    return (found + math.log(stretch)).reshape(x.shape)
