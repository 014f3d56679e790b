"""Reference posteriors of a flux problem on disk: made once, block by block, checked, and read by whoever scores.

Layout of a reference, version 1; M test measurements, the first of the test split, S samples each:

    /                attributes: schema, version, specification (JSON), provenance (JSON)
    /x (M, S, d)     samples of the posterior, every so many of the chains' states, float32
    /mean /std (M, d)              of all states
    /mean_error (M, d)             Monte Carlo standard error of the mean
    /r_hat /effective (M, d)       rank-normalised split R-hat and effective samples (Vehtari et al. 2021)
    /acceptance /states (M,)       share of accepted trajectories, states of all chains
    /y (M, n)  /mask (M, n)        the measurements as the networks see them; the mask where there is one

A block is the same for its share of the measurements. Random numbers belong to the block's first measurement, so that
whoever makes one writes the same.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from arviz_stats.base.array import array_stats

from bench.references import hamiltonian
from bench.references.posterior import FluxPosterior
from solvers import datasets
from solvers.errors import InputError
from solvers.flux_problems import FLUX_PROBLEMS
from solvers.measurements import MeasurementOperator
from solvers.problems import Floats
from solvers.storage import check_specification

SCHEMA = "fluxbench.reference"
VERSION = 1
BLOCK = 25
"""Measurements a block: a minute's work for the nonlinear problem."""
CHAINS, STATES = 8, 250
LONGER = 4
ATTEMPTS = 3
"""Measurements that fall short are sampled again by chains LONGER times as long, up to so often."""
R_HAT, EFFECTIVE = 1.01, 1_000
"""What a measurement is to reach in every component."""
ARRAYS = ("x", "mean", "std", "mean_error", "r_hat", "effective", "acceptance", "states", "y")


@dataclass(frozen=True)
class Reference:
    """Reference posteriors of M measurements; shapes as in the module's docstring.

    Attributes:
        x: samples.
        mean: of all states.
        std: of all states.
        mean_error: Monte Carlo standard error of the mean.
        r_hat: split R-hat.
        effective: effective samples.
        acceptance: of trajectories.
        states: of all chains.
        y: the measurements.
        mask: sensors that are on, None where all are.
    """

    x: Floats
    mean: Floats
    std: Floats
    mean_error: Floats
    r_hat: Floats
    effective: Floats
    acceptance: Floats
    states: Floats
    y: Floats
    mask: np.ndarray | None


def specification(data: dict[str, Any], noise: float, measurements: int, samples: int) -> dict[str, Any]:
    """Everything that determines a reference, given the specification of its data set."""
    method = {"chains": CHAINS, "states": STATES, "step": hamiltonian.STEP, "longest": hamiltonian.LONGEST}
    sensors_on = FLUX_PROBLEMS[data["problem"]].sensors_on
    wanted = {"data": data, "noise": noise, "sensors_on": sensors_on, "measurements": measurements, "samples": samples}
    return wanted | {"method": method | {"r_hat": R_HAT, "effective": EFFECTIVE, "block": BLOCK}}


