"""A stack trains each of its cells as the plain trainer does, whatever happens to the others."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.training import checkpoints, ending, state
from fluxbench.training.cells import Cell
from fluxbench.training.planning import Job
from fluxbench.training.recipes import Recipe
from fluxbench.training.stacked import stacks, train_stack
from fluxbench.training.trainer import train

REPOSITORY = Path(__file__).parents[2]
STEPS = 24 * 8
PAPER = Recipe(2, 16, 1e-3, 250, 24, sigma_max=5.0, t_min=1e-3)
TUNED = replace(
    PAPER,
    learning_rate=3e-3,
    noise_ratio_min=2e-3,
    sigma_max=120.0,
    network="residual",
    preconditioned=True,
    standardised=True,
    times="log-normal",
    schedule="cosine",
    average=0.99,
)
CELL = Cell("gaussian", "vp-k2", 0.0, "test", 0, TUNED)


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "TICK_STEPS", 40)  # five epochs of eight steps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "gaussian.h5", 2000, 3)


def write_data(path: Path, samples: int, y_size: int) -> Path:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(samples, y_size))
    split = Split(y[:, :2] + 0.5 * rng.normal(size=(samples, 2)), y)
    datasets.write(path, Dataset({"problem": path.stem, "seed": 0}, {}, split, split, None, {"x": "1", "y": "1"}))
    return path


def three(data: Path, folder: Path, recipe: Recipe = TUNED) -> list[Job]:
    """Cells that differ in noise and seed."""
    cells = [replace(CELL, noise=noise, seed=seed, hyperparameters=recipe) for noise, seed in NOISES_AND_SEEDS]
    return [Job(cell, data, folder / f"{cell.seed}.pt", STEPS) for cell in cells]


NOISES_AND_SEEDS = ((0.0, 0), (0.05, 3), (0.2, 1))


def plain(job: Job) -> None:
    train(job.cell, job.data, job.path, "cpu")


def test_a_stack_that_is_asked_to_end_keeps_every_epoch_and_goes_on_with_the_same_bits(
    data: Path, tmp_path: Path
) -> None:
    quiet, asked = three(data, tmp_path / "quiet"), three(data, tmp_path / "asked")
    request = tmp_path / "asked" / ending.NAME
    request.parent.mkdir()
    assert not train_stack(quiet, "cpu")
    done: list[int] = []

    def ask(steps: int) -> None:
        done.append(steps)
        if sum(done) == 3 * 56:
            request.touch()

    assert not train_stack(asked, "cpu", ask)
    assert [checkpoints.load(job.path).step for job in asked] == [56, 56, 56]
    request.unlink()
    assert not train_stack(asked, "cpu")
    for one, other in zip(quiet, asked, strict=True):
        expected, found = checkpoints.load(one.path), checkpoints.load(other.path)
        assert found.finished
        assert all(torch.equal(found.model[name], weights) for name, weights in expected.model.items())


class StoppedError(Exception):
    """In place of a kill where the process is the test's own."""


def stop_after(steps: int) -> Any:
    done = []

    def progress(more: int) -> None:
        done.append(more)
        if sum(done) >= steps:
            raise StoppedError

    return progress


def losses(path: Path) -> list[tuple[int, float]]:
    lines = path.with_suffix(".jsonl").read_text().splitlines()
    return [(tick["step"], tick["loss"]) for tick in map(json.loads, lines)]


def kinds(value: Any) -> Any:
    """What something is made of, tensors by dtype and shape."""
    if isinstance(value, dict):
        return {name: kinds(part) for name, part in value.items()}
    return (value.dtype, value.shape, value.device) if isinstance(value, torch.Tensor) else value


def agree(found: Path, expected: Path) -> None:
    """Two ways to train a cell ended the same but for rounding.

    Losses and what the networks say are compared, not single weights: Adam takes a full step on a weight whose gradient
    is nothing but rounding, of a ReLU that hardly ever fires, and such a weight counts for as little.
    """
    one, other = checkpoints.load(found), checkpoints.load(expected)
    assert [step for step, _ in losses(found)] == [step for step, _ in losses(expected)]
    np.testing.assert_allclose(losses(found), losses(expected), rtol=1e-4)
    assert torch.equal(one.generator, other.generator)
    assert one.step == other.step
    assert kinds(one.optimizer) == kinds(other.optimizer)
    for key, moments in one.optimizer["state"].items():
        assert torch.equal(moments["step"], other.optimizer["state"][key]["step"])
    generator = torch.Generator().manual_seed(9)
    x, y = torch.randn(500, 2, generator=generator), torch.randn(500, one.y_size, generator=generator)
    t = torch.rand(500, generator=generator, dtype=torch.float64) * 0.9 + 0.1
    for averaged in (True, False):
        said, expected_words = (
            replace(each, average=each.average if averaged else None).network(torch.device("cpu"))(x, y, t)
            for each in (one, other)
        )
        assert (said - expected_words).norm() < 2e-4 * expected_words.norm()


