"""Sample files: what the stage ``sample`` leaves for all that comes after it.

HDF5, version 3: attributes as in a data set, `evaluations` and `seconds`; `x` (M, S, d) float32 holds S samples for
each of M measurements in physical units, `y` (M, n) the normalised measurements, `mask` (M, n), where sensors may be
off, which of them are on. The file is joined from blocks of measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fluxbench import hdf5
from fluxbench.arrays import Floats, Mask, Reals
from fluxbench.solvers.data.blocks import Attributes, Blocks
from fluxbench.storage import check_specification

SCHEMA = "fluxbench.samples"
VERSION = 3


@dataclass(frozen=True)
class PosteriorSamples:
    """The content of a sample file.

    Attributes:
        x: samples in physical units, shape (M, S, d).
        y: normalised measurements, shape (M, n).
        mask: True where a sensor is on, shape (M, n); None where all of them always are.
        evaluations: network evaluations a sample, the mean.
        seconds: of sampling, one block after the other.
    """

    x: Reals
    y: Floats
    mask: Mask | None
    evaluations: float
    seconds: float


def read(path: Path, expected: dict[str, Any]) -> PosteriorSamples:
    """Read a sample file that must have been drawn as ``expected``.

    Raises:
        InputError: if it is absent, damaged, drawn otherwise, or holds NaN.
    """
    with hdf5.open_checked(path, SCHEMA, VERSION) as file:
        check_specification(path, hdf5.record(file, "specification"), expected)
        return PosteriorSamples(
            x=hdf5.read_array(file, "x"),
            y=hdf5.read_array(file, "y"),
            mask=hdf5.read_array(file, "mask") if "mask" in file else None,
            evaluations=float(file.attrs["evaluations"]),
            seconds=float(file.attrs["seconds"]),
        )


def blocks(path: Path, specification: dict[str, Any], measurements: int, size: int) -> Blocks:
    """Return the blocks of a sample file of so many measurements, ``size`` of them each."""
    return Blocks(path, SCHEMA, VERSION, specification, measurements, size)


def write_block(parts: Blocks, start: int, samples: PosteriorSamples) -> None:
    """Write the block of the measurements from ``start`` on.

    Raises:
        InputError: if it cannot be written.
    """
    arrays: dict[str, np.ndarray] = {"x": samples.x, "y": samples.y}
    if samples.mask is not None:
        arrays["mask"] = samples.mask
    parts.write(start, arrays, {"evaluations": samples.evaluations, "seconds": samples.seconds})


def join(parts: Blocks) -> None:
    """Write a sample file from its blocks, and remove them.

    Raises:
        InputError: if a block is missing or damaged, or there is no room for the file.
    """

    def combine(each: Sequence[Attributes]) -> Attributes:
        shares = [parts.rows_from(start) / parts.rows for start in parts.starts]
        mean = sum(share * part["evaluations"] for share, part in zip(shares, each, strict=True))
        return {"evaluations": mean, "seconds": sum(part["seconds"] for part in each)}

    parts.join(combine)
