"""Commits measured by asv: results, pages, and what is said where there are none."""

import re
import sys
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from fluxbench.bench.trends import history as trends
from tests.bench.trends.clone import bench, commit, git


def test_what_fails_is_named_and_what_is_not_there_is_no_measurement(checkout: Path) -> None:
    commit(checkout, {"bench/asv/training.py": ("    def time_train(", "    def time_other(")}, "Another name")
    commit(checkout, {"bench/asv/training.py": ("        train(self.cell", "        absent(self.cell")}, "A broken one")
    pattern = r"Step.time_step\('paper, densities', 250\)|Loop.time_other\('paper, densities'\)"
    done = bench(checkout, "run", "--quick", "--bench", pattern)
    assert done.returncode == 1, done.stdout + done.stderr
    head = git(checkout, "rev-parse", "--short=8", "HEAD")
    assert f"failed: {head} training.Loop.time_other('paper, densities')" in done.stdout
    assert "1 measurements, 1 failed" in done.stdout
    assert "name 'absent' is not defined" in done.stdout + done.stderr
    done = bench(checkout, "run", "--quick", "--bench", "Loop.time_other")
    assert done.returncode == 2
    assert f"commit {head}: nothing was measured, see above" in done.stderr
    done = bench(checkout, "run", "--bench", "no_such_benchmark")
    assert done.returncode == 2
    assert "--bench: expected a pattern that some benchmark matches, found 'no_such_benchmark'" in done.stderr
    assert not (checkout / "results" / "asv" / "mine").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "no-such-commit"], "no-such-commit: expected a commit of this checkout"),
        (["compare", "HEAD"], "expected two commits, found HEAD and HEAD, which are the same"),
        (["compare", "HEAD~1", "--rounds", "0"], "--rounds: expected at least 1, found 0"),
        (["run", "--bench", "("], "--bench: expected a regular expression, found '('"),
        (["preview"], "runs/asv/html: expected pages; `fluxbench bench publish` makes them"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], expected: str, clone: Path) -> None:
    done = bench(clone, *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


def test_outside_a_checkout_there_is_nothing_to_measure(tmp_path: Path) -> None:
    done = bench(tmp_path, "run")
    assert done.returncode == 2
    assert "asv.conf.json: not found" in done.stderr
    (tmp_path / "asv.conf.json").write_text("{")
    assert "asv.conf.json: expected asv's configuration" in bench(tmp_path, "run").stderr


def test_results_name_machine_and_environment_and_no_path(checkout: Path) -> None:
    pattern = r"Step.time_step\('paper, densities', 250\)"
    done = bench(checkout, "run", "HEAD~1", "HEAD", "--bench", pattern, "--machine", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.name for path in (checkout / "results" / "asv" / "mine").glob("*.json")}
    commits = git(checkout, "rev-list", "--max-count=2", "--abbrev-commit", "--abbrev=8", "HEAD").split()
    assert files == {"machine.json", *(f"{each}-commit-py3.12.json" for each in commits)}
    for path in (checkout / "results" / "asv" / "mine").glob("*.json"):
        assert str(checkout) not in path.read_text()
        assert sys.prefix not in path.read_text()
    machine, history = trends.history(checkout / "results" / "asv")
    assert machine == "mine"
    assert [each.hash[:8] for each in history] == commits[::-1]
    (value,) = [each.value for each in history[1].measurements]
    assert value is not None
    assert 1e-4 < value < 1.0
    names = [picture.name for picture in trends.pictures(checkout / "results" / "asv")]
    plt.close("all")
    assert names == ["trends_speed", "trends_accuracy"]
    done = bench(checkout, "publish")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = checkout / "runs" / "asv" / "html"
    index = (pages / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css)"', index)
    for name in re.findall(r'(?:src|href)="([^"#:]+\.(?:js|css))"', index):
        assert (pages / name).stat().st_size > 100


def test_there_are_no_pictures_before_there_is_a_history(tmp_path: Path) -> None:
    assert trends.pictures(tmp_path) == []
    (tmp_path / "benchmarks.json").write_text('{"version": 2}')
    assert trends.pictures(tmp_path) == []
