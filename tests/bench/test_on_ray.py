"""The stages on Ray, through the command line: killed and repeated, they end with the bits of worker processes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from ray.cluster_utils import Cluster

from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.bench.run import Run
from fluxbench.training import checkpoints
from fluxbench.training.recipes import RECIPES
from tests.processes import next_file_in

SMALL = [
    "name=small",
    "densities.problems=['tanh']",
    "densities.test_samples=1000",
    "densities.epochs=110",
    "densities.generated=26000",
    "flux.problems=[]",
    "training.recipes=['paper']",
    "training.formulations=['ve', 'vp-k2']",
    "sampling.alphas=[0.0]",
    "sampling.costs=0",
    "sampling.ode='exponential'",
]


def options(root: Path, *changes: str) -> list[str]:
    return [text for change in (*SMALL, f"root={root}", *changes) for text in ("--set", change)]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Solved, trained and sampled by worker processes."""
    root = tmp_path_factory.mktemp("quiet")
    for stage in ("solve", "train", "sample"):
        assert main([stage, *options(root, "address=none")]) == 0
    return root


@pytest.fixture(scope="module")
def stormy(quiet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Solved alone."""
    root = tmp_path_factory.mktemp("stormy")
    shutil.copytree(quiet / "runs" / "small" / "data", root / "runs" / "small" / "data")
    return root


@contextmanager
def started(stage: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A stage that runs in the directory of its files, as from a terminal of its own."""
    command = [sys.executable, "-P", "-m", "fluxbench.bench.cli", stage, *options(Path(), "workers=2")]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True) as driver:
        yield driver


def kill(driver: subprocess.Popen[str], how: signal.Signals) -> tuple[int, list[psutil.Process]]:
    """End a driver; its exit status, and the processes that it had started."""
    started_by_it = psutil.Process(driver.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in started_by_it)
    at_work = [process for process in started_by_it if "Agent" not in process.name()]
    if how == signal.SIGINT:
        os.killpg(driver.pid, how)  # Ctrl-C reaches all that a terminal has in front
    else:
        driver.send_signal(how)
    status = driver.wait(timeout=60)
    assert not psutil.wait_procs(at_work, timeout=60)[1]
    return status, started_by_it


@pytest.fixture(scope="module")
def orphans() -> list[psutil.Process]:
    """All processes of drivers that were killed; the last test sees them end."""
    return []


def test_a_grid_that_is_killed_and_interrupted_ends_with_the_same_bits(
    quiet: Path, stormy: Path, orphans: list[psutil.Process]
) -> None:
    cells = stormy / "runs" / "small" / "cells"
    with next_file_in(cells, ".pt") as seen, started("train", stormy) as driver:
        seen()
        status, killed = kill(driver, signal.SIGKILL)
        assert status == -signal.SIGKILL
    with next_file_in(cells, ".pt") as seen, started("train", stormy) as driver:
        seen()
        status, interrupted = kill(driver, signal.SIGINT)
        assert status == 130
    with started("train", stormy) as driver:
        assert driver.stdout is not None
        said = driver.stdout.read()
        assert driver.wait() == 0
    assert "dashboard http://127.0.0.1:" in said
    assert "packed: 2 networks at once" in said
    run = Run(load("quick", options(stormy)[1::2]))
    for cell in run.cells:
        path = run.checkpoint_path(cell)
        found, expected = checkpoints.load(path), checkpoints.load(quiet / path.relative_to(stormy))
        assert found.finished
        for name, weights in expected.model.items():
            assert torch.equal(found.model[name], weights), (cell.name, name)
    orphans += [*killed, *interrupted]


def test_sampling_that_is_killed_ends_with_the_same_bits(
    quiet: Path, stormy: Path, orphans: list[psutil.Process]
) -> None:
    shutil.rmtree(stormy / "runs" / "small" / "cells", ignore_errors=True)
    shutil.copytree(quiet / "runs" / "small" / "cells", stormy / "runs" / "small" / "cells")
    run, expected = (Run(load("quick", options(root)[1::2])) for root in (stormy, quiet))
    sampled = [run.samples_path(each) for each in run.sample_sets]
    first = sampled[0].with_name(f"{sampled[0].name}.blocks")
    with next_file_in(first) as seen, started("sample", stormy) as driver:
        seen()
        status, killed = kill(driver, signal.SIGKILL)
        assert status == -signal.SIGKILL
    assert list(first.glob("0*.h5"))
    with started("sample", stormy) as driver:
        assert driver.wait() == 0
    for one, other in zip(run.sample_sets, expected.sample_sets, strict=True):
        assert (run.samples(one).x == expected.samples(other).x).all()
        assert run.samples(one).evaluations == pytest.approx(expected.samples(other).evaluations)
    assert not list((stormy / "runs").rglob("*.blocks"))
    orphans += killed


def test_a_cluster_that_runs_is_used_and_left(
    quiet: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes of a core each; what they cannot meet is refused, and networks that diverge are named in the end."""
    wild = replace(RECIPES["tuned"]["densities"], learning_rate=1e30)
    monkeypatch.setitem(RECIPES["tuned"], "densities", wild)
    shutil.copytree(quiet / "runs" / "small" / "data", tmp_path / "runs" / "small" / "data")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        changes = [
            "densities.epochs=2",
            "training.recipes=['tuned', 'paper']",
            "training.formulations=['vp-k2']",
        ]
        there = options(tmp_path, *changes, f"address={cluster.address}")
        assert main(["train", *there, "--set", "training.world_size=4"]) == 2
        assert "4 processes need 4 core(s), the cluster has 2 core(s) and 0 GPU(s)" in capfd.readouterr().err
        assert main(["train", *there]) == 2
        said = capfd.readouterr()
        assert "Ray attached to: 2 cores, 0 GPUs" in said.out
        assert "train: tanh_vp-k2_paper_seed-0 done" in said.out
        reason = "tanh_vp-k2_tuned_seed-0: training diverged before step 20: the loss is nan"
        assert f"1 of 2 networks failed, the others are trained: {reason}" in said.err
        nodes = cluster.list_all_nodes()
        assert len(nodes) == 2
        assert all(node.remaining_processes_alive() for node in nodes)
    finally:
        cluster.shutdown()


def test_nothing_outlives_a_driver_that_was_killed(orphans: list[psutil.Process]) -> None:
    """Ray's own agents need a minute to notice that what they report to is gone."""
    assert not psutil.wait_procs(orphans, timeout=150)[1]