def make_block(
    data_path: Path,
    expected: dict[str, Any],
    start: int,
    path: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Sample the posteriors of the measurements from ``start`` on, a block of them, unless that is done.

    Args:
        data_path: the data set.
        expected: from :func:`specification`.
        start: index of the first measurement.
        path: of the reference, beside which the block is written.
        progress: called with the number of measurements done since the last call.

    Raises:
        InputError: if the data set is missing or damaged.
    """
    stop = min(start + BLOCK, expected["measurements"])
    block = block_path(path, start)
    if not _is_whole(block, expected):
        from solvers.simulators import simulator  # noqa: PLC0415 - needs dolfinx

        data = datasets.read(data_path)
        problem = FLUX_PROBLEMS[data.specification["problem"]]
        operator = MeasurementOperator.of(data, expected["noise"])
        measured = operator.measure(datasets.Split(data.test.x[:stop], data.test.y[:stop]), "test")
        posterior = FluxPosterior(
            problem.prior,
            simulator(problem, data.specification["mesh"]),
            operator.y_scale.restore(measured.y[start:]),
            expected["noise"] * operator.y_scale.span,
            None if measured.mask is None else measured.mask[start:],
        )
        stream = f"{problem.name}/reference/{expected['noise']:g}/{start}"
        arrays = _sampled(posterior, data.specification["seed"], stream, expected["samples"])
        arrays["y"] = measured.y[start:]
        if measured.mask is not None:
            arrays["mask"] = measured.mask[start:]
        with datasets.created(block, SCHEMA, VERSION, expected) as file:
            datasets.write_arrays(file, arrays)
    progress(stop - start)


def _sampled(posterior: FluxPosterior, seed: int, stream: str, samples: int) -> dict[str, np.ndarray]:
    """The arrays of a block but for its measurements."""
    found: list[dict[str, np.ndarray]] = [{}] * len(posterior.y)
    todo, states = np.arange(len(posterior.y)), STATES
    for attempt in range(ATTEMPTS):
        chains = hamiltonian.sample(posterior.part(todo), seed, f"{stream}/{attempt}", CHAINS, states // 4, states)
        r_hat = array_stats.rhat(chains.g, chain_axis=1, draw_axis=2)
        effective = array_stats.ess(chains.g, chain_axis=1, draw_axis=2)
        x = np.maximum(chains.g, 0.0).reshape(len(todo), -1, chains.g.shape[-1])
        std = x.std(axis=1, ddof=1)
        kept = np.linspace(0, x.shape[1] - 1, samples).round().astype(np.int64)
        for i, measurement in enumerate(todo):
            found[measurement] = {
                "x": x[i, kept].astype(np.float32),
                "mean": x[i].mean(axis=0),
                "std": std[i],
                "mean_error": std[i] / np.sqrt(effective[i]),
                "r_hat": r_hat[i],
                "effective": effective[i],
                "acceptance": chains.acceptance[i],
                "states": np.array(x.shape[1]),
            }
        todo = todo[(r_hat.max(axis=1) >= R_HAT) | (effective.min(axis=1) < EFFECTIVE)]
        states *= LONGER
        if len(todo) == 0:
            break
    return {name: np.stack([each[name] for each in found]) for name in found[0]}


def block_path(path: Path, start: int) -> Path:
    """A block's file, in a folder beside the reference."""
    return path.with_name(f"{path.name}.blocks") / f"{start:06d}.h5"


def blocks(measurements: int) -> range:
    """Where the blocks start."""
    return range(0, measurements, BLOCK)


def _is_whole(path: Path, expected: dict[str, Any]) -> bool:
    try:
        with datasets.open_checked(path, SCHEMA, VERSION) as file:
            found = datasets.record(file, "specification")
            _arrays(file)
    except InputError:
        return False
    check_specification(path, found, expected)
    return True


def join(path: Path, expected: dict[str, Any]) -> None:
    """Write the reference from its blocks and remove them.

    Raises:
        InputError: if a block is missing or damaged.
    """
    parts = []
    for start in blocks(expected["measurements"]):
        with datasets.open_checked(block_path(path, start), SCHEMA, VERSION) as file:
            parts.append(_arrays(file))
    with datasets.created(path, SCHEMA, VERSION, expected) as file:
        datasets.write_arrays(file, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    shutil.rmtree(block_path(path, 0).parent, ignore_errors=True)


def _arrays(file: h5py.File) -> dict[str, Any]:
    return {name: datasets.read_array(file, name) for name in (*ARRAYS, *(["mask"] if "mask" in file else []))}


def read(path: Path, expected: dict[str, Any]) -> Reference:
    """Read a reference that must have been made as ``expected``.

    Raises:
        InputError: if it is missing, damaged or made otherwise.
    """
    with datasets.open_checked(path, SCHEMA, VERSION) as file:
        check_specification(path, datasets.record(file, "specification"), expected)
        return Reference(**({"mask": None} | _arrays(file)))
