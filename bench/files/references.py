"""Reference posteriors of a problem on disk.

Layout of a reference, version 1; M test measurements, the first of the test split, S samples each:

    /                attributes: schema, version, specification (JSON), provenance (JSON), seconds (of core time)
    /x (M, S, d)     samples of the posterior, every so many of the states of half of the chains, float32
    /again (M, S, d) as many of the others, as an exact sampler would draw; either half has at least half of the
                     effective samples
    /mean /std (M, d)              of all states
    /mean_error (M, d)             Monte Carlo standard error of the mean, 0 where all states are clipped; that of the
                                   standard deviation is about std / (2 effective)^(1/2)
    /r_hat /effective /tail (M, d) rank-normalised split R-hat, effective samples in bulk and tails, of the fluxes
                                   before clipping (Vehtari et al. 2021)
    /acceptance /states (M,)       share of accepted trajectories, states of all chains
    /y (M, n)  /mask (M, n)        the measurements as the networks see them; the mask where there is one

A block of a reference that is being made is the same for its share of the measurements.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxbench import hdf5
from fluxbench.arrays import Floats, Mask
from fluxbench.bench.references import effort
from fluxbench.solvers import problems
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.storage import check_specification

SCHEMA = "fluxbench.reference"
VERSION = 1
ARRAYS = ("x", "again", "mean", "std", "mean_error", "r_hat", "effective", "tail", "acceptance", "states", "y")


@dataclass(frozen=True)
class Reference:
    """Reference posteriors of M measurements; shapes as in the module's docstring.

    Attributes:
        x: samples.
        again: samples of other chains.
        mean: of all states.
        std: of all states.
        mean_error: Monte Carlo standard error of the mean.
        r_hat: split R-hat.
        effective: effective samples.
        tail: effective samples for the 5 and 95 % quantiles.
        acceptance: of trajectories.
        states: of all chains.
        y: the measurements.
        mask: sensors that are on, None where all are.
        seconds: of core time that it took.
    """

    x: Floats
    again: Floats
    mean: Floats
    std: Floats
    mean_error: Floats
    r_hat: Floats
    effective: Floats
    tail: Floats
    acceptance: Floats
    states: Floats
    y: Floats
    mask: Mask | None
    seconds: float


def specification(data: dict[str, Any], noise: float, measurements: int, samples: int) -> dict[str, Any]:
    """Return everything that determines a reference.

    Args:
        data: specification of its data set.
        noise: level in normalised units.
        measurements: of the test split, the first ones.
        samples: for each measurement, and as many again.
    """
    sensors_on = problems.problem(data["problem"]).sensors_on
    sizes = {"measurements": measurements, "samples": samples}
    return {"data": data, "noise": noise, "sensors_on": sensors_on} | sizes | {"method": effort.specification()}


def blocks(path: Path, expected: dict[str, Any]) -> Blocks:
    """Return the blocks in which the reference of a specification is made."""
    return Blocks(path, SCHEMA, VERSION, expected, expected["measurements"], effort.BLOCK)


def read(path: Path, expected: dict[str, Any]) -> Reference:
    """Read a reference that must have been made as ``expected``.

    Raises:
        InputError: if it is missing, damaged or made otherwise.
    """
    with hdf5.open_checked(path, SCHEMA, VERSION) as file:
        check_specification(path, hdf5.record(file, "specification"), expected)
        names = (*ARRAYS, *(["mask"] if "mask" in file else []))
        arrays: dict[str, Any] = {"mask": None} | {name: hdf5.read_array(file, name) for name in names}
        return Reference(**arrays, seconds=float(file.attrs["seconds"]))
