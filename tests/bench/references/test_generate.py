"""The stage that makes references: the same bits on any number of ranks and after `kill -9`, and bad input named."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.bench.files import references
from fluxbench.bench.references import effort
from fluxbench.bench.run import Run
from fluxbench.bench.stages.mpi import launcher

REPOSITORY = Path(__file__).parents[3]
CHANGES = [
    "name=small",
    "densities.problems=[]",
    "flux.problems=['linear', 'multi-operator']",
    "flux.noise=[0.0, 0.1]",
    "flux.train_samples=1000",
    "flux.test_samples=10",
    "flux.measurements=10",
    "flux.generated=10",
    "flux.references=100",
]


def options(root: Path, *changes: str) -> list[str]:
    return [text for change in (*CHANGES, f"root={root}", *changes) for text in ("--set", change)]


LESS = {"BLOCK": 6, "STATES": 100, "R_HAT": 1.03, "EFFECTIVE": 500}
"""Small blocks of short chains, of which less is asked: some fall short of it at first, as long ones do of more."""


@pytest.fixture(scope="module", autouse=True)
def less_effort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set the effort here and in every process that is started: Python imports sitecustomize before all else."""
    folder = tmp_path_factory.mktemp("effort")
    text = f"from fluxbench.bench.references import effort\nvars(effort).update({LESS!r})\n"
    (folder / "sitecustomize.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LESS.items():
            patch.setattr(effort, name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield


def arrays(run: Run) -> dict[tuple[str, str], np.ndarray]:
    found = {}
    for problem, noise in run.referenced:
        with h5py.File(run.reference_path(problem, noise)) as file:
            found |= {(problem, name): values[:] for name, values in file.items()}
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one rank with its references."""
    changes = options(tmp_path_factory.mktemp("references"), "ranks=1")
    for stage in ("solve", "reference"):
        assert main([stage, *changes]) == 0
    return Run(load("quick", changes[1::2]))


def test_references_are_whole_and_say_what_they_are_worth(run: Run) -> None:
    assert run.referenced == [("linear", 0.1), ("multi-operator", 0.1)]  # without noise the truth is known
    for problem, noise in run.referenced:
        found = run.reference(problem, noise)
        assert found.x.shape == found.again.shape == (10, 100, 30)
        assert len(np.unique(found.states)) > 1  # some were sampled again, by longer chains
        assert found.r_hat.max() < effort.R_HAT
        assert found.effective.min() >= effort.EFFECTIVE
        assert (found.mask is None) == (problem == "linear")
        # Two halves of the chains, and all of them.
        for half in (found.x, found.again):
            away = (half.mean(axis=1) - found.mean) / np.maximum(found.std, 0.05)
            assert np.sqrt((away**2).mean()) == pytest.approx(0.1, abs=0.03)
        assert not (found.x == found.again).all(axis=2).any()
        assert found.x.min() >= 0.0


def test_two_ranks_and_a_killed_job_write_the_same_bits(run: Run, tmp_path: Path) -> None:
    changes = options(tmp_path, "ranks=2", "flux.problems=['multi-operator']")
    two = Run(load("quick", changes[1::2]))
    two.data_path("multi-operator").parent.mkdir(parents=True)
    shutil.copy(run.data_path("multi-operator"), two.data_path("multi-operator"))
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
    expected = two.reference_specification("multi-operator", 0.1)
    assert references.blocks(two.reference_path("multi-operator", 0.1), expected).missing() == [6]
    assert main(["reference", *changes]) == 0
    one, other = arrays(run), arrays(two)
    assert {name for problem, name in one if problem == "multi-operator"} == {name for _, name in other}
    for name, values in other.items():
        np.testing.assert_array_equal(values, one[name], err_msg=str(name))
    assert not list((two.folder / "references").glob("*.blocks"))


def test_a_reference_made_otherwise_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    changes = options(Path(run.config.root), "ranks=1", "flux.references=200")
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
