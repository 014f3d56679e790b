"""What Ray's metrics say of a network that trains, for Prometheus to collect."""

import torch
from ray.util.metrics import Gauge

from fluxbench.training.cells import Cell
from fluxbench.training.state import Statistics

_WHAT = {
    "loss": "Mean loss of the last tick",
    "steps_per_second": "Optimiser steps a second",
    "step": "Optimiser steps done",
    "gpu_memory": "Bytes of GPU memory held at most",
}


class Gauges:
    """``ray_fluxbench_loss`` and others, tagged by the network."""

    def __init__(self) -> None:
        self._gauges = {key: Gauge(f"fluxbench_{key}", what, tag_keys=("network",)) for key, what in _WHAT.items()}

    def set(self, cell: Cell, statistics: Statistics) -> None:
        """After a tick of its training."""
        held = float(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0.0
        for key, gauge in self._gauges.items():
            gauge.set(held if key == "gpu_memory" else statistics[key], tags={"network": cell.name})
