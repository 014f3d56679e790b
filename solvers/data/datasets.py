"""The HDF5 data set: pairs of inferred vector x and noise-free measurement y, with everything that made them.

Layout, version 2:

    /                attributes: schema, version, specification (JSON), provenance (JSON)
    /train/x (N, d)  /train/y (N, n)     training split; each array carries the attribute `units`
    /test/x  (M, d)  /test/y  (M, n)     test split, from random streams of its own
    /operator (n, d)                     the sensor operator, where the problem is linear

Arrays are float64 with Fletcher-32 checksums, so that a damaged file is found when it is read. Noise and masks are not
stored: they are applied to y from per-sample random streams (see :mod:`fluxbench.solvers.data.measurements`).
"""

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.solvers.fem.discretisation import discretisation
from fluxbench.solvers.problems import DENSITIES, FLUX_PROBLEMS
from fluxbench.storage import atomic_path

SCHEMA = "fluxbench.dataset"
VERSION = 2
MOST = 10_000_000
"""Samples of a split: a file is put together in memory, half a kilobyte a sample."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Pairs of one split: x of shape (N, d), noise-free y of shape (N, n)."""

    x: Floats
    y: Floats


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    Attributes:
        specification: what determines the content: problem, seed, sizes, solver settings.
        provenance: where and when it was made.
        train: training split.
        test: test split.
        operator: sensor operator (n, d), None where the problem is not linear.
        units: units of x and of y.
    """

    specification: dict[str, Any]
    provenance: dict[str, Any]
    train: Split
    test: Split
    operator: Floats | None
    units: dict[str, str]


def write_arrays(file: h5py.Group, arrays: Mapping[str, NDArray[Any]], units: Mapping[str, str] | None = None) -> None:
    """Write checksummed arrays under their names; ``units`` is by the last part of a name."""
    for name, values in arrays.items():
        array = file.create_dataset(name, data=values, chunks=True, fletcher32=True)
        if units and (unit := units.get(name.rsplit("/", 1)[-1])):
            array.attrs["units"] = unit


def create_array(
    file: h5py.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], units: Mapping[str, str]
) -> None:
    """Make room for a checksummed array that is written a chunk at a time; ``units`` as in :func:`write_arrays`."""
    array = file.create_dataset(name, shape, np.float64, chunks=chunks, fletcher32=True)
    array.attrs["units"] = units[name.rsplit("/", 1)[-1]]


def write(path: Path, dataset: Dataset) -> None:
    """Write a data set atomically."""
    arrays = {
        "train/x": dataset.train.x,
        "train/y": dataset.train.y,
        "test/x": dataset.test.x,
        "test/y": dataset.test.y,
    }
    if dataset.operator is not None:
        arrays["operator"] = dataset.operator
    with created(path, SCHEMA, VERSION, dataset.specification, dataset.provenance) as file:
        write_arrays(file, arrays, dataset.units)


@contextmanager
def created(
    path: Path,
    schema: str,
    version: int,
    specification: Mapping[str, Any],
    made: Mapping[str, Any] | None = None,
    room: int | None = None,
) -> Iterator[h5py.File]:
    """An HDF5 file with its schema, specification and provenance, which appears at ``path`` when the block ends.

    HDF5 does not survive a disk that is full while it writes. So a file is put together in memory, or, where it is so
    large that it says how many bytes it needs, on a disk that has twice that ``room``.

    Raises:
        InputError: if the directory or the file cannot be written, or there is no room.
    """
    head = {"schema": schema, "version": version, "specification": json.dumps(specification)}
    head["provenance"] = json.dumps(provenance() if made is None else made)
    if room is None:
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            file.attrs.update(head)
            yield file
        with atomic_path(path) as temporary:
            temporary.write_bytes(image.getbuffer())
        return
    with atomic_path(path) as temporary:
        free = shutil.disk_usage(path.parent).free
        if free < 2 * room:
            found = f"expected {2 * room / 1e6:,.0f} MB free for it, found {free / 1e6:,.0f}"
            raise InputError(f"{path}: cannot be written: {found}")
        with h5py.File(temporary, "w") as file:
            file.attrs.update(head)
            yield file


def open_checked(path: Path, schema: str, version: int) -> h5py.File:
    """Open an HDF5 file of a schema for reading.

    Raises:
        InputError: if the file is absent, damaged, or of another schema or version.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; the stage before this one makes it, `fluxbench run` makes everything")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: expected an HDF5 file, found a damaged or foreign one; remove it") from error
    found = (str(file.attrs.get("schema", "none")), int(file.attrs.get("version", 0)))
    if found != (schema, version):
        file.close()
        expected = f"schema {schema} version {version}"
        raise InputError(f"{path}: expected {expected}, found {found[0]} version {found[1]}; remove it to make it anew")
    return file


