"""Several jobs make one data set in parts, at the same time if they like."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fluxbench.bench.cli import main
from fluxbench.errors import InputError
from fluxbench.solvers.data.shards import Part
from fluxbench.storage import WAIT, exclusive, shared
from tests.processes import next_file_in
from tests.solvers.data.test_generate import REPOSITORY, assert_same_bits, command


def make(path: Path, *part: str) -> None:
    subprocess.run([*command(path, train=9000), *part], cwd=REPOSITORY, check=True, capture_output=True)


def test_parts_that_are_joined_are_the_data_set(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    make(whole)
    with ThreadPoolExecutor(2) as at_once:
        list(at_once.map(lambda k: make(parts, "--part", f"{k}/3"), (1, 3)))
    shards = sorted(path.name for path in tmp_path.glob("parts.h5.shards/*.h5"))
    assert shards == [f"{name}.h5" for name in ("test-00000000", "train-00000000", "train-00004000", "train-00006000")]
    assert not parts.exists()
    make(parts, "--part", "2/3")
    make(parts)
    assert_same_bits(whole, parts)
    make(parts, "--part", "1/3")  # too late
    assert not list(tmp_path.glob("*.shards"))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_parts_that_are_none_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"--part: expected K/N with K from 1 to N, found"):
        Part.parse(text)
    assert main(["solve", f"--part={text}"]) == 2
    assert f"found {text!r}" in capsys.readouterr().err


def test_those_who_share_a_folder_keep_out_who_wants_it_alone(tmp_path: Path) -> None:
    busy = pytest.raises(InputError, match="another fluxbench command is at work here")
    with shared(tmp_path), shared(tmp_path), busy, exclusive(tmp_path):
        pass
    with exclusive(tmp_path), busy, shared(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_a_job_waits_until_the_folder_is_free(tmp_path: Path) -> None:
    """What a job does that is begun again before all of it has ended."""
    program = "import pathlib, sys; from fluxbench.storage import exclusive\n"
    program += "with exclusive(pathlib.Path(sys.argv[1])): print((pathlib.Path(sys.argv[1]) / 'done').exists())"
    asked, environment = [sys.executable, "-c", program, str(tmp_path)], os.environ | {WAIT: "1"}
    pipe = subprocess.PIPE
    with exclusive(tmp_path):
        job = subprocess.Popen(asked, cwd=REPOSITORY, env=environment, stdout=pipe, stderr=pipe, text=True)
        assert job.stderr is not None
        assert "waits for another fluxbench command that is at work here" in job.stderr.readline()
        (tmp_path / "done").touch()
    assert job.communicate()[0] == "True\n"


def test_a_launcher_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLUXBENCH_MPIEXEC", "nosuchrun -K")
    assert main(["solve", "--set", f"root={tmp_path}"]) == 2
    expected = "FLUXBENCH_MPIEXEC: expected a command that starts MPI programs, found 'nosuchrun'"
    assert expected in capsys.readouterr().err


def test_whoever_is_told_to_end_takes_the_ranks_along(tmp_path: Path) -> None:
    """SIGTERM to the command alone, as a scheduler sends it; the ranks hold their end of a pipe until they end."""
    shards = tmp_path / "runs" / "quick" / "data" / "linear.h5.shards"
    settings = [f"root={tmp_path}", "densities.problems=[]", "flux.train_samples=400000"]
    solve = [
        sys.executable,
        "-m",
        "fluxbench.bench.cli",
        "solve",
        *(text for each in settings for text in ("--set", each)),
    ]
    with (
        next_file_in(shards) as seen,
        subprocess.Popen(solve, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as job,
    ):
        seen()
        began = time.monotonic()
        job.terminate()
        assert job.stdout is not None
        said = job.stdout.read()
    assert job.returncode == 130
    assert "interrupted; the same command goes on from here" in said
    assert time.monotonic() - began < 30.0
    assert not (tmp_path / "runs" / "quick" / "data" / "linear.h5").exists()
