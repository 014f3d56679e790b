"""A Ray cluster to work on: one that runs already, or one of this machine for as long as it is needed.

Ray's processes on this machine end with this one, however it ends. Ray keeps what its tasks say in log files, which the
dashboard shows.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Before Ray is imported: nothing is reported to its makers, and results of short trainings arrive at once.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "1")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")

import ray
from ray.exceptions import RaySystemError

from solvers.errors import InputError

OBJECT_STORE = 256 * 2**20
"""Bytes: everything large goes through files."""


@dataclass(frozen=True)
class Cluster:
    """What a cluster has.

    Attributes:
        dashboard: address of its dashboard, empty if it has none.
        cores: in all.
        gpus: in all.
        started: whether it is of this process and ends with it.
    """

    dashboard: str
    cores: int
    gpus: int
    started: bool

    @property
    def description(self) -> str:
        """One line for those who want to watch."""
        where = "started on this machine" if self.started else "attached to"
        watch = f"; dashboard http://{self.dashboard}" if self.dashboard else ""
        return f"Ray {where}: {self.cores} cores, {self.gpus} GPUs{watch}"


@contextmanager
def connected(address: str | None, cores: int) -> Iterator[Cluster]:
    """A cluster, for the time of a ``with`` block.

    Args:
        address: of a cluster that runs, ``"auto"`` to find one on this machine; None starts one here.
        cores: that a cluster started here offers.

    Raises:
        InputError: if there is no cluster at the address.
    """
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address is None:
        # Sockets' paths must be short, and what Ray leaves there is no part of the run.
        with tempfile.TemporaryDirectory(prefix="fluxbench-ray-", ignore_cleanup_errors=True) as directory:
            context = ray.init(
                num_cpus=cores,
                object_store_memory=OBJECT_STORE,
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                _temp_dir=directory,
                **common,
            )
            try:
                yield _cluster(context.dashboard_url or "", started=True)
            finally:
                ray.shutdown()
        return
    try:
        context = ray.init(address=address, **common)
    except (ConnectionError, RaySystemError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--address {address}: expected a Ray cluster there, found none: {reason}") from error
    try:
        yield _cluster(context.dashboard_url or "", started=False)
    finally:
        ray.shutdown()  # of this process's connection alone


def _cluster(dashboard: str, started: bool) -> Cluster:
    there = ray.cluster_resources()
    return Cluster(dashboard, int(there.get("CPU", 0)), int(there.get("GPU", 0)), started)
