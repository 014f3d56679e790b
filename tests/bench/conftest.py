"""A small run of all stages, made once for the tests that look at what is left of it."""

from pathlib import Path

import pytest

from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.bench.run import Run

SMALL = [
    "name=small",
    "densities.problems=['tanh']",
    "densities.test_samples=20000",
    "densities.epochs=100",
    "densities.generated=1000",
    "flux.problems=['multi-operator', 'linear']",
    "flux.noise=[0.1]",
    "flux.train_samples=3000",
    "flux.test_samples=400",
    "flux.sizes.multi-operator.train_samples=6000",
    "flux.measurements=40",
    "flux.generated=40",
    "flux.references=400",
    "flux.epochs=100",
    "training.recipes=['tuned', 'paper']",
    "training.formulations=['vp-k2']",
    "sampling.euler_maruyama_steps=100",
    "sampling.costs=2000",
]


def options(root: Path, *changes: str) -> list[str]:
    """Return the small run's settings as options of the command line."""
    return [text for change in (*SMALL, f"root={root}", *changes) for text in ("--set", change)]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the small run has been made."""
    path = tmp_path_factory.mktemp("run")
    assert main(["run", *options(path)]) == 0
    return path


@pytest.fixture
def run(root: Path) -> Run:
    """The small run."""
    return Run(load("quick", options(root)[1::2]))
