"""Commits from before there was a package, measured by today's benchmarks."""

from pathlib import Path

from fluxbench.bench.trends import before_package
from tests.bench.trends.clone import bench

LAST = "64f343d"
PATTERN = r"Jacobian|Step.time_step\('paper, densities', 250\)|Table2.track_w1\('tanh', 've'"


def test_the_last_commit_before_the_package_is_measured(clone: Path) -> None:
    """A solver, training, and the small run through the old command line."""
    done = bench(clone, "run", "--quick", "--bench", PATTERN, LAST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 measurements, 0 failed" in done.stdout


def test_a_commit_with_the_package_gets_no_aliases(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    before_package.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "src"]
    assert before_package.folders(tmp_path) == [tmp_path / "src"]
