"""Training learns a known score, and a killed run ends with the bits of a quiet one."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fluxbench.diffusion.formulations import formulation
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.data.measurements import Measured
from fluxbench.training import checkpoints, ending, workers
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import Recipe
from fluxbench.training.trainer import train

REPOSITORY = Path(__file__).parents[2]
STD = 0.5
RECIPE = Recipe(2, 64, 1e-3, 500, 300, sigma_max=5.0, t_min=1e-3)
CELL = Cell("gaussian", "vp-k2", 0.0, "test", 0, RECIPE)
TUNED = replace(
    RECIPE,
    learning_rate=3e-3,
    epochs=150,
    t_min=0.0,
    noise_ratio_min=2e-3,
    sigma_max=120.0,
    network="residual",
    preconditioned=True,
    standardised=True,
    times="log-normal",
    level_std=1.4,
    schedule="cosine",
    average=0.99,
)
SHORT = replace(CELL, hyperparameters=replace(TUNED, epochs=300, hidden_layers=1, width=16))
TINY = replace(SHORT, hyperparameters=replace(SHORT.hyperparameters, epochs=20))


def checkpoint_path(directory: Path, cell: Cell) -> Path:
    return directory / f"{cell.name}.pt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x = y + 0.5 z with y ~ N(0, 1): p(x | y) is Gaussian and its score is known."""
    path = tmp_path_factory.mktemp("data") / "gaussian.h5"
    rng = np.random.default_rng(0)

    def split(size: int) -> Split:
        y = rng.normal(size=(size, 1))
        return Split(y + STD * rng.normal(size=(size, 1)), y)

    specification = {"problem": "gaussian", "seed": 0}
    datasets.write(path, Dataset(specification, {}, split(5000), split(100), None, {"x": "1", "y": "1"}))
    return path


@pytest.mark.parametrize("recipe", [RECIPE, TUNED], ids=["paper", "tuned"])
@pytest.mark.parametrize("name", ["ve", "vp-k1", "vp-k2", "vp-k4"])
def test_training_on_a_gaussian_recovers_its_score(name: str, recipe: Recipe, data: Path, tmp_path: Path) -> None:
    cell = replace(CELL, formulation=name, hyperparameters=recipe)
    train(cell, data, checkpoint_path(tmp_path, cell), "cpu")
    saved = checkpoints.load(checkpoint_path(tmp_path, cell))
    network, seen = saved.network(torch.device("cpu")), saved.normalisation
    process = formulation(name, recipe.sigma_max)
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(4000, 1, generator=generator).double()
    told = seen.condition(Measured(y.numpy(), y.numpy(), None, np.zeros(len(y))))
    mean, std0 = (
        torch.as_tensor(seen.standardise(y.numpy())),
        STD / seen.x_std[0],
    )  # of p(x | y), in the network's units
    t = torch.rand(4000, generator=generator, dtype=torch.float64) * 0.9 + 0.1
    m, sigma = process.m(t)[:, None], process.sigma(t)[:, None]
    std = torch.sqrt(m**2 * std0**2 + sigma**2)
    z = torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    x = (m * mean + std * z).float()
    exact = -z / std
    error = (network(x, torch.as_tensor(told).float(), t).double() - exact) * sigma
    untrained = exact * sigma  # the error of a score that is zero
    assert error.square().mean().sqrt() < 0.1 * untrained.square().mean().sqrt()


def test_a_killed_run_ends_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    """kill -9 at three places; every restart goes on from the last checkpoint, none from the start."""
    quiet_path, killed_path = (checkpoint_path(tmp_path / name, SHORT) for name in ("quiet", "killed"))
    train(SHORT, data, quiet_path, "cpu")
    program = (
        "import os, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.training.test_trainer import SHORT\n"
        "from fluxbench.training.trainer import train\n"
        "done = []\n"
        "def progress(steps):\n"
        "    done.append(steps)\n"
        "    if len(done) == 1: print(steps, flush=True)\n"
        "    if sum(done) - done[0] >= int(sys.argv[4]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "train(SHORT, Path(sys.argv[2]), Path(sys.argv[3]), 'cpu', progress)\n"
    )
    command = [sys.executable, "-c", program, str(REPOSITORY), str(data), str(killed_path)]
    resumed_from = []
    for kill_after in (690, 1200, 700):
        job = subprocess.run([*command, str(kill_after)], stdout=subprocess.PIPE, text=True, check=False)
        assert job.returncode == -signal.SIGKILL
        resumed_from.append(int(job.stdout))
    assert resumed_from == [10, 500, 1500]  # the first epoch's steps, then what the checkpoints held
    train(SHORT, data, killed_path, "cpu")

    quiet, killed = (checkpoints.load(path) for path in (quiet_path, killed_path))
    assert quiet.finished
    assert killed.finished
    for name, weights in quiet.model.items():
        assert torch.equal(weights, killed.model[name]), name
    assert quiet.average is not None
    assert killed.average is not None
    for name, weights in quiet.average.items():
        assert torch.equal(weights, killed.average[name]), name
    for key, state in quiet.optimizer["state"].items():
        assert all(torch.equal(state[name], killed.optimizer["state"][key][name]) for name in state)
    assert torch.equal(quiet.generator, killed.generator)

    def ticks(name: str) -> list[tuple[int, float]]:
        lines = checkpoint_path(tmp_path / name, SHORT).with_suffix(".jsonl").read_text().splitlines()
        return [(tick["step"], tick["loss"]) for tick in map(json.loads, lines)]

    assert ticks("killed") == ticks("quiet")
    assert [step for step, _ in ticks("quiet")] == list(range(500, 3001, 500))


