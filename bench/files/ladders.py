"""Ladder files: samples of one network by every integrator at several efforts, for accuracy against cost.

HDF5, version 1: attributes as in a data set; a group ``0``, ``1``, ... for each rung with the array `x` (M, S, d)
float32 in physical units and the attributes `integrator` (JSON), `evaluations` a sample and `seconds` of one process
with one thread.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxbench import hdf5
from fluxbench.arrays import Reals
from fluxbench.diffusion.integrators import INTEGRATORS, Integrator
from fluxbench.storage import check_specification

SCHEMA = "fluxbench.ladder"
VERSION = 1


@dataclass(frozen=True)
class Rung:
    """Samples by one integrator.

    Attributes:
        integrator: method and effort.
        x: samples in physical units, shape (M, S, d).
        evaluations: network evaluations a sample, the mean.
        seconds: wall time.
    """

    integrator: Integrator
    x: Reals
    evaluations: float
    seconds: float


def integrators() -> list[Integrator]:
    """Return every integrator at every effort of its ladder: ODE samplers first, each method's efforts together."""
    rungs = [rung for method in INTEGRATORS.values() for rung in method.ladder()]
    return sorted(rungs, key=lambda rung: rung.alpha)


def write(path: Path, specification: dict[str, Any], rungs: list[Rung]) -> None:
    """Write a ladder atomically.

    Raises:
        InputError: if it cannot be written.
    """
    with hdf5.created(path, SCHEMA, VERSION, specification) as file:
        for number, rung in enumerate(rungs):
            hdf5.write_arrays(file, {f"{number}/x": rung.x})
            file[str(number)].attrs.update(
                integrator=json.dumps(rung.integrator.specification()),
                evaluations=rung.evaluations,
                seconds=rung.seconds,
            )


def read(path: Path, expected: dict[str, Any]) -> Iterator[Rung]:
    """Read the rungs of a ladder that must have been drawn as ``expected``.

    Raises:
        InputError: if it is absent, damaged or drawn otherwise.
    """
    with hdf5.open_checked(path, SCHEMA, VERSION) as file:
        check_specification(path, hdf5.record(file, "specification"), expected)
        for number in range(len(file)):
            attributes = file[str(number)].attrs
            chosen = json.loads(attributes["integrator"])
            integrator = INTEGRATORS[chosen.pop("method")](**chosen)
            x = hdf5.read_array(file, f"{number}/x")
            yield Rung(integrator, x, float(attributes["evaluations"]), float(attributes["seconds"]))
