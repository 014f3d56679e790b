"""Checkpoints: one dictionary with everything that is needed to resume or to sample."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fluxbench.diffusion.formulations import formulation
from fluxbench.diffusion.networks import FEATURES, PreconditionedNetwork, ResidualNetwork, ScoreNetwork, perceptron
from fluxbench.errors import InputError
from fluxbench.solvers.data.measurements import MinMax
from fluxbench.storage import atomic_path, check_specification
from fluxbench.training.cells import Cell
from fluxbench.training.normalisation import Normalisation
from fluxbench.training.recipes import Recipe

SCHEMA = "fluxbench.checkpoint"
VERSION = 6


@dataclass
class Checkpoint:
    """State of one cell's training.

    Attributes:
        specification: what determines the result; see :meth:`Cell.specification`.
        x_size: dimension of the inferred vector.
        y_size: dimension of what the network is conditioned on: y, and what of omega it sees.
        x_scale: normalisation of the inferred vector.
        y_scale: normalisation of the measurement vector.
        normalisation: from these to what the network sees.
        step: optimiser steps done.
        steps: optimiser steps in all.
        seconds: training time so far, over all attempts.
        model: the network's state.
        average: the moving average of its state; None if the recipe has none.
        optimizer: the optimiser's state.
        generator: state of the random number generator.
        provenance: where and when the file was written.
    """

    specification: dict[str, Any]
    x_size: int
    y_size: int
    x_scale: MinMax
    y_scale: MinMax
    normalisation: Normalisation
    step: int
    steps: int
    seconds: float
    model: dict[str, Tensor]
    average: dict[str, Tensor] | None
    optimizer: dict[str, Any]
    generator: Tensor
    provenance: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step == self.steps

    @property
    def cell(self) -> Cell:
        """The cell that was trained."""
        fields = dict(self.specification["cell"])
        fields["hyperparameters"] = Recipe(**fields["hyperparameters"])
        if isinstance(fields["noise"], list):  # JSON knows no tuples
            fields["noise"] = tuple(fields["noise"])
        return Cell(**fields)

    @property
    def masked(self) -> bool:
        """Whether the network was trained with sensors that are off, and is told which are on."""
        return bool(self.specification["sensors_on"] < 1.0)

    @property
    def measurement_size(self) -> int:
        """Number of readings in a measurement."""
        return (self.y_size - self.cell.amortised) // (2 if self.masked else 1)

    def network(self, device: torch.device) -> ScoreNetwork:
        """Return the network with its trained weights, on a device, ready to be evaluated."""
        network = build_network(self.cell, self.x_size, self.y_size).to(device)
        network.load_state_dict(self.model if self.average is None else self.average)
        return network.requires_grad_(False).eval()


def build_network(cell: Cell, x_size: int, y_size: int) -> ScoreNetwork:
    """Return a cell's network with freshly drawn weights."""
    recipe = cell.hyperparameters
    process = formulation(cell.formulation, recipe.sigma_max)
    body = ResidualNetwork if recipe.network == "residual" else perceptron
    scaled = PreconditionedNetwork if recipe.preconditioned else ScoreNetwork
    return scaled(process, body(FEATURES + x_size + y_size, x_size, recipe.hidden_layers, recipe.width))


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, in plain containers so that it can be read without running code from it."""
    record = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    record |= {"x_scale": asdict(checkpoint.x_scale), "y_scale": asdict(checkpoint.y_scale)}
    record["normalisation"] = checkpoint.normalisation.record()
    with atomic_path(path) as temporary:
        torch.save({"schema": SCHEMA, "version": VERSION, **record}, temporary)


def load(path: Path, expected: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: file to read.
        expected: the specification that it must carry.

    Raises:
        InputError: if the file is absent, damaged, of another version, or made with another configuration.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench train` makes it")
    try:
        record = torch.load(path, map_location="cpu", weights_only=True)
        found = (record.pop("schema"), record.pop("version"))
    except Exception as error:  # torch raises whatever the broken bytes provoke
        raise InputError(f"{path}: expected a checkpoint, found a damaged or foreign file; remove it") from error
    if found != (SCHEMA, VERSION):
        raise InputError(f"{path}: expected {SCHEMA} version {VERSION}, found {found[0]} version {found[1]}; remove it")
    if expected is not None:
        check_specification(path, record["specification"], expected)
    record |= {"x_scale": MinMax(**record["x_scale"]), "y_scale": MinMax(**record["y_scale"])}
    record["normalisation"] = Normalisation.of_record(record["normalisation"])
    return Checkpoint(**record)


def load_trained(path: Path, expected: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read a checkpoint whose training is done, as :func:`load`.

    Raises:
        InputError: also if training is not done.
    """
    checkpoint = load(path, expected)
    if not checkpoint.finished:
        found = f"{checkpoint.step} of {checkpoint.steps} steps"
        raise InputError(f"{path}: expected a trained network, found one after {found}; `fluxbench train`")
    return checkpoint
