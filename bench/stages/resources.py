"""What trains and samples: a Ray cluster, or worker processes of this machine."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from fluxbench.bench.config import Config
from fluxbench.bench.stages import say
from fluxbench.errors import InputError
from fluxbench.training import workers
from fluxbench.training.planning import SHARE, Resources

if TYPE_CHECKING:
    from fluxbench.training.cluster import Cluster


def cluster_of(config: Config) -> "Cluster | None":
    """Return the Ray cluster of a run; None if it does without, or Ray is not installed.

    Raises:
        InputError: if the address needs Ray and it is not installed, or no cluster is there.
    """
    if config.address == "none":
        return None
    try:
        from fluxbench.training import cluster  # noqa: PLC0415 - Ray, where it is installed
    except ImportError as error:
        if config.address != "local":
            raise InputError(f"address: {config.address!r} needs Ray, which is not installed: {error}") from error
        say("Ray is not installed: worker processes of this machine")
        return None
    return cluster.connect(config.address, config.worker_count)


def resources_of(config: Config, cluster: "Cluster | None") -> Resources:
    """Return the cores and GPUs of a cluster, or of this machine's worker processes, which all take the first GPU."""
    return cluster.resources if cluster else Resources(config.worker_count, min(1, torch.cuda.device_count()))


def run_tasks(
    config: Config,
    cluster: "Cluster | None",
    tasks: list[workers.Labelled],
    what: str,
    device: str,
    ended: Callable[[int], str],
) -> None:
    """Run tasks on a cluster or by worker processes, as many at once as share the device.

    Args:
        config: how many workers there may be.
        cluster: None for worker processes.
        tasks: in the order in which they are begun.
        what: in front of the progress bar, and the unit of its amounts.
        device: ``"cpu"`` or ``"cuda"``.
        ended: called with the number of each task that has ended well; it returns what to say of that.

    Raises:
        InputError: naming every task that failed, after all the others have ended.
    """
    if cluster is None:
        count = min(config.worker_count, SHARE) if device == "cuda" else config.worker_count
        workers.run(tasks, count, what, what, ended)
    else:
        cluster.run(tasks, what, what, 1.0 / SHARE if device == "cuda" else 0.0, ended)
