"""Processes that share a cell's batches end with the weights of one process but for rounding."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fluxbench.training import checkpoints, ending, state
from fluxbench.training.trainer import train
from tests.training.test_stacked import CELL, TUNED, agree, write_data

REPOSITORY = Path(__file__).parents[2]
ANOTHER = replace(CELL, seed=1)
ODD = replace(CELL, hyperparameters=replace(TUNED, batch_size=251))

PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch._dynamo  # which optimisers load
from torch import distributed
from fluxbench.errors import InputError
from tests.training.test_ddp import ANOTHER, CELL, ODD
from fluxbench.training import ending, state
from fluxbench.training.trainer import train

state.TICK_STEPS = 40
child = os.fork()  # rather than another program, because loading torch takes longer than the training
rank, folder = int(child == 0), Path(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
done = []
train(CELL, folder / "gaussian.h5", folder / f"rank{rank}" / "cell.pt", "cpu", done.append)
assert sum(done) == 192
asked = []
def ask(steps):  # one rank alone sees it
    asked.append(steps)
    if rank == 0 and sum(asked) == 56:
        (folder / "rank0" / ending.NAME).touch()
train(ANOTHER, folder / "gaussian.h5", folder / f"rank{rank}" / "another.pt", "cpu", ask)
assert sum(asked) == 56
try:
    train(ODD, folder / "gaussian.h5", folder / f"rank{rank}" / "odd.pt", "cpu")
except InputError as error:
    print(error, flush=True)
distributed.destroy_process_group()
if rank == 0:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What two ranks leave, each under a path of its own, and what they say."""
    folder = tmp_path_factory.mktemp("ddp")
    write_data(folder / "gaussian.h5", 2000, 3)
    command = [sys.executable, "-c", PROGRAM, str(REPOSITORY), str(folder)]
    return folder, subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout


def test_two_processes_train_as_one(shared: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = shared
    monkeypatch.setattr(state, "TICK_STEPS", 40)
    train(CELL, folder / "gaussian.h5", folder / "one" / "cell.pt", "cpu")
    agree(folder / "rank0" / "cell.pt", folder / "one" / "cell.pt")


def test_the_first_process_alone_writes(shared: tuple[Path, str]) -> None:
    folder, _ = shared
    names = {path.name for path in (folder / "rank0").iterdir()}
    assert names == {ending.NAME, "another.jsonl", "another.pt", "cell.jsonl", "cell.pt"}
    assert not (folder / "rank1").exists()


def test_all_end_after_one_epoch_if_one_is_asked_to(shared: tuple[Path, str]) -> None:
    assert checkpoints.load(shared[0] / "rank0" / "another.pt").step == 56


def test_a_batch_that_cannot_be_split_is_refused(shared: tuple[Path, str]) -> None:
    assert shared[1].count("expected a number of ranks that divides the batch of 251, found 2") == 2
