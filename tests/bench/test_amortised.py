"""One network for every mask and every noise level, through the command line."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fluxbench.bench import draw, layout
from fluxbench.bench.cli import main
from fluxbench.bench.config import Config, load
from fluxbench.bench.files import samples
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.training import checkpoints

CHANGES = [
    "name=amortised",
    "densities.problems=[]",
    "flux.problems=['multi-operator']",
    "flux.noise=[0.05, 0.4]",
    "flux.amortised=true",
    "flux.train_samples=3000",
    "flux.test_samples=60",
    "flux.measurements=60",
    "flux.generated=50",
    "flux.references=0",
    "flux.epochs=300",
    "training.formulations=['vp-k2']",
    "sampling.alphas=[0.0]",
    "sampling.costs=0",
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    changes = [*CHANGES, f"root={tmp_path_factory.mktemp('amortised')}"]
    assert main(["run", *(text for change in changes for text in ("--set", change))]) == 0
    return load("quick", changes)


def test_one_network_serves_every_level_above_zero(config: Config) -> None:
    assert len(config.networks()) == 2 + 1
    assert len(config.cells()) == 2 + 2
    shared = {cell.network_name for cell in config.cells() if cell.amortised is not None}
    assert shared == {"multi-operator_vp-k2_noise-amortised_tuned_seed-0"}
    assert len(list(Path(config.runs, "cells").glob("*.pt"))) == 3
    assert len(list(Path(config.runs, "samples").glob("*.h5"))) == 4


def test_it_stands_beside_one_network_a_level(config: Config) -> None:
    with (config.results / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "error"]
    for noise in ("0.05", "0.4"):
        values = {
            amortised: np.mean([float(row["value"]) for row in rows if (row["noise"], row["amortised"]) == key])
            for amortised in ("", "yes")
            for key in [(noise, amortised)]
        }
        exact = np.mean([float(row["linear_gaussian"]) for row in rows if row["noise"] == noise])
        assert 0.95 * exact < values["yes"] < 1.08 * exact
        assert values["yes"] < 1.05 * values[""]
    text = (config.results / "report.md").read_text()
    assert "| multi-operator | 0.4 | tuned | VP (k = 2), amortised | ODE |" in text


def test_it_believes_what_it_is_told_of_the_noise(config: Config) -> None:
    """The same readings, said to be noisier, leave a wider posterior."""
    cell = next(cell for cell in config.cells() if cell.amortised is not None)
    checkpoint = checkpoints.load(layout.checkpoint_path(config, cell))
    assert checkpoint.cell.amortised == (0.05, 0.4)
    data = datasets.read(layout.solved(config, cell.problem))
    by = config.sampling.integrators("tuned")[0]
    stds = []
    measured = MeasurementOperator.of(data, 0.05).measure(data.test, "test")
    for noise in (0.05, 0.15, 0.4):
        told = replace(measured, noise=np.full(len(measured.y), noise))
        stds.append(draw.draw(checkpoint, told, 50, by, 0, torch.device("cpu"))[0].std(axis=1).mean())
    assert stds[0] < stds[1] < stds[2]  # by little after so few steps: the mean is learnt first, the spread later
    found = samples.read(layout.sample_path(config, cell, by))
    assert found.x.std(axis=1).mean() == pytest.approx(stds[0], rel=0.02)


def test_level_zero_is_not_in_the_range() -> None:
    config = load("quick", [*CHANGES, "flux.noise=[0.0, 0.1, 0.4]"])
    shared = [cell for cell in config.cells() if cell.amortised is not None]
    assert [(cell.noise, cell.amortised) for cell in shared] == [(0.1, (0.1, 0.4)), (0.4, (0.1, 0.4))]


def test_a_range_needs_a_level_above_zero() -> None:
    with pytest.raises(InputError, match=r"flux: expected a noise level above 0 for amortised"):
        load("quick", ["flux.amortised=true", "flux.noise=[0.0]"])
