"""The command line: help, mistakes in one line, exit statuses, and what it does not import."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fluxbench.bench.cli import fluxbench, main
from fluxbench.bench.study import studies

COMMANDS = [
    *([name] for name in ("solve", "reference", "train", "sample", "score", "report", "run")),
    *([name] for name in ("status", "infer", "info", "study", "bench")),
    *(["bench", name] for name in ("run", "compare", "publish", "preview")),
    *(["study", name] for name in studies.list_commands(None)),
]


def one_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command line that is refused says."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("fluxbench: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "\nexample:\n  fluxbench " in text


def test_help_names_every_command_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in listed.splitlines() if line[2] != " "]
    assert names == list(fluxbench.commands)
    assert names[:7] == ["solve", "reference", "train", "sample", "score", "report", "run"]


def test_help_imports_no_library_that_is_slow() -> None:
    slow = ("torch", "matplotlib", "dolfinx", "mpi4py", "ray", "asv", "pandas", "scipy", "pydantic")
    program = "import sys\nfrom fluxbench.bench.cli import main\nmain(['study', 'gpu_speed', '--help'])\n"
    program += f"print([name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Missing command (see `fluxbench --help`)"),
        (["bench"], "Missing command (see `fluxbench bench --help`)"),
        (["paint"], "No such command 'paint'"),
        (["solve", "--colour", "red"], "--colour"),
        (["solve", "--ranks", "two"], "'two' is not a valid integer (see `fluxbench solve --help`)"),
        (["solve", "--set"], "Option '--set' requires an argument"),
        (["solve", "tanh"], "Got unexpected extra argument (tanh)"),
        (["infer", "--measurement", "y.csv"], "Missing option '--cell'"),
        (["bench", "compare"], "Missing argument 'BASE'"),
        (["study", "processes", "--rounds", "2"], "--rounds"),
        (["run", "--profile", "fast"], "--profile: expected one of ablation, "),
        (["status", "--set", "seed"], "--set: expected key=value, found 'seed'"),
        (["solve", "--ranks", "0"], "ranks: expected"),
        (["solve", "--part", "3/2"], "--part"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in one_line(capsys, *arguments)


def test_options_are_keys_of_the_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several settings of a key the last one counts, and an option counts more than ``--set``."""
    changes = ["--set", "name=first", "--set", "name=second", "--set", f"root={tmp_path}"]
    assert main(["status", *changes]) == 0
    assert "run        second\n" in capsys.readouterr().out
    assert "ranks: expected" in one_line(capsys, "solve", *changes, "--set", "ranks=1", "--ranks", "-1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_status_130(number: signal.Signals) -> None:
    """Of a command that takes a minute."""
    program = "import sys, time\nfrom types import SimpleNamespace\nfrom fluxbench.bench.cli import main\n"
    program += "slow = SimpleNamespace(describe=lambda: (print('ready', flush=True), time.sleep(60)))\n"
    program += "sys.modules['fluxbench.bench.info'] = slow\nsys.exit(main(['info']))"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error == "fluxbench: interrupted; the same command goes on from here\n"


def test_a_closed_pipe_is_quiet() -> None:
    program = "import sys; from fluxbench.bench.cli import main; sys.exit(main(['study']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_info_names_every_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for name in ("MPI", "PETSc", "DOLFINx", "torch", "GPU", "Ray", "commit", "processor", "cores", "threads"):
        assert name in text
    assert "not available" not in text
