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

from fluxbench.bench.asv.training import cell_of, write_data
from fluxbench.bench.config import load
from fluxbench.bench.files import samples
from fluxbench.bench.run import Run, SampleSet
from fluxbench.bench.stages.sample import blocks, draw_block
from fluxbench.bench.studies.training_speed import bare
from fluxbench.bench.study import Findings, Options, goal, line
from fluxbench.diffusion.integrators import Exponential
from fluxbench.solvers.data.measurements import observations
from fluxbench.storage import Row
from fluxbench.training import checkpoints, cluster, grid
from fluxbench.training.cells import Cell
from fluxbench.training.cluster import Cluster
from fluxbench.training.planning import Job, Strategy, plan
from fluxbench.training.posterior import ROWS
from fluxbench.training.trainer import train
from fluxbench.training.watch import Watch

TITLE = "What Ray costs"
ROUNDS = 3
FEW, MANY = 4, 24
"""Networks, whose difference in time is that of twenty."""
EPOCHS = 250
"""Of the network whose training is timed: 2,250 steps."""
MEASUREMENTS, GENERATED = 100, 1_000
SAMPLER = Exponential(0.0, 16)
ALLOWED_SECONDS, ALLOWED_SHARE = 0.5, 0.1


def run_in(root: Path) -> Run:
    """Return a run of one network of recipe `tuned` for the linear flux problem at 1 % noise, its data set written."""
    sizes = [f"flux.epochs={EPOCHS}", f"flux.measurements={MEASUREMENTS}", f"flux.generated={GENERATED}"]
    run = Run(load("linear", [f"root={root}", "flux.noise=[0.01]", *sizes]))
    write_data("flux", run.data_path("linear"), run.data_specification("linear"))
    return run


def network(run: Run, seed: int, epochs: int) -> Cell:
    """Return the run's network with another seed, trained for so many epochs."""
    (cell,) = run.cells
    return replace(cell, seed=seed, hyperparameters=replace(cell.hyperparameters, epochs=epochs))


def through_ray(there: Cluster, run: Run, count: int, epochs: int, strategy: Strategy) -> float:
    """Return the seconds to train so many networks through Ray, one after the other."""
    cells = [network(run, seed, epochs) for seed in range(count)]
    train_samples = run.config.flux.train_samples
    jobs = [
        Job(cell, run.data_path(cell.problem), run.checkpoint_path(cell), cell.steps(train_samples)) for cell in cells
    ]
    for job in jobs:
        job.path.unlink(missing_ok=True)
    began = time.perf_counter()
    chosen = plan(there.resources, jobs, strategy, 1, "cpu")
    failed = grid.train_all(jobs, chosen, run.folder / "ray", Watch(jobs, {}))
    if failed:
        raise RuntimeError(str(failed))
    return time.perf_counter() - began


def here(run: Run, count: int) -> float:
    """Return the seconds to train so many networks for an epoch in this process."""
    began = time.perf_counter()
    for seed in range(count):
        cell = network(run, seed, 1)
        path = run.checkpoint_path(cell)
        path.unlink(missing_ok=True)
        train(cell, run.data_path(cell.problem), path, "cpu")
    return time.perf_counter() - began


def overhead(there: Cluster, run: Run, rounds: int) -> list[Row]:
    """Measure the seconds that a network takes beyond its training, a row a strategy."""
    rows = []
    here(run, 1)  # warm
    alone = here(run, MANY - FEW) / (MANY - FEW)
    strategies: list[tuple[str, Strategy, int, int, int]] = [
        ("packed", "packed", FEW, MANY, rounds),
        ("a TorchTrainer each", "ddp", 1, 2, 1),
    ]
    for name, strategy, few, many, times in strategies:
        pairs = []
        for _ in range(times):
            first, second = (through_ray(there, run, count, 1, strategy) for count in (few, many))
            pairs.append((first, (second - first) / (many - few) - alone))
        start, more = (median(column) for column in zip(*pairs, strict=True))
        row = {"strategy": name, f"first {few}, s": start, "beyond training, s a network": more, "training, s": alone}
        rows.append(row)
        print(line(row), flush=True)
    return rows


def training(there: Cluster, run: Run, rounds: int) -> Row:
    """Measure steps a second of a packed network and of the bare loop."""
    pairs = []
    for _ in range(rounds):
        alone = bare(cell_of("tuned, flux"))
        through_ray(there, run, 1, EPOCHS, "packed")
        saved = checkpoints.load(run.checkpoint_path(run.cells[0]))
        pairs.append((alone, saved.seconds / saved.steps))
    return compared("training, steps/s", pairs, 1.0)


def sampling(there: Cluster, run: Run, rounds: int) -> Row:
    """Measure samples a second through Ray, file and all, and of the bare sampler."""
    each = SampleSet(run.cells[0], 0.01, SAMPLER)
    parts = blocks(run, each, "cpu")
    pairs = []
    for _ in range(1 + rounds):
        alone = bare_sampler(run, each)
        parts.path.unlink(missing_ok=True)
        shutil.rmtree(parts.folder, ignore_errors=True)
        tasks = [
            (f"block {start}", parts.rows_from(start) * GENERATED, partial(draw_block, run, each, parts, start, "cpu"))
            for start in parts.missing()
        ]
        began = time.perf_counter()
        there.run(tasks, "sample", "sample", 0.0, lambda number: "")
        samples.join(parts)
        pairs.append((alone, time.perf_counter() - began))
    # In the first round a process starts.
    what = f"sampling, {SAMPLER.label} in {SAMPLER.steps} evaluations, samples/s"
    return compared(what, pairs[1:], MEASUREMENTS * GENERATED)


@torch.no_grad()
def bare_sampler(run: Run, each: SampleSet) -> float:
    """Return the seconds of the sampler alone, on tensors that are there."""
    posterior, at_once = run.posterior(each.cell), ROWS["cpu"] // GENERATED
    measured = observations(run.dataset(each.problem), each.noise, MEASUREMENTS)
    starts = range(0, MEASUREMENTS, at_once)
    scores = [posterior.score(measured.rows(start, start + at_once), GENERATED) for start in starts]
    generator, shape = torch.Generator().manual_seed(0), (at_once * GENERATED, posterior.x_size)
    began = time.perf_counter()
    for score in scores:
        each.integrator.integrate(
            score, posterior.formulation, lambda: torch.randn(shape, generator=generator), posterior.t_min
        )
    return time.perf_counter() - began


def compared(what: str, pairs: list[tuple[float, float]], amount: float) -> Row:
    """Return a row of speeds from pairs of seconds for an amount of work, bare and through Ray."""
    alone, whole = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(each / bare_one for bare_one, each in pairs)
    row = {"what": what, "bare": amount / alone, "through Ray": amount / whole, "beyond the bare one": ratio - 1.0}
    print(line(row), flush=True)
    return row


def measure(options: Options) -> Findings:
    """Measure networks, training and sampling through Ray: two tables and their goals."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        run = run_in(Path(directory))
        there = cluster.connect("local", 1)
        try:
            strategies = overhead(there, run, options.rounds)
            speeds = [training(there, run, options.rounds), sampling(there, run, options.rounds)]
        finally:
            cluster.disconnect()
    more = strategies[0]["beyond training, s a network"]
    goals = [goal("packed: seconds a network beyond training, warm", more, more < ALLOWED_SECONDS, "below 0.5")]
    for row in speeds:
        share = row["beyond the bare one"]
        goals.append(goal(f"{row['what']}: beyond the bare one", share, share <= ALLOWED_SHARE, "at most 0.1"))
    return {"A network more": strategies, "Speed, one core": speeds}, goals
