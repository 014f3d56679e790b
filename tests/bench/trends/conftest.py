"""Commits to measure."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.trends.clone import REPOSITORY, git

SMALL = """
name = "accuracy"
[densities]
problems = ["tanh"]
train_samples = 10_000
test_samples = 3_000
epochs = 20
generated = 300
[flux]
problems = []
[training]
formulations = ["ve"]
[sampling]
alphas = [1.0]
"""


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone without a history whose accuracy is tracked by a smaller run, so that commits can be spoilt."""
    folder = tmp_path_factory.mktemp("clone") / "fluxbench"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, folder], check=True)
    (folder / "bench" / "asv" / "accuracy.toml").write_text(SMALL)
    git(folder, "rm", "-r", "--quiet", "results/asv")
    git(folder, "commit", "--quiet", "--all", "--message", "A smaller run")
    return folder


@pytest.fixture
def checkout(clone: Path) -> Iterator[Path]:
    """The same, spoilt by one test alone."""
    base = git(clone, "rev-parse", "HEAD")
    yield clone
    git(clone, "reset", "--quiet", "--hard", base)
