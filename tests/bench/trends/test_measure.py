"""Commits measured by asv: results, pages, and what is said where there are none."""

import sys
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from fluxbench.bench.trends import history as trends
from tests.bench.trends.clone import bench, commit, git


def test_what_fails_is_named_and_what_is_not_there_is_no_measurement(light: Path) -> None:
    done = bench(light, "run", "--quick", "--bench", "sum|absent")
    assert done.returncode == 1, done.stdout + done.stderr
    head = git(light, "rev-parse", "--short=8", "HEAD")
    assert f"failed: {head} light.time_absent" in done.stdout
    assert "1 measurements, 1 failed" in done.stdout
    assert "name 'absent' is not defined" in done.stdout + done.stderr
    done = bench(light, "run", "--quick", "--bench", "time_absent")
    assert done.returncode == 2
    assert f"commit {head}: nothing was measured, see above" in done.stderr
    assert not (light / "results" / "asv").exists()
    done = bench(light, "run", "--bench", "no_such_benchmark")
    assert done.returncode == 2
    assert "--bench: expected a pattern that some benchmark matches, found 'no_such_benchmark'" in done.stderr
    assert not list((light / "results" / "asv").glob("*/*-commit-*.json"))


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
def test_mistakes_are_one_line(arguments: list[str], expected: str, light: Path) -> None:
    done = bench(light, *arguments)
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
    commit(checkout, {"light/light.py": ("repeat = 5", "repeat = 6")}, "Another commit")
    done = bench(checkout, "run", "HEAD~1", "HEAD", "--bench", "sum", "--machine", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    results = checkout / "results" / "asv"
    files = {path.name for path in (results / "mine").glob("*.json")}
    commits = git(checkout, "rev-list", "--max-count=2", "--abbrev-commit", "--abbrev=8", "HEAD").split()
    assert files == {"machine.json", *(f"{each}-commit-py3.12.json" for each in commits)}
    for path in (results / "mine").glob("*.json"):
        assert str(checkout) not in path.read_text()
        assert sys.prefix not in path.read_text()
    machine, history = trends.history(results)
    assert machine == "mine"
    assert [each.hash[:8] for each in history] == commits[::-1]
    (value,) = [each.value for each in history[1].measurements]
    assert value is not None
    assert 1e-6 < value < 1.0
    names = [picture.name for picture in trends.pictures(results)]
    plt.close("all")
    assert names == ["trends_speed", "trends_accuracy"]
    done = bench(checkout, "publish")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = checkout / "runs" / "asv" / "html"
    assert (pages / "index.html").exists()
    assert list((pages / "graphs").glob("**/machine-mine/**/light.time_sum.json"))


def test_there_are_no_pictures_before_there_is_a_history(tmp_path: Path) -> None:
    assert trends.pictures(tmp_path) == []
    (tmp_path / "benchmarks.json").write_text('{"version": 2}')
    assert trends.pictures(tmp_path) == []
