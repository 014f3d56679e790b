"""A Ray cluster to work on: one that runs already, or one of this machine for as long as it is needed.

Ray's processes on this machine end with this one, however it ends; after ``kill -9`` two of them need a minute. Ray
keeps what its tasks say in log files, which the dashboard shows.
"""

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

# Before Ray is imported. Nothing is reported to its makers, its own tables and files of results are not written beside
# ours, Ctrl-C ends a run rather than a trial, and work is not put off for whatever else runs on the machine.
os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_worker_niceness": "0",
} | dict(os.environ)

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError
from ray.util.metrics import Gauge
from tqdm import tqdm

from fluxbench.errors import InputError
from fluxbench.provenance import COMMAND, command
from fluxbench.training.planning import Resources
from fluxbench.training.workers import Ended, Labelled, Task

IN_PROCESSES = {"RAY_TRAIN_ENABLE_STATE_TRACKING": "1", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1"}
"""Environment of all processes of ours on a cluster: Train runs are shown, what short ones report arrives at once."""
OBJECT_STORE = 256 * 2**20
"""Bytes: everything large goes through files."""
AHEAD = 4
"""Tasks a core that Ray is given at a time: none waits for its next one, and ten thousand are no burden."""
RETRIES = 3
"""A task whose process was killed is begun again, so often."""

_connection: "Cluster | None" = None


@dataclass(frozen=True)
class Cluster:
    """What a cluster has.

    Attributes:
        dashboard: address of its dashboard, empty if it has none.
        cores: in all.
        gpus: in all.
        folder: what Ray keeps of a cluster that was started here; None for one that ran already.
    """

    dashboard: str
    cores: int
    gpus: int
    folder: str | None

    @property
    def description(self) -> str:
        """One line for those who want to watch."""
        where = "attached to" if self.folder is None else "started on this machine"
        token = (
            "" if os.environ.get("RAY_AUTH_MODE") == "disabled" else " (it asks for what `ray get-auth-token` prints)"
        )
        watch = f"; dashboard http://{self.dashboard}{token}" if self.dashboard else ""
        return f"Ray {where}: {self.cores} cores, {self.gpus} GPUs{watch}"

    @property
    def resources(self) -> Resources:
        """What a plan counts with."""
        return Resources(self.cores, self.gpus)

    def run(self, tasks: Sequence[Labelled], description: str, unit: str, gpus: float, ended: Ended) -> None:
        """Run tasks, a core each, under one progress bar; as :func:`training.workers.run` elsewhere.

        Args:
            tasks: the work, in the order in which it is begun.
            description: in front of the bar.
            unit: of the amounts.
            gpus: for each task.
            ended: called with the number of each task that has ended well; what it returns is said where there is no
                terminal to draw a bar on.

        Raises:
            InputError: naming every task that failed, after all the others have ended; or if there is no core at all.
        """
        if self.cores < 1:
            raise InputError(f"{description}: expected a cluster with a core, found one with none")
        call = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_call)
        running: dict[Any, int] = {}
        failures, todo = [], iter(enumerate(tasks))
        total = sum(amount for _, amount, _ in tasks)
        with tqdm(total=total, desc=description, unit=unit, unit_scale=True, disable=None, smoothing=0.05) as bar:
            while True:
                for number, (label, amount, task) in islice(todo, AHEAD * self.cores - len(running)):
                    reference = call.options(name=f"{description} {label}").remote(task, amount, label, unit)
                    running[reference] = number
                if not running:
                    break
                (reference, *_), _ = ray.wait(list(running))
                number = running.pop(reference)
                label, amount, _ = tasks[number]
                try:
                    ray.get(reference)
                except RayTaskError as error:
                    if not isinstance(error.cause, InputError):
                        raise
                    failures.append(f"{label}: {error.cause}")
                except (WorkerCrashedError, NodeDiedError, OutOfMemoryError) as error:
                    failures.append(f"{label}: its process was killed {RETRIES + 1} times ({type(error).__name__})")
                else:
                    bar.update(amount)
                    if (line := ended(number)) and bar.disable:
                        print(f"{description}: {line}", flush=True)
        if failures:
            raise InputError("; ".join(failures))


def connect(address: str, cores: int) -> Cluster:
    """The cluster of this process, which :func:`disconnect` gives up.

    Args:
        address: of a cluster that runs, ``"auto"`` to find one on this machine; ``"local"`` starts one here.
        cores: that a cluster started here offers.

    Raises:
        InputError: if there is no cluster at the address.
    """
    global _connection  # noqa: PLW0603 - as is Ray's own
    if _connection is None:
        before = signal.getsignal(signal.SIGTERM)
        _connection = _started(cores) if address == "local" else attach(address)
        signal.signal(signal.SIGTERM, before)  # Ray's own would end this process without a word
        print(_connection.description, flush=True)
    return _connection


def disconnect() -> None:
    """Stop the cluster that was started here, or leave the one that ran already."""
    global _connection  # noqa: PLW0603
    ray.shutdown()
    if _connection is not None and _connection.folder is not None:
        shutil.rmtree(_connection.folder, ignore_errors=True)
    _connection = None


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


def _started(cores: int) -> Cluster:
    # In /tmp, because sockets' paths must be short.
    os.environ |= IN_PROCESSES | {COMMAND: command()}
    folder = tempfile.mkdtemp(prefix="fluxbench-ray-", dir="/tmp")
    try:
        context = ray.init(
            address="local",
            num_cpus=cores,
            object_store_memory=OBJECT_STORE,
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            _temp_dir=folder,
            **_QUIET,
        )
    except BaseException:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _cluster(context.dashboard_url or "", folder)


def attach(address: str) -> Cluster:
    """A cluster that runs.

    Raises:
        InputError: if there is none at the address.
    """
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise InputError(f"address: expected local, auto, none or HOST:PORT, found {address!r}")
        try:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), timeout=10.0).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"address: expected a Ray cluster at {address!r}, found none: {error}") from error
    try:
        context = ray.init(address=address, runtime_env={"env_vars": IN_PROCESSES | {COMMAND: command()}}, **_QUIET)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"address: expected a Ray cluster at {address!r}, found none: {reason}") from error
    return _cluster(context.dashboard_url or "", None)


def _cluster(dashboard: str, folder: str | None) -> Cluster:
    there = ray.cluster_resources()
    return Cluster(dashboard, int(there.get("CPU", 0)), int(there.get("GPU", 0)), folder)


def _call(task: Task, amount: int, label: str, unit: str) -> None:
    """A task in its process, and its speed for Ray's metrics."""
    began = time.perf_counter()
    task(lambda done: None)
    gauge = Gauge(f"fluxbench_{unit}s_per_second", f"{unit}s a second of the last task", tag_keys=("task",))
    gauge.set(amount / (time.perf_counter() - began), tags={"task": label})
