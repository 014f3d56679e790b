"""A node's own copy of a file: made once, of the file as it is, and never in the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from fluxbench.solvers.data.staging import staged

REPOSITORY = Path(__file__).parents[3]
PROGRAM = """
import shutil, sys
from pathlib import Path
from fluxbench.solvers.data.staging import staged
copyfile = shutil.copyfile
def counted(*paths):
    print("copied", flush=True)
    return copyfile(*paths)
shutil.copyfile = counted
sys.stdin.readline()  # all at once
assert staged(Path(sys.argv[1])).read_text() == "data"
"""


def test_all_workers_of_a_node_read_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUXBENCH_SCRATCH", str(tmp_path / "scratch"))
    path = tmp_path / "linear.h5"
    path.write_text("data")
    command = [sys.executable, "-c", PROGRAM, str(path)]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    said = "".join(worker.communicate()[0] for worker in workers)
    assert all(worker.returncode == 0 for worker in workers)
    assert said == "copied\n"


def test_a_file_that_was_replaced_is_copied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUXBENCH_SCRATCH", str(tmp_path / "scratch"))
    path = tmp_path / "linear.h5"
    for text in ("one", "other"):
        path.write_text(text)
        copy = staged(path)
        assert copy.parent == tmp_path / "scratch"
        assert copy.read_text() == text


def test_without_a_scratch_the_file_is_read_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "linear.h5"
    path.write_text("data")
    monkeypatch.delenv("FLUXBENCH_SCRATCH", raising=False)
    assert staged(path) == path
    monkeypatch.setenv("FLUXBENCH_SCRATCH", str(path / "no-folder"))
    assert staged(path) == path
    assert "cannot be used" in capsys.readouterr().err
