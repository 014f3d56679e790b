"""What Ray costs, on one core.

- a network more in packed mode, once a process is warm: the time of many networks that train for a moment, less that of
  few, less that of training them here; beside it, the same by a TorchTrainer of one process each;
- training: steps a second of a packed network beside a bare loop of forward, backward and Adam on the same tensors;
- sampling: 10^5 posterior samples from measurements to a file, blocks and joining included, beside the bare sampler.

Recipe `tuned`, the linear flux problem's sizes. In turns, the median of several rounds.
"""

import shutil
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from fluxbench.diffusion.samplers import exponential_multistep
from torch import Tensor

from fluxbench.bench import draw
from fluxbench.bench.asv.training import SIZES, cell_of, write_data
from fluxbench.bench.files import samples
from fluxbench.bench.files.samples import Integrator, sample_specification
from fluxbench.bench.studies.training_speed import bare
from fluxbench.bench.study import Found, Options, goal, line
from fluxbench.solvers.data import datasets
from fluxbench.storage import Row
from fluxbench.training import checkpoints, cluster, grid
from fluxbench.training.cells import Cell
from fluxbench.training.cluster import Cluster
from fluxbench.training.planning import Way, Work, plan
from fluxbench.training.trainer import train
from fluxbench.training.watch import Watch

TITLE = "What Ray costs"
ROUNDS = 3
FEW, MANY = 4, 24
"""Networks, whose difference in time is that of twenty."""
EPOCHS = 250
"""Of the network whose training is timed: 2,250 steps."""
MEASUREMENTS, GENERATED = 100, 1_000
ALLOWED_SECONDS, ALLOWED_SHARE = 0.5, 0.1


def cell(seed: int, epochs: int) -> Cell:
    """Return a network of recipe `tuned` for a flux problem at 1 % noise, trained for so many epochs."""
    return replace(cell_of("tuned, flux", epochs=epochs), noise=0.01, seed=seed)


def by_ray(there: Cluster, folder: Path, count: int, epochs: int, way: Way) -> tuple[float, list[Path]]:
    """Return the seconds to train so many networks through Ray, one after the other, and their checkpoints."""
    cells = [cell(seed, epochs) for seed in range(count)]
    paths = [folder / f"{way}-{each.seed}.pt" for each in cells]
    works = [
        Work(each, folder / "flux.h5", path, each.steps(SIZES["flux"][0]))
        for each, path in zip(cells, paths, strict=True)
    ]
    for path in paths:
        path.unlink(missing_ok=True)
    began = time.perf_counter()
    failed = grid.train_all(works, plan(there.resources, works, way, 1, "cpu"), folder / "ray", Watch(works, {}))
    if failed:
        raise RuntimeError(str(failed))
    return time.perf_counter() - began, paths


def here(folder: Path, count: int) -> float:
    """Return the seconds to train so many networks for an epoch in this process."""
    began = time.perf_counter()
    for seed in range(count):
        path = folder / f"here-{seed}.pt"
        path.unlink(missing_ok=True)
        train(cell(seed, 1), folder / "flux.h5", path, "cpu")
    return time.perf_counter() - began


def overhead(there: Cluster, folder: Path, rounds: int) -> list[Row]:
    """Measure the seconds that a network takes beyond its training, a row a strategy."""
    rows = []
    here(folder, 1)  # warm
    alone = here(folder, MANY - FEW) / (MANY - FEW)
    ways: list[tuple[Way, int, int, int]] = [("packed", FEW, MANY, rounds), ("ddp", 1, 2, 1)]
    for way, few, many, times in ways:
        found = []
        for _ in range(times):
            first, second = (by_ray(there, folder, count, 1, way)[0] for count in (few, many))
            found.append((first, (second - first) / (many - few) - alone))
        what = "packed" if way == "packed" else "a TorchTrainer each"
        start, more = (median(column) for column in zip(*found, strict=True))
        rows.append({"way": what, f"first {few}, s": start, "beyond training, s a network": more, "training, s": alone})
        print(line(rows[-1]), flush=True)
    return rows


