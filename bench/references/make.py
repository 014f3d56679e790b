"""Make reference posteriors, block by block.

Random numbers belong to the measurement, so that whoever samples it writes the same. Measurements whose chains fall
short of what is asked of every component are sampled again by longer ones, and the last of these are kept.
"""

import time

import numpy as np

from fluxbench.arrays import Floats, Mask
from fluxbench.bench.files import references
from fluxbench.bench.references import hamiltonian
from fluxbench.bench.references.effort import ATTEMPTS, CHAINS, EFFECTIVE, LONGER, R_HAT, STATES, WARM_UP
from fluxbench.bench.references.posterior import FluxPosterior
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.data.measurements import Measured, MeasurementOperator
from fluxbench.solvers.fem.flux_simulator import FluxSimulator
from fluxbench.solvers.problems import flux_problem


def make_block(data: Dataset, simulator: FluxSimulator, parts: Blocks, start: int) -> None:
    """Sample the posteriors of the measurements from ``start`` on, a block of them, and write the block.

    Args:
        data: of the measurements.
        simulator: of the forward problem.
        parts: the blocks of the reference.
        start: index of the first measurement.
    """
    expected, stop = parts.specification, start + parts.rows_from(start)
    posterior, measured = posterior_of(data, simulator, expected["noise"], start, stop)
    stream = f"{expected['data']['problem']}/reference/{expected['noise']:g}"
    began = time.perf_counter()
    arrays = sampled(posterior, expected["data"]["seed"], stream, start, expected["samples"])
    arrays["y"] = measured.y
    if measured.mask is not None:
        arrays["mask"] = measured.mask
    parts.write(start, arrays, {"seconds": time.perf_counter() - began})


def posterior_of(
    data: Dataset, simulator: FluxSimulator, noise: float, start: int, stop: int
) -> tuple[FluxPosterior, Measured]:
    """Return the posteriors of test measurements ``start`` to ``stop - 1``, and these as the networks see them."""
    problem, operator = flux_problem(data.specification["problem"]), MeasurementOperator.of(data, noise)
    measured = operator.measure(data.test.first(stop), "test").rows(start, stop)
    y = operator.y_scale.restore(measured.y)
    return FluxPosterior(problem.prior, simulator, y, operator.noise_std, measured.mask), measured


def sampled(posterior: FluxPosterior, seed: int, stream: str, start: int, samples: int) -> dict[str, np.ndarray]:
    """Sample posteriors until every measurement has reached what is asked of it, or enough was tried.

    Args:
        posterior: of M measurements.
        seed: of the run.
        stream: names the random numbers.
        start: index of the first measurement.
        samples: that are kept of either half of the chains.

    Returns:
        The arrays of a reference file, M rows each, but for what was measured.
    """
    from arviz_stats.base.array import array_stats  # noqa: PLC0415 - two seconds, where chains are run

    found: list[dict[str, np.ndarray]] = [{}] * len(posterior.y)
    todo, states = np.arange(len(posterior.y)), STATES
    for attempt in range(ATTEMPTS):
        part, indices = posterior.part(todo), start + todo
        chains = hamiltonian.sample(part, seed, f"{stream}/{attempt}", indices, CHAINS, states // WARM_UP, states)
        r_hat = array_stats.rhat(chains.g, chain_axis=1, draw_axis=2)
        effective = array_stats.ess(chains.g, chain_axis=1, draw_axis=2)
        tail = array_stats.ess(chains.g, chain_axis=1, draw_axis=2, method="tail", prob=(0.05, 0.95))
        clipped = np.maximum(chains.g, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):  # where nothing varies
            mean_error = np.nan_to_num(array_stats.mcse(clipped, chain_axis=1, draw_axis=2))
        x = clipped.reshape(len(todo), -1, clipped.shape[-1])  # chain after chain
        std = x.std(axis=1, ddof=1)
        kept = np.linspace(0, x.shape[1] // 2 - 1, samples).round().astype(np.int64)
        kept_again = kept + x.shape[1] // 2
        for i, measurement in enumerate(todo):
            found[measurement] = {
                "x": x[i, kept].astype(np.float32),
                "again": x[i, kept_again].astype(np.float32),
                "mean": x[i].mean(axis=0),
                "std": std[i],
                "mean_error": mean_error[i],
                "r_hat": r_hat[i],
                "effective": effective[i],
                "tail": tail[i],
                "acceptance": chains.acceptance[i],
                "states": np.array(x.shape[1]),
            }
        todo = todo[_short(r_hat, effective)]
        states *= LONGER
        if len(todo) == 0:
            break
    return {name: np.stack([each[name] for each in found]) for name in found[0]}


def _short(r_hat: Floats, effective: Floats) -> Mask:
    return (r_hat.max(axis=1) >= R_HAT) | (effective.min(axis=1) < EFFECTIVE)


def join(parts: Blocks) -> int:
    """Write the reference from its blocks and remove them.

    Returns:
        How many measurements fell short of what was asked of them after all attempts.

    Raises:
        InputError: if a block is missing or damaged.
    """
    parts.join(lambda parts: {"seconds": sum(part["seconds"] for part in parts)})
    whole = references.read(parts.path, parts.specification)
    return int(_short(whole.r_hat, whole.effective).sum())
