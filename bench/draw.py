"""Posterior samples from trained networks: checkpoint and measurements in, blocks of a sample file out."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fluxbench import streams
from fluxbench.bench.files import samples
from fluxbench.bench.files.samples import Integrator, PosteriorSamples
from fluxbench.diffusion.networks import ScoreNetwork
from fluxbench.diffusion.samplers import Samples, euler_maruyama, exponential_multistep, heun, runge_kutta45
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.data.measurements import Measured, MeasurementOperator
from fluxbench.solvers.data.staging import staged
from fluxbench.solvers.problems import DENSITIES
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.checkpoints import Checkpoint

ROWS = {"cpu": 10_000, "cuda": 1_000_000}
"""Samples integrated at once, by device: enough to keep it busy, little enough memory."""
BLOCK = {"cpu": 50_000, "cuda": 1_000_000}
"""Samples a block, likewise: seconds of work, in a few megabytes."""


def blocks(path: Path, specification: dict[str, Any], measurements: int, generated: int, device: str) -> Blocks:
    """The blocks in which a sample file is made on a device."""
    return samples.blocks(path, specification, measurements, max(1, BLOCK[device] // generated))


def sample_block(
    cell: Cell,
    data_path: Path,
    checkpoint_path: Path,
    integrator: Integrator,
    made: Blocks,
    start: int,
    device: str,
    progress: Callable[[int], None] = lambda samples: None,
) -> None:
    """Sample one block of a cell's measurements and write it.

    A joint density is sampled at its own values of y, a flux problem at the first measurements of its test split.

    Args:
        cell: whose network.
        data_path: the data set that it was trained on.
        checkpoint_path: its trained network.
        integrator: how to integrate.
        made: the blocks of the sample file.
        start: the block's first measurement.
        device: ``"cpu"`` or ``"cuda"``.
        progress: called with the number of samples done since the last call.

    Raises:
        InputError: if an input is missing or damaged, or the network cannot be integrated.
    """
    dataset = datasets.read(staged(data_path))
    checkpoint = checkpoints.load_trained(checkpoint_path, cell.specification(dataset.specification))
    stop = start + made.rows_from(start)
    measured = measured_by(cell, dataset, stop).rows(start, stop)
    generated, seed = made.specification["generated"], made.specification["sampling_seed"]
    where = torch.device(device)
    began = time.perf_counter()
    try:
        x, evaluations = draw(checkpoint, measured, generated, integrator, seed, where, progress, start)
    except RuntimeError as error:
        raise InputError(f"{cell.name}: {error}") from error
    seconds = time.perf_counter() - began
    found = PosteriorSamples(made.specification, x, measured.y, measured.mask, evaluations, seconds)
    samples.write_block(made, start, found)


def measured_by(cell: Cell, dataset: Dataset, count: int) -> Measured:
    """A joint density's own values of y, or the first measurements of a flux problem's test split."""
    if cell.problem in DENSITIES:
        y = np.array(DENSITIES[cell.problem].y_values)[:, None]
        return Measured(np.zeros_like(y), y, None, np.zeros(len(y)))
    first = Split(dataset.test.x[:count], dataset.test.y[:count])
    return MeasurementOperator.of(dataset, cell.noise).measure(first, "test")


@torch.no_grad()
def draw(
    checkpoint: Checkpoint,
    measured: Measured,
    count: int,
    integrator: Integrator,
    seed: int,
    device: torch.device,
    progress: Callable[[int], None] = lambda samples: None,
    first: int = 0,
) -> tuple[NDArray[np.float32], float]:
    """Draw ``count`` posterior samples for each measurement.

    Each measurement has a random stream of its own, keyed by (seed, its index), whatever is sampled beside it.

    Args:
        checkpoint: of a trained cell.
        measured: M measurements; what they carry of x does not count.
        count: samples S for each.
        integrator: how to integrate.
        seed: of the random numbers.
        device: where the network is evaluated.
        progress: called with the number of samples done since the last call.
        first: index of the first measurement.

    Returns:
        Samples in physical units, shape (M, S, d), and the mean number of network evaluations a sample.

    Raises:
        InputError: if the measurements have the wrong shape or are not finite.
    """
    expected = checkpoint.measurement_size(masked=measured.mask is not None)
    if measured.y.ndim != 2 or measured.y.shape[1] != expected:
        found = measured.y.shape
        raise InputError(f"measurement: expected {expected} values in each row, found an array of shape {found}")
    finite = np.isfinite(measured.y).all(axis=1)
    if not finite.all():
        raise InputError(f"measurement {int(np.argmin(finite))}: expected finite numbers, found NaN")
    condition = checkpoint.normalisation.condition(measured)
    network = checkpoint.network(device)
    at_once = max(1, ROWS[device.type] // count)
    parts: list[Tensor] = []
    spent = 0.0
    for start in range(0, len(condition), at_once):
        batch = torch.as_tensor(condition[start : start + at_once], dtype=torch.float32, device=device)
        keys = [streams.key(seed, f"sampling/{first + start + j}")[0] for j in range(len(batch))]
        generators = [torch.Generator(device).manual_seed(int(key) >> 1) for key in keys]
        drawn = _integrate(network, batch.repeat_interleave(count, dim=0), generators, integrator, checkpoint)
        parts.append(drawn.x.reshape(len(batch), count, checkpoint.x_size).cpu())
        spent += drawn.evaluations * len(drawn.x)
        progress(len(drawn.x))
    x = checkpoint.x_scale.restore(checkpoint.normalisation.restore(torch.cat(parts).numpy()))
    return x.astype(np.float32), spent / (len(condition) * count)


def _integrate(
    network: ScoreNetwork, y: Tensor, generators: list[torch.Generator], integrator: Integrator, checkpoint: Checkpoint
) -> Samples:
    shape = (len(y) // len(generators), checkpoint.x_size)
    recipe = checkpoint.cell.hyperparameters
    t_min = network.formulation.sampling_end(recipe.t_min, recipe.noise_ratio_end)

    def score(x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        return network(x, y[rows], t)

    def normals() -> Tensor:
        return torch.cat([torch.randn(shape, generator=each, device=y.device) for each in generators])

    process, alpha, steps = network.formulation, integrator.alpha, integrator.steps
    match integrator.method:
        case "runge-kutta":
            return runge_kutta45(score, process, normals, t_min, integrator.tolerance)
        case "heun":
            return heun(score, process, normals, steps, t_min)
        case "euler-maruyama":
            return euler_maruyama(score, process, normals, alpha, steps, t_min)
        case _:
            return exponential_multistep(score, process, normals, alpha, steps, t_min)