def training(there: Cluster, folder: Path, rounds: int) -> Row:
    """Measure steps a second of a packed network and of the bare loop."""
    pairs = []
    for _ in range(rounds):
        alone = bare(cell(0, 1))
        _, (path,) = by_ray(there, folder, 1, EPOCHS, "packed")
        saved = checkpoints.load(path)
        pairs.append((alone, saved.seconds / saved.steps))
    return compared("training, steps/s", pairs, 1.0)


def sampling(there: Cluster, folder: Path, by: Integrator, rounds: int) -> Row:
    """Measure samples a second through Ray, file and all, and of the bare sampler."""
    network, path = folder / "packed-0.pt", folder / "samples.h5"
    saved = checkpoints.load(network)
    dataset = datasets.read(folder / "flux.h5")
    specification = sample_specification(saved.cell, dataset.specification, by, MEASUREMENTS, GENERATED, 0)
    made = draw.blocks(path, specification, MEASUREMENTS, GENERATED, "cpu")
    pairs = []
    for _ in range(1 + rounds):
        alone = bare_sampler(folder, saved, by)
        path.unlink(missing_ok=True)
        shutil.rmtree(made.folder, ignore_errors=True)
        tasks = [
            (
                f"block {start}",
                made.rows_from(start) * GENERATED,
                partial(draw.sample_block, saved.cell, folder / "flux.h5", network, by, made, start, "cpu"),
            )
            for start in made.missing()
        ]
        began = time.perf_counter()
        there.run(tasks, "sample", "sample", 0.0, lambda number: "")
        samples.join(made)
        pairs.append((alone, time.perf_counter() - began))
    # In the first round a process starts.
    return compared(f"sampling, {by.label} in {by.steps} evaluations, samples/s", pairs[1:], MEASUREMENTS * GENERATED)


@torch.no_grad()
def bare_sampler(folder: Path, saved: checkpoints.Checkpoint, by: Integrator) -> float:
    """Return the seconds of the sampler alone, on tensors that are there."""
    measured = draw.measured_by(saved.cell, datasets.read(folder / "flux.h5"), MEASUREMENTS)
    condition = torch.as_tensor(saved.normalisation.condition(measured), dtype=torch.float32)
    network, recipe = saved.network(torch.device("cpu")), saved.cell.hyperparameters
    t_min = network.formulation.sampling_end(recipe.t_min, recipe.noise_ratio_end)
    generator = torch.Generator().manual_seed(0)
    at_once = draw.ROWS["cpu"] // GENERATED

    def integrate(y: Tensor) -> None:
        exponential_multistep(
            lambda x, t, rows: network(x, y[rows], t),
            network.formulation,
            lambda: torch.randn(len(y), saved.x_size, generator=generator),
            by.alpha,
            by.steps,
            t_min,
        )

    began = time.perf_counter()
    for start in range(0, MEASUREMENTS, at_once):
        integrate(condition[start : start + at_once].repeat_interleave(GENERATED, dim=0))
    return time.perf_counter() - began


def compared(what: str, pairs: list[tuple[float, float]], amount: float) -> Row:
    """Return a row of speeds from pairs of seconds for an amount of work, bare and through Ray."""
    alone, whole = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(each / bare_one for bare_one, each in pairs)
    row = {"what": what, "bare": amount / alone, "through Ray": amount / whole, "beyond the bare one": ratio - 1.0}
    print(line(row), flush=True)
    return row


def measure(options: Options) -> Found:
    """Measure networks, training and sampling through Ray: two tables and their goals."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_data("flux", folder / "flux.h5")
        there = cluster.connect("local", 1)
        try:
            ways = overhead(there, folder, options.rounds)
            speeds = [training(there, folder, options.rounds)]
            speeds.append(sampling(there, folder, Integrator(0.0, "exponential", 16), options.rounds))
        finally:
            cluster.disconnect()
    more = ways[0]["beyond training, s a network"]
    reached = [goal("packed: seconds a network beyond training, warm", more, more < ALLOWED_SECONDS, "below 0.5")]
    for row in speeds:
        share = row["beyond the bare one"]
        reached.append(goal(f"{row['what']}: beyond the bare one", share, share <= ALLOWED_SHARE, "at most 0.1"))
    return {"A network more": ways, "Speed, one core": speeds}, reached