def same_bits(found: Path, expected: Path) -> None:
    one, other = checkpoints.load(found), checkpoints.load(expected)
    assert losses(found) == losses(expected)
    assert torch.equal(one.generator, other.generator)
    for these, those in ((one.model, other.model), (one.average or {}, other.average or {})):
        assert list(these) == list(those)
        assert all(torch.equal(these[name], those[name]) for name in these)
    for key, moments in one.optimizer["state"].items():
        assert all(torch.equal(moments[name], other.optimizer["state"][key][name]) for name in moments)


@pytest.mark.parametrize("recipe", [PAPER, TUNED], ids=["paper", "tuned"])
def test_a_stack_ends_as_the_plain_trainer(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    jobs, alone = three(data, tmp_path / "stacked", recipe), three(data, tmp_path / "plain", recipe)
    done: list[int] = []
    seen: list[tuple[str, float]] = []
    failed = train_stack(jobs, "cpu", done.append, lambda cell, tick: seen.append((cell.name, tick["step"])))
    assert failed == {}
    assert sum(done) == 3 * STEPS
    assert sorted(seen) == sorted((job.cell.name, s) for job in jobs for s in (40, 80, 120, 160, 192))
    for job, other in zip(jobs, alone, strict=True):
        plain(other)
        agree(job.path, other.path)
        assert checkpoints.load(job.path).finished
        assert checkpoints.load(job.path).cell == job.cell
    with pytest.raises(AssertionError):
        agree(jobs[0].path, alone[1].path)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch._dynamo  # which optimisers load
from tests.training.test_stacked import three
from fluxbench.training import state
from fluxbench.training.stacked import train_stack

state.TICK_STEPS = 40
for kill_after in (56, 104):
    if os.fork() == 0:  # rather than another program, because loading torch takes longer than the training
        done = []
        def progress(steps):
            done.append(steps)
            if len(done) == 1: print(steps, flush=True)
            if sum(done) >= 3 * kill_after: os.kill(os.getpid(), signal.SIGKILL)
        train_stack(three(Path(sys.argv[2]), Path(sys.argv[3])), "cpu", progress)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL
"""


def test_a_killed_stack_ends_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    """kill -9 between two ticks, and again in the next attempt."""
    quiet, killed = three(data, tmp_path / "quiet"), three(data, tmp_path / "killed")
    assert train_stack(quiet, "cpu") == {}
    command = [sys.executable, "-c", KILLED, str(REPOSITORY), str(data), str(killed[0].path.parent)]
    job = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    begun = [int(line) for line in job.stdout.split()]
    assert begun == [3 * 8, 3 * 40]  # the first epoch's steps, then what the checkpoints held
    assert train_stack(killed, "cpu") == {}
    for one, other in zip(killed, quiet, strict=True):
        same_bits(one.path, other.path)


def test_a_stack_stopped_between_two_checkpoints_falls_into_two(data: Path, tmp_path: Path) -> None:
    quiet, jobs = three(data, tmp_path / "quiet"), three(data, tmp_path / "stopped")
    assert train_stack(quiet, "cpu") == {}

    def watch(cell: Cell, tick: state.Statistics) -> None:
        if tick["step"] == 80:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_stack(jobs, "cpu", watch=watch)
    assert [checkpoints.load(job.path).step for job in jobs] == [80, 40, 40]
    parts = stacks(jobs, 32)
    assert parts == [jobs[:1], jobs[1:]]
    for part in parts:
        assert train_stack(part, "cpu") == {}
    for one, other in zip(jobs, quiet, strict=True):
        agree(one.path, other.path)


@pytest.mark.parametrize("recipe", [PAPER, TUNED], ids=["paper", "tuned"])
def test_either_trainer_goes_on_from_the_other(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    folders = ("plain", "stacked first", "plain first")
    alone, stacked_first, plain_first = (three(data, tmp_path / name, recipe) for name in folders)
    for job in alone:
        plain(job)
    with pytest.raises(StoppedError):
        train_stack(stacked_first, "cpu", stop_after(3 * 104))
    for job in plain_first:
        with pytest.raises(StoppedError):
            train(job.cell, job.data, job.path, "cpu", stop_after(104))
    assert {checkpoints.load(job.path).step for job in (*stacked_first, *plain_first)} == {80}
    for job in stacked_first:
        plain(job)
    assert train_stack(plain_first, "cpu") == {}
    for i, job in enumerate(alone):
        agree(stacked_first[i].path, job.path)
        agree(plain_first[i].path, job.path)


def test_a_cell_that_diverges_disturbs_nobody(data: Path, tmp_path: Path) -> None:
    quiet, jobs = three(data, tmp_path / "quiet"), three(data, tmp_path / "disturbed")
    assert train_stack(quiet, "cpu") == {}
    with pytest.raises(StoppedError):
        train_stack(jobs, "cpu", stop_after(3 * 48))
    sick = jobs[1]
    saved = checkpoints.load(sick.path)
    saved.model["layers.first.bias"][0] = float("nan")
    checkpoints.save(sick.path, saved)
    left = sick.path.read_bytes()

    seen: list[tuple[str, float]] = []
    done: list[int] = []
    failed = train_stack(jobs, "cpu", done.append, lambda cell, tick: seen.append((cell.name, tick["step"])))
    name = sick.cell.name
    assert failed == {name: "training diverged before step 80: the loss is nan"}
    with pytest.raises(InputError) as plainly:
        plain(sick)
    assert failed[name] == str(plainly.value)
    assert sick.path.read_bytes() == left
    assert [step for step, _ in losses(sick.path)] == [40]
    assert name not in dict(seen)
    assert sum(done) == 3 * 80 + 2 * (STEPS - 80)
    for i in (0, 2):
        same_bits(jobs[i].path, quiet[i].path)


def test_a_stack_ends_where_all_its_cells_diverge(data: Path, tmp_path: Path) -> None:
    jobs = three(data, tmp_path, replace(TUNED, learning_rate=1e30))
    done: list[int] = []
    failed = train_stack(jobs, "cpu", done.append)
    assert len(failed) == 3
    assert sum(done) == 3 * 40
    assert not any(job.path.exists() for job in jobs)


def test_cells_of_one_shape_are_stacked(data: Path, tmp_path: Path) -> None:
    def job(name: str, data: Path, **changes: Any) -> Job:
        return Job(replace(CELL, **changes), data, tmp_path / f"{name}.pt", STEPS)

    twin = write_data(tmp_path / "twin.h5", 2000, 3)
    alike = [
        job("first", data),
        job("noise", data, noise=0.1),
        job("seed", data, seed=5),
        job("problem", twin, problem="twin"),
        job("fifth", twin, problem="twin", seed=5),
    ]
    others = [
        job("formulation", data, formulation="vp-k1"),
        job("recipe", data, hyperparameters=replace(TUNED, width=32)),
        job("amortised", data, noise=(0.01, 0.1)),  # one more number to be told
        job("samples", write_data(tmp_path / "fewer.h5", 1999, 3)),
        job("sensors", write_data(tmp_path / "sensors.h5", 2000, 5)),
        job("missing", tmp_path / "missing.h5"),
    ]
    assert stacks([*alike[:3], *others, *alike[3:]], 8) == [alike, *([other] for other in others)]
    assert [len(stack) for stack in stacks(alike, 4)] == [2, 3]
    assert [len(stack) for stack in stacks(alike, 1)] == [1] * 5
    assert [job for stack in stacks(alike, 3) for job in stack] == alike
    failed = train_stack([others[-1]], "cpu")
    assert list(failed) == [others[-1].cell.name]
    assert "missing.h5: not found" in failed[others[-1].cell.name]
    with pytest.raises(ValueError, match=r"expected cells of one formulation, recipe, shape and step"):
        train_stack([alike[0], others[2]], "cpu")


def test_cells_that_are_done_are_left_out(data: Path, tmp_path: Path) -> None:
    jobs = three(data, tmp_path)
    plain(jobs[0])
    with pytest.raises(StoppedError):
        train(jobs[1].cell, data, jobs[1].path, "cpu", stop_after(48))
    done: list[int] = []
    parts = stacks(jobs, 8)
    assert parts == [[jobs[1]], [jobs[2]]]
    for part in parts:
        train_stack(part, "cpu", done.append)
    assert sum(done) == 2 * STEPS
    assert stacks(jobs, 8) == []
    before = jobs[0].path.stat().st_mtime_ns
    assert train_stack(jobs, "cpu") == {}
    assert jobs[0].path.stat().st_mtime_ns == before
    short = [replace(job, path=tmp_path / "short.pt", cell=replace(job.cell, hyperparameters=GREEDY)) for job in jobs]
    assert stacks(short[:1], 8) == [short[:1]]  # not done, but impossible
    assert "expected at least a batch of 3000 samples" in str(train_stack(short[:1], "cpu"))


GREEDY = replace(TUNED, batch_size=3000)
