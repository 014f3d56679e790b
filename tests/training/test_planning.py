"""A grid is planned from what there is; what cannot be met is refused before anything starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from fluxbench.errors import InputError
from fluxbench.training.cells import Cell
from fluxbench.training.planning import Job, Resources, device_of, plan
from fluxbench.training.recipes import RECIPES

CELL = Cell("linear", "vp-k2", 0.1, "tuned", 0, RECIPES["tuned"]["flux"])


def jobs(count: int, steps: int = 1_000) -> list[Job]:
    return [Job(replace(CELL, seed=seed), Path("data.h5"), Path(f"{seed}.pt"), steps) for seed in range(count)]


def test_small_networks_are_packed_on_cores_and_stacked_on_a_gpu() -> None:
    on_cores = plan(Resources(8, 0), jobs(3), None, None, "cpu")
    assert (on_cores.strategy, on_cores.ranks, on_cores.gpus, on_cores.at_once) == ("packed", 1, 0.0, 3)
    assert plan(Resources(2, 0), jobs(30), None, None, "cpu").at_once == 2
    on_gpu = plan(Resources(16, 1), jobs(30), None, None, "cuda")
    assert (on_gpu.strategy, on_gpu.gpus, on_gpu.at_once) == ("stacked", 1.0, 1)
    assert plan(Resources(16, 1), jobs(1), None, None, "cuda").strategy == "packed"
    assert plan(Resources(2, 4), jobs(30), None, None, "cuda").at_once == 2  # a core for each process
    few = plan(Resources(16, 4), jobs(6), "packed", None, "cuda")
    assert (few.gpus, few.at_once) == (0.5, 6)  # none idle while others are shared by four


def test_few_long_networks_take_the_cores_that_are_free() -> None:
    found = plan(Resources(16, 0), jobs(3, steps=1_000_000), None, None, "cpu")
    assert (found.strategy, found.ranks, found.at_once) == ("ddp", 5, 3)  # 5 divides the batch of 1,000
    assert plan(Resources(16, 0), jobs(10, steps=1_000_000), None, None, "cpu").strategy == "packed"
    on_gpus = plan(Resources(16, 8), jobs(1, steps=10_000_000), None, None, "cuda")
    assert (on_gpus.strategy, on_gpus.ranks, on_gpus.gpus) == ("ddp", 8, 1.0)


def test_the_way_and_the_world_size_can_be_forced() -> None:
    assert plan(Resources(8, 0), jobs(3), "stacked", None, "cpu").strategy == "stacked"
    assert plan(Resources(4, 1), jobs(30), "packed", None, "cuda").at_once == 4
    found = plan(Resources(8, 0), jobs(3), None, 2, "cpu")
    assert (found.strategy, found.ranks, found.at_once) == ("ddp", 2, 3)
    assert plan(Resources(8, 0), jobs(3), "ddp", 4, "cpu").at_once == 2
    assert plan(Resources(16, 0), jobs(3, steps=1_000_000), None, 1, "cpu").ranks == 1


@pytest.mark.parametrize(
    ("there", "strategy", "world_size", "device", "line"),
    [
        (Resources(4, 0), None, 5, "cpu", r"5 processes need 5 core\(s\), the cluster has 4 core\(s\) and 0 GPU\(s\)"),
        (Resources(8, 1), "ddp", 2, "cuda", r"2 processes need 2 GPU\(s\), and a core each, the cluster has 8 core"),
        (Resources(8, 0), None, 3, "cpu", r"world_size: expected a divisor of the batch of 1000, found 3"),
        (Resources(8, 0), "packed", 2, "cpu", r"training.strategy: expected 'ddp' for world_size = 2, found 'packed'"),
    ],
)
def test_what_cannot_be_met_is_refused(
    there: Resources, strategy: str, world_size: int, device: str, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        plan(there, jobs(1), strategy, world_size, device)  # type: ignore[arg-type]


def test_a_gpu_is_taken_where_there_is_one() -> None:
    assert device_of("auto", Resources(4, 1)) == "cuda"
    assert device_of("auto", Resources(4, 0)) == device_of("cpu", Resources(4, 1)) == "cpu"
    with pytest.raises(InputError, match="device: expected a GPU, found none"):
        device_of("cuda", Resources(4, 0))
