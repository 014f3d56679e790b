"""HDF5 files of the suite: each has a schema, a version, a specification and a provenance, and checksummed arrays.

Attributes of the root are ``schema``, ``version``, and ``specification`` and ``provenance`` as JSON. Arrays carry
Fletcher-32 checksums, so that a damaged file is found when it is read.
"""

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.storage import atomic_path, check_specification

MADE_BY = {
    "fluxbench.dataset": "solve",
    "fluxbench.reference": "reference",
    "fluxbench.samples": "sample",
    "fluxbench.ladder": "sample",
}
"""Stage that makes the files of a schema."""


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


@contextmanager
def created(
    path: Path,
    schema: str,
    version: int,
    specification: Mapping[str, Any],
    made: Mapping[str, Any] | None = None,
    room: int | None = None,
) -> Iterator[h5py.File]:
    """Make an HDF5 file with its schema, specification and provenance, which appears at ``path`` when the block ends.

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
        raise InputError(f"{path}: not found; `fluxbench {MADE_BY.get(schema, 'run')}` makes it")
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
    """Return the specification or the provenance that an HDF5 file carries.

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


def specification(path: Path, schema: str, version: int) -> dict[str, Any]:
    """Return the specification that a file of a schema carries.

    Raises:
        InputError: as :func:`open_checked` and :func:`record`.
    """
    with open_checked(path, schema, version) as file:
        return record(file, "specification")


def require(path: Path, schema: str, version: int, expected: Mapping[str, Any]) -> Path:
    """Return the path of a file that must have been made as expected.

    Raises:
        InputError: if it is missing, damaged or made otherwise.
    """
    check_specification(path, specification(path, schema, version), expected)
    return path
