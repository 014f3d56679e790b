"""Reference posteriors of a flux problem on disk.

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

import numpy as np

from fluxbench.solvers.boundary_flux import Floats
from fluxbench.solvers.data import datasets
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.storage import check_specification

SCHEMA = "fluxbench.reference"
VERSION = 1
BLOCK = 25
"""Measurements a block: two minutes' work for the nonlinear problem."""
CHAINS, STATES = 8, 500
WARM_UP = 4
"""The share of states that are thrown away at first: one for so many that are kept."""
STEP, LONGEST = 0.25, 40
"""Of the leapfrog: its step, and how many a trajectory has at most."""
FARTHEST = 12.0
"""Standard deviations of the prior: a trajectory that ends farther away has lost its way, and is not worth a solve."""
LONGER = 2
ATTEMPTS = 4
"""Measurements that fall short are sampled again by chains LONGER times as long, up to so often."""
R_HAT, EFFECTIVE = 1.01, 1_000
"""What a measurement is to reach in every component."""
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
    mask: np.ndarray | None
    seconds: float


def specification(data: dict[str, Any], noise: float, measurements: int, samples: int) -> dict[str, Any]:
    """Everything that determines a reference, given the specification of its data set."""
    method = {"chains": CHAINS, "states": STATES, "step": STEP, "longest": LONGEST, "farthest": FARTHEST}
    method |= {"warm_up": WARM_UP, "longer": LONGER, "attempts": ATTEMPTS}
    sensors_on = FLUX_PROBLEMS[data["problem"]].sensors_on
    wanted = {"data": data, "noise": noise, "sensors_on": sensors_on, "measurements": measurements, "samples": samples}
    return wanted | {"method": method | {"r_hat": R_HAT, "effective": EFFECTIVE, "block": BLOCK}}


def read(path: Path, expected: dict[str, Any]) -> Reference:
    """Read a reference that must have been made as ``expected``.

    Raises:
        InputError: if it is missing, damaged or made otherwise.
    """
    with datasets.open_checked(path, SCHEMA, VERSION) as file:
        check_specification(path, datasets.record(file, "specification"), expected)
        arrays: dict[str, Any] = {
            name: datasets.read_array(file, name) for name in (*ARRAYS, *(["mask"] if "mask" in file else []))
        }
        return Reference(**({"mask": None} | arrays), seconds=float(file.attrs["seconds"]))
