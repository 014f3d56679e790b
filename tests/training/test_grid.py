"""The grid on a real Ray cluster of this machine: whatever the strategy, a network is the plain trainer's."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch
from ray.tune.experiment import Trial

from fluxbench.errors import InputError
from fluxbench.training import checkpoints, cluster, grid
from fluxbench.training.cells import Cell
from fluxbench.training.cluster import Cluster
from fluxbench.training.planning import Job, Plan, plan
from fluxbench.training.trainer import train
from fluxbench.training.watch import Watch
from tests.training.test_stacked import CELL, TUNED, agree, write_data

LONG = replace(CELL, hyperparameters=replace(TUNED, epochs=300))
WILD = replace(LONG, seed=9, hyperparameters=replace(LONG.hyperparameters, learning_rate=1e30))


@pytest.fixture(scope="module")
def two_cores() -> Iterator[Cluster]:
    yield cluster.connect("local", 2)
    cluster.disconnect()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "gaussian.h5", 2000, 3)


@pytest.fixture(scope="module")
def plain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Cell], Path]:
    """Where the plain trainer leaves a cell."""
    folder = tmp_path_factory.mktemp("plain")

    def trained(cell: Cell) -> checkpoints.Checkpoint:
        path = folder / f"{cell.name}.pt"
        train(cell, data, path, "cpu")
        return path

    return trained


class Meddler(Watch):
    """Does something when a network reports its first tick."""

    def __init__(self, jobs: list[Job], network: str, meddle: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(jobs, {})
        self._network, self._meddle = network, meddle
        self.meddled = 0

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        super().on_trial_result(iteration, trials, trial, result, **info)
        if result.get("step") and result["network"] == self._network and not self.meddled:
            self.meddled += 1
            self._meddle(result)


def jobs_of(cells: list[Cell], data: Path, folder: Path) -> list[Job]:
    return [Job(cell, data, folder / f"{cell.name}.pt", cell.steps(2000)) for cell in cells]


def plan_of(there: Cluster, jobs: list[Job], name: str, ranks: int = 1) -> Plan:
    return plan(there.resources, jobs, name, ranks, "cpu")  # type: ignore[arg-type]


def test_packed_networks_are_the_plain_trainers_whatever_happens_beside_them(
    two_cores: Cluster, data: Path, plain: Callable[[Cell], Path], tmp_path: Path
) -> None:
    """One of four diverges, the process of another is killed: bits of a quiet run, and one reason."""
    cells = [replace(LONG, seed=seed) for seed in range(3)]
    jobs = jobs_of([*cells, WILD], data, tmp_path)
    killer = Meddler(jobs, cells[1].name, lambda result: os.kill(result["pid"], signal.SIGKILL))
    failed = grid.train_all(jobs, plan_of(two_cores, jobs, "packed"), tmp_path / "ray", killer)
    assert killer.meddled == 1
    assert list(failed) == [WILD.name]
    assert "training diverged before step 504: the loss is" in failed[WILD.name]
    for job in jobs[:3]:
        found, expected = checkpoints.load(job.path), checkpoints.load(plain(job.cell))
        assert found.finished
        assert torch.equal(found.generator, expected.generator)
        for name, weights in expected.model.items():
            assert torch.equal(found.model[name], weights), (job.cell.seed, name)


def test_a_stack_is_the_plain_trainers_networks(
    two_cores: Cluster, data: Path, plain: Callable[[Cell], Path], tmp_path: Path
) -> None:
    """Three of one shape, whose process is killed, and one of another learning rate, which diverges."""
    short = replace(LONG, recipe="short", hyperparameters=replace(TUNED, epochs=70))
    cells = [replace(short, seed=seed) for seed in range(3)]
    wild = replace(WILD, recipe="short", hyperparameters=replace(short.hyperparameters, learning_rate=1e30))
    jobs = jobs_of([*cells, wild], data, tmp_path)
    killer = Meddler(jobs, cells[1].name, lambda result: os.kill(result["pid"], signal.SIGKILL))
    failed = grid.train_all(jobs, plan_of(two_cores, jobs, "stacked"), tmp_path / "ray", killer)
    assert killer.meddled == 1
    assert list(failed) == [wild.name]
    assert "training diverged before step" in failed[wild.name]
    for job in jobs[:3]:
        agree(job.path, plain(job.cell))


def test_processes_that_share_a_network_end_with_the_plain_trainers(
    two_cores: Cluster, data: Path, plain: Callable[[Cell], Path], tmp_path: Path
) -> None:
    """A TorchTrainer of two processes, one of which is killed; and another one whose network diverges."""
    jobs = jobs_of([LONG, WILD], data, tmp_path)

    def kill(result: dict[str, Any]) -> None:
        rank = next(each for each in psutil.Process().children(recursive=True) if "RayTrainWorker" in each.cmdline()[0])
        rank.kill()

    killer = Meddler(jobs, LONG.name, kill)
    failed = grid.train_all(jobs, plan_of(two_cores, jobs, "ddp", 2), tmp_path / "ray", killer)
    assert killer.meddled == 1
    assert list(failed) == [WILD.name]
    assert failed[WILD.name].startswith("training diverged before step 504: the loss is")
    assert LONG.name in dashboard(two_cores, "/api/train/v2/runs/v1")
    found, expected = checkpoints.load(jobs[0].path), checkpoints.load(plain(LONG))
    assert found.finished
    assert torch.equal(found.generator, expected.generator)
    difference = max((found.model[name] - weights).abs().max().item() for name, weights in expected.model.items())
    # Rounding grows in 2,400 steps, but what is learnt is the same.
    assert 0.0 < difference < 0.05


def test_the_dashboard_shows_what_happens(two_cores: Cluster, data: Path, tmp_path: Path) -> None:
    """While a network trains, its pages answer those who have the token, and Prometheus finds the gauges."""
    jobs = jobs_of([LONG], data, tmp_path)
    found: dict[str, str] = {}

    def look(result: dict[str, Any]) -> None:
        found["metrics"] = metrics_with("ray_fluxbench_loss{")  # by then the node's agent, which reads logs, is there
        for page in (
            "/",
            "/api/version",
            "/api/v0/actors",
            f"/api/v0/logs/file?node_id={node['NodeID']}&pid={result['pid']}",
        ):
            found[page.partition("?")[0]] = dashboard(two_cores, page)

    (node,) = ray.nodes()

    def metrics_with(name: str) -> str:
        """What Prometheus would read; Ray brings it up to date every ten seconds."""
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        for _ in range(120):
            with urllib.request.urlopen(url, timeout=60) as answer:
                text = str(answer.read().decode())
            if name in text:
                return text
            time.sleep(0.5)
        return ""

    watcher = Meddler(jobs, LONG.name, look)
    assert grid.train_all(jobs, plan_of(two_cores, jobs, "packed"), tmp_path / "ray", watcher) == {}
    assert "<title>Ray Dashboard</title>" in found["/"]
    assert f'"ray_version": "{ray.__version__}"' in found["/api/version"]
    assert "ImplicitFunc" in found["/api/v0/actors"]  # trials
    assert f'{LONG.name}: {{"step": 504' in found["/api/v0/logs/file"]
    for name in ("loss", "steps_per_second", "step", "gpu_memory"):
        lines = [line for line in found["metrics"].splitlines() if line.startswith(f"ray_fluxbench_{name}{{")]
        assert any(f'network="{LONG.name}"' in line for line in lines), name


def dashboard(there: Cluster, path: str) -> str:
    token = (Path.home() / ".ray" / "auth_token").read_text().strip()
    request = urllib.request.Request(f"http://{there.dashboard}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


def self_killing(flag: Path, progress: Callable[[int], None]) -> None:
    """A task whose process is killed the first time."""
    if not flag.exists():
        flag.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)


def failing(progress: Callable[[int], None]) -> None:
    raise InputError("no such thing")


def test_tasks_are_begun_again_and_the_failure_of_one_does_not_stop_the_others(
    two_cores: Cluster, tmp_path: Path
) -> None:
    from functools import partial

    ended: list[int] = []

    def note(number: int) -> str:
        ended.append(number)
        return ""

    flags = [tmp_path / name for name in ("a", "b")]
    tasks = [("bad", 1, failing), *((flag.name, 1, partial(self_killing, flag)) for flag in flags)]
    with pytest.raises(InputError, match=r"^bad: no such thing$"):
        two_cores.run(tasks, "test", "task", 0.0, note)
    assert sorted(ended) == [1, 2]


def test_an_address_without_a_cluster_is_refused() -> None:
    for address, line in {
        "127.0.0.1:1": r"expected a Ray cluster at '127.0.0.1:1', found none: .*refused",
        "somewhere": r"expected local, auto, none or HOST:PORT, found 'somewhere'",
    }.items():
        with pytest.raises(InputError, match=line):
            cluster.attach(address)
