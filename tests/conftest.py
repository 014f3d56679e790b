"""What holds for every test: threads, and which tests share a process where they run in several (pytest-xdist)."""

from typing import override

import pytest
from xdist.scheduler import LoadScopeScheduling

import fluxbench  # noqa: F401 - its thread settings count only if they come before numpy

SHARED = {
    "tests/slurm/test_jobs.py": "one Slurm",
    "tests/bench/test_pipeline.py": "one small run",
    "tests/bench/test_infer.py": "one small run",
    "tests/bench/trends": "clones",
    "tests/bench/test_on_ray.py": "one run by worker processes",
    "tests/training/test_grid.py": "one Ray cluster",
}
"""What is expensive to set up, by the files or folders that share it: the longest tests, which are begun with."""


def _shares(place: str) -> str:
    """Return what the tests at a place, a path and perhaps a test's name, share: their file, if nothing else."""
    return next((what for path, what in SHARED.items() if place.startswith(path)), place.partition("::")[0])


class Scheduling(LoadScopeScheduling):
    """Keeps what shares something on one worker, in the order of collection."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return _shares(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Let one worker run what shares something; xdist's own groups are lost on pytest 9."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    order = list(SHARED.values())

    def rank(item: pytest.Item) -> int:
        shared = _shares(item.path.relative_to(config.rootpath).as_posix())
        return order.index(shared) if shared in order else len(order)

    items.sort(key=rank)