def record(file: h5py.File, name: str) -> dict[str, Any]:
    """The specification or the provenance that an HDF5 file carries.

    Raises:
        InputError: if it is missing or damaged.
    """
    try:
        return dict(json.loads(file.attrs[name]))
    except (KeyError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{file.filename}: its {name} is missing or damaged; remove the file") from error


def read_array(file: h5py.File, name: str) -> NDArray[Any]:
    """Read one array and check that it is there, whole and finite.

    Raises:
        InputError: if it is missing, fails its checksum, or holds NaN or infinity.
    """
    try:
        values = file[name][...]
    except (KeyError, OSError) as error:
        raise InputError(f"{file.filename}: array {name} is missing or damaged; remove the file") from error
    if not np.isfinite(values).all():
        raise InputError(f"{file.filename}: expected finite numbers in {name}, found NaN or infinity")
    return values


def expected_specification(problem: str, train: int, test: int, seed: int, mesh: str = "aligned") -> dict[str, Any]:
    """Everything that determines a data set's content.

    Raises:
        InputError: if there is no such problem or mesh, or a size is not positive.
    """
    for name, size in (("train", train), ("test", test)):
        if not 1 <= size <= MOST:
            raise InputError(f"--{name}: expected 1 to {MOST:,} samples, found {size}")
    wanted: dict[str, Any] = {"problem": problem, "train": train, "test": test, "seed": seed}
    if problem in FLUX_PROBLEMS:
        definition = FLUX_PROBLEMS[problem]
        clean = {key: value for key, value in asdict(definition).items() if key != "sensors_on"}  # one serves all masks
        wanted |= {
            "mesh": mesh,
            "discretisation": asdict(discretisation(definition, mesh)),
            "definition": clean,
        }
    elif problem not in DENSITIES:
        known = ", ".join([*DENSITIES, *FLUX_PROBLEMS])
        raise InputError(f"--problem: expected one of {known}, found {problem!r}")
    return wanted


def specification(path: Path) -> dict[str, Any]:
    """The specification that a data set carries."""
    with open_checked(path, SCHEMA, VERSION) as file:
        return record(file, "specification")


def read(path: Path) -> Dataset:
    """Read a data set whole.

    Raises:
        InputError: if the file is absent, damaged, of another schema, or holds NaN.
    """
    with open_checked(path, SCHEMA, VERSION) as file:
        splits = {
            name: Split(read_array(file, f"{name}/x"), read_array(file, f"{name}/y")) for name in ("train", "test")
        }
        for name, split in splits.items():
            if split.x.ndim != 2 or split.y.ndim != 2 or len(split.x) != len(split.y):
                found = f"{split.x.shape} and {split.y.shape}"
                raise InputError(f"{path}: expected as many rows in {name}/x as in {name}/y, found shapes {found}")
        return Dataset(
            specification=record(file, "specification"),
            provenance=record(file, "provenance"),
            train=splits["train"],
            test=splits["test"],
            operator=read_array(file, "operator") if "operator" in file else None,
            units={name: str(file[f"train/{name}"].attrs["units"]) for name in ("x", "y")},
        )
