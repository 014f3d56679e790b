"""Clones of this repository whose commits are measured."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.trends.clone import REPOSITORY, git

SMALL = """
name = "accuracy"
ranks = 1
[densities]
problems = ["tanh"]
train_samples = 5_000
test_samples = 2_000
epochs = 20
generated = 200
[flux]
problems = []
[training]
formulations = ["ve"]
[sampling]
alphas = [0.0, 1.0]
"""
LIGHT = Path(__file__).with_name("light")


def _cloned(folder: Path, **settings: str) -> Path:
    """A clone without a history of measurements, with settings of asv, and time for them on a busy machine."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, folder], check=True)
    git(folder, "rm", "-r", "--quiet", "results/asv")
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"default_benchmark_timeout": 600} | settings))
    return folder


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose accuracy is tracked by a smaller run, so that commits can be spoilt."""
    folder = _cloned(tmp_path_factory.mktemp("clone") / "fluxbench")
    (folder / "bench" / "asv" / "accuracy.toml").write_text(SMALL)
    git(folder, "commit", "--quiet", "--all", "--message", "A smaller run")
    return folder


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with benchmarks of its own, which import next to nothing, and a value that they read."""
    folder = _cloned(tmp_path_factory.mktemp("light") / "fluxbench", benchmark_dir="light")
    shutil.copytree(LIGHT, folder / "light", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "bench" / "trends" / "__init__.py").open("a") as file:
        file.write("VALUE = 1.0\n")
    git(folder, "add", "light")
    git(folder, "commit", "--quiet", "--all", "--message", "Light benchmarks")
    return folder


@pytest.fixture
def checkout(light: Path) -> Iterator[Path]:
    """The light clone, spoilt by one test alone."""
    base = git(light, "rev-parse", "HEAD")
    yield light
    git(light, "reset", "--quiet", "--hard", base)