def test_who_is_asked_to_end_keeps_every_epoch_and_goes_on_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    quiet, asked = (checkpoint_path(tmp_path / name, SHORT) for name in ("quiet", "asked"))
    train(SHORT, data, quiet, "cpu")
    asked.parent.mkdir(parents=True)
    done: list[int] = []

    def ask(steps: int) -> None:
        done.append(steps)
        if sum(done) == 690:
            asked.with_name(ending.NAME).touch()

    train(SHORT, data, asked, "cpu", ask)
    assert checkpoints.load(asked).step == sum(done) == 690
    train(SHORT, data, asked, "cpu")  # it is still asked
    assert checkpoints.load(asked).step == 690
    asked.with_name(ending.NAME).unlink()
    train(SHORT, data, asked, "cpu")
    saved = checkpoints.load(asked)
    assert saved.finished
    for name, weights in checkpoints.load(quiet).model.items():
        assert torch.equal(saved.model[name], weights), name


def test_samples_are_drawn_with_the_averaged_weights(data: Path, tmp_path: Path) -> None:
    """Which at first follow the last ones closely: nothing of the untrained network is left in them."""
    path = checkpoint_path(tmp_path, TINY)
    train(TINY, data, path, "cpu")
    saved = checkpoints.load(path)
    network = saved.network(torch.device("cpu"))
    assert saved.average is not None
    for name, weights in network.state_dict().items():
        assert torch.equal(weights, saved.average[name])
    bias = "layers.last.bias"
    assert not torch.equal(network.state_dict()[bias], saved.model[bias])
    start = checkpoints.build_network(TINY, 1, 1).state_dict()[bias]
    assert (network.state_dict()[bias] - saved.model[bias]).abs() < 0.5 * (start - saved.model[bias]).abs()


def test_a_finished_cell_is_not_trained_again(data: Path, tmp_path: Path) -> None:
    train(TINY, data, checkpoint_path(tmp_path, TINY), "cpu")
    before = checkpoint_path(tmp_path, TINY).stat().st_mtime_ns
    reported: list[int] = []
    train(TINY, data, checkpoint_path(tmp_path, TINY), "cpu", reported.append)
    assert reported == [TINY.steps(5000)]
    assert checkpoint_path(tmp_path, TINY).stat().st_mtime_ns == before


def test_another_configuration_is_refused(data: Path, tmp_path: Path) -> None:
    train(TINY, data, checkpoint_path(tmp_path, TINY), "cpu")
    other = replace(TINY, hyperparameters=replace(TINY.hyperparameters, width=32))
    with pytest.raises(InputError, match=r"cell.hyperparameters.width = 16, but 32 is asked for"):
        train(other, data, checkpoint_path(tmp_path, TINY), "cpu")


def test_damaged_and_foreign_checkpoints_are_named(data: Path, tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, TINY)
    train(TINY, data, checkpoint_path(tmp_path, TINY), "cpu")
    content = path.read_bytes()
    for bad in (content[: len(content) // 2], b"not a checkpoint", b""):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"expected a checkpoint, found a damaged or foreign file"):
            train(TINY, data, checkpoint_path(tmp_path, TINY), "cpu")
    torch.save({"schema": "other", "version": 9}, path)
    with pytest.raises(
        InputError,
        match=f"expected fluxbench.checkpoint version {checkpoints.VERSION}, found other version 9; remove it",
    ):
        train(TINY, data, checkpoint_path(tmp_path, TINY), "cpu")


def test_too_little_data_is_refused(data: Path, tmp_path: Path) -> None:
    greedy = replace(TINY, hyperparameters=replace(TINY.hyperparameters, batch_size=6000))
    with pytest.raises(InputError, match=r"expected at least a batch of 6000 samples, found 5000"):
        train(greedy, data, checkpoint_path(tmp_path, TINY), "cpu")


def test_divergence_is_reported_and_leaves_the_last_good_checkpoint(data: Path, tmp_path: Path) -> None:
    wild = replace(TINY, hyperparameters=replace(TINY.hyperparameters, learning_rate=1e30))
    with pytest.raises(InputError, match=r"training diverged before step 200: the loss is"):
        train(wild, data, checkpoint_path(tmp_path, TINY), "cpu")
    assert not checkpoint_path(tmp_path, TINY).exists()


def test_a_failing_task_does_not_stop_the_others(data: Path, tmp_path: Path) -> None:
    from functools import partial

    cells = [replace(TINY, hyperparameters=replace(TINY.hyperparameters, batch_size=6000, epochs=1)), TINY]
    paths = [tmp_path / "greedy.pt", tmp_path / "modest.pt"]
    pairs = zip(cells, paths, strict=True)
    tasks: list[workers.Labelled] = [(cell.name, 1, partial(train, cell, data, path, "cpu")) for cell, path in pairs]
    with pytest.raises(InputError, match=r"expected at least a batch of 6000 samples"):
        workers.run(tasks, 1, "train", "step", lambda number: "")
    assert checkpoints.load(paths[1]).finished


def test_a_checkpoint_of_another_device_is_refused(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.pt"
    train(TINY, data, path, "cpu")
    half = replace(checkpoints.load(path), step=100, provenance={"device": "cuda"})
    checkpoints.save(path, half)
    with pytest.raises(InputError, match=r"half.pt: half trained on cuda"):
        train(TINY, data, path, "cpu")
