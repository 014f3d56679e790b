"""Stage ``sample``: posterior samples of every network by every integrator, in blocks of measurements.

One network of each problem is sampled by every integrator at several efforts as well, for accuracy against cost.
"""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fluxbench.bench.files import ladders, samples
from fluxbench.bench.files.ladders import Rung
from fluxbench.bench.files.samples import PosteriorSamples
from fluxbench.bench.run import Run, SampleSet
from fluxbench.bench.stages.resources import cluster_of, resources_of, run_tasks
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.solvers.data.measurements import Measured, observations
from fluxbench.solvers.data.staging import staged
from fluxbench.training import workers
from fluxbench.training.planning import device_of

BLOCK = {"cpu": 50_000, "cuda": 1_000_000}
"""Samples a block, by device: seconds of work, in a few megabytes."""


def act(run: Run) -> None:
    """Draw every set of samples that is not there, and every ladder.

    Raises:
        InputError: if a checkpoint is missing or unfinished, or a sample file is another configuration's.
    """
    for problem in run.problems:
        run.solved(problem)
    todo = [each for each in run.sample_sets if not _is_done(run, each)]
    climbed = [each for each in run.studied if not _is_climbed(run, each)]
    if not todo and not climbed:
        return
    cluster = cluster_of(run.config)
    device = device_of(run.config.device, resources_of(run.config, cluster))
    tasks: list[workers.Labelled] = []
    files: list[Blocks | None] = []
    left: Counter[Path] = Counter()
    for each in todo:
        parts = blocks(run, each, device)
        missing = parts.missing()
        if not missing:
            samples.join(parts)
        for start in missing:
            task = partial(draw_block, run, each, parts, start, device)
            label = f"{each.network} {each.integrator.label}"
            tasks.append((label, parts.rows_from(start) * run.config.sizes(each.problem).generated, task))
            files.append(parts)
        left[parts.path] = len(missing)
    for each in climbed:
        measurements, count = run.ladder_sizes(each)
        amount = measurements * count * len(ladders.integrators())
        tasks.append((f"{each.network} by every integrator", amount, partial(draw_ladder, run, each, device)))
        files.append(None)
    if not tasks:
        return

    def ended(number: int) -> str:
        parts = files[number]
        if parts is None:
            return tasks[number][0]
        left[parts.path] -= 1
        if left[parts.path] > 0:
            return ""
        samples.join(parts)
        return parts.path.stem

    run_tasks(run.config, cluster, tasks, "sample", device, ended)


def _is_done(run: Run, each: SampleSet) -> bool:
    _must_be_trained(run, each)
    path = run.samples_path(each)
    if not path.exists():
        return False
    run.require_samples(each)
    samples.blocks(path, {}, 1, 1).remove()  # of a run that was killed at its very end
    return True


def _is_climbed(run: Run, each: SampleSet) -> bool:
    _must_be_trained(run, each)
    path = run.ladder_path(each)
    if path.exists():
        run.require_ladder(each)
    return path.exists()


def _must_be_trained(run: Run, each: SampleSet) -> None:
    path = run.checkpoint_path(each.cell)
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench train` makes it")


def blocks(run: Run, each: SampleSet, device: str) -> Blocks:
    """Return the blocks in which a set of samples is drawn on a device."""
    sizes = run.config.sizes(each.problem)
    path, expected = run.samples_path(each), run.samples_specification(each)
    return samples.blocks(path, expected, sizes.measurements, max(1, BLOCK[device] // sizes.generated))


def draw_block(
    run: Run, each: SampleSet, parts: Blocks, start: int, device: str, progress: Callable[[int], None]
) -> None:
    """Draw the samples of one block of measurements, and write it.

    Args:
        run: whose network is sampled.
        each: the set of samples.
        parts: its blocks.
        start: the block's first measurement.
        device: ``"cpu"`` or ``"cuda"``.
        progress: called with the number of samples drawn since the last call.

    Raises:
        InputError: if an input is missing or damaged, or the network cannot be integrated.
    """
    posterior = run.posterior(each.cell, device)
    stop = start + parts.rows_from(start)
    measured = _measured(run, each, stop).rows(start, stop)
    generated, seed = run.config.sizes(each.problem).generated, run.config.seed
    began = time.perf_counter()
    try:
        x, evaluations = posterior.draw(measured, generated, each.integrator, seed, progress, start)
    except RuntimeError as error:
        raise InputError(f"{each.network}: {error}") from error
    seconds = time.perf_counter() - began
    samples.write_block(parts, start, PosteriorSamples(x, measured.y, measured.mask, evaluations, seconds))


def draw_ladder(run: Run, each: SampleSet, device: str, progress: Callable[[int], None]) -> None:
    """Sample a network by every integrator at several efforts, and write the ladder.

    Raises:
        InputError: if an input is missing or damaged, or the network cannot be integrated.
    """
    posterior = run.posterior(each.cell, device)
    measurements, count = run.ladder_sizes(each)
    measured, seed = _measured(run, each, measurements), run.config.seed
    rungs = []
    posterior.draw(measured.rows(0, 1), 2, ladders.integrators()[0], seed)  # warm
    for integrator in ladders.integrators():
        began = time.perf_counter()
        try:
            x, evaluations = posterior.draw(measured, count, integrator, seed, progress)
        except RuntimeError as error:
            raise InputError(f"{each.network}: {error}") from error
        rungs.append(Rung(integrator, x, evaluations, time.perf_counter() - began))
    ladders.write(run.ladder_path(each), run.ladder_specification(each), rungs)


def _measured(run: Run, each: SampleSet, count: int) -> Measured:
    """The first measurements of a set's problem, from this node's copy of the data set."""
    return observations(datasets.read(staged(run.solved(each.problem))), each.noise, count)
