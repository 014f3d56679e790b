"""The stage that makes references: the same bits on any number of ranks and after `kill -9`, and bad input named."""

import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.bench.files import references
from fluxbench.bench.run import Run
from fluxbench.bench.stages.mpi import launcher

REPOSITORY = Path(__file__).parents[3]
CHANGES = [
    "name=small",
    "densities.problems=[]",
    "flux.problems=['linear', 'multi-operator']",
    "flux.noise=[0.0, 0.1]",
    "flux.train_samples=1000",
    "flux.test_samples=30",
    "flux.measurements=30",
    "flux.generated=30",
    "flux.references=100",
]


def options(root: Path, *changes: str) -> list[str]:
    return [text for change in (*CHANGES, f"root={root}", *changes) for text in ("--set", change)]


def arrays(run: Run) -> dict[tuple[str, str], np.ndarray]:
    found = {}
    for problem, noise in run.referenced:
        with h5py.File(run.reference_path(problem, noise)) as file:
            found |= {(problem, name): values[:] for name, values in file.items()}
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one rank with its references."""
    changes = options(tmp_path_factory.mktemp("references"), "ranks=1")
    for stage in ("solve", "reference"):
        assert main([stage, *changes]) == 0
    return Run(load("quick", changes[1::2]))


def test_references_are_whole_and_say_what_they_are_worth(one: Run) -> None:
    assert one.referenced == [("linear", 0.1), ("multi-operator", 0.1)]  # without noise the truth is known
    for problem, noise in one.referenced:
        found = one.reference(problem, noise)
        assert found.x.shape == found.again.shape == (30, 100, 30)
        assert found.r_hat.max() < 1.01
        assert found.effective.min() >= 1_000
        assert (found.mask is None) == (problem == "linear")
        # Two halves of the chains, and all of them.
        for half in (found.x, found.again):
            away = (half.mean(axis=1) - found.mean) / np.maximum(found.std, 0.05)
            assert np.sqrt((away**2).mean()) == pytest.approx(0.1, abs=0.03)
        assert not (found.x == found.again).all(axis=2).any()
        assert found.x.min() >= 0.0


def test_two_ranks_and_a_killed_job_write_the_same_bits(one: Run, tmp_path: Path) -> None:
    changes = options(tmp_path, "ranks=2", "flux.problems=['multi-operator']")
    assert main(["solve", *changes]) == 0
    two = Run(load("quick", changes[1::2]))
    program = (
        "import os, signal, sys\n"
        "sys.path.insert(0, sys.argv.pop(1))\n"
        "from fluxbench.bench.references import generate, make\n"
        "whole = make.make_block\n"
        "def killed(data, solve, made, start):\n"
        "    if start > 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    whole(data, solve, made, start)\n"
        "make.make_block = killed\n"
        "generate.main()\n"
    )
    command = [sys.executable, "-c", program, str(REPOSITORY), "--configuration", two.config.model_dump_json()]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    where = ("multi-operator", 0.1)
    assert references.blocks(two.reference_path(*where), two.reference_specification(*where)).missing() == [25]
    assert main(["reference", *changes]) == 0
    first, second = arrays(one), arrays(two)
    assert {name for problem, name in first if problem == "multi-operator"} == {name for _, name in second}
    for name, values in second.items():
        np.testing.assert_array_equal(values, first[name], err_msg=str(name))
    assert not list((two.folder / "references").glob("*.blocks"))


def test_a_reference_made_otherwise_is_refused(one: Run, capsys: pytest.CaptureFixture[str]) -> None:
    changes = options(Path(one.config.root), "ranks=1", "flux.references=200")
    capsys.readouterr()
    assert main(["reference", *changes]) == 2
    assert "linear_noise-0.1.h5: made with samples = 100, but 200 is asked for" in capsys.readouterr().err


def test_without_data_the_job_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [*launcher(2), "-m", "fluxbench.bench.references.generate", "--profile", "quick", "--ranks", "2"]
    done = subprocess.run([*command, "--set", f"root={tmp_path}"], cwd=REPOSITORY, check=False)
    assert done.returncode != 0
    text = capfd.readouterr().err
    assert "linear.h5: not found" in text
    assert "Traceback" not in text
