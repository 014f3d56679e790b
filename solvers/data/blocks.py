"""Blocks: a file that is long in the making, written as many small ones, each of which is whole or absent.

A block holds the rows of every array from a fixed index on, so that whoever makes it writes the same. Blocks lie in a
folder beside the file that they become, and carry its schema and its specification. They are joined one after the
other: the whole is never in memory.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fluxbench import hdf5
from fluxbench.errors import InputError
from fluxbench.storage import check_specification

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Blocks:
    """All blocks of one file.

    Attributes:
        path: of the file that they become.
        schema: the file's.
        version: the file's.
        specification: the file's.
        rows: of every array of the file.
        size: rows of a block; the last one may have fewer.
    """

    path: Path
    schema: str
    version: int
    specification: dict[str, Any]
    rows: int
    size: int

    @property
    def folder(self) -> Path:
        """Folder of the blocks."""
        return self.path.with_name(f"{self.path.name}.blocks")

    @property
    def starts(self) -> range:
        """First row of each block."""
        return range(0, self.rows, self.size)

    def rows_from(self, start: int) -> int:
        """Return the number of rows of the block that starts at a row."""
        return min(self.size, self.rows - start)

    def block_path(self, start: int) -> Path:
        """Return the path of the block that starts at a row."""
        return self.folder / f"{start:08d}.h5"

    def write(self, start: int, arrays: Mapping[str, np.ndarray], attributes: Attributes) -> None:
        """Write a block atomically: arrays by name, of its rows each, and what else is to be known of it."""
        with hdf5.created(self.block_path(start), self.schema, self.version, self.specification) as file:
            file.attrs.update(attributes)
            hdf5.write_arrays(file, arrays)

    def missing(self) -> list[int]:
        """Return the first rows of the blocks that no earlier run has left, or that were damaged since.

        Raises:
            InputError: if the folder holds blocks of another file, which are somebody's work.
        """
        return [start for start in self.starts if not self._is_whole(start)]

    def _is_whole(self, start: int) -> bool:
        path = self.block_path(start)
        try:
            with hdf5.open_checked(path, self.schema, self.version) as file:
                found = hdf5.record(file, "specification")
                rows = {len(hdf5.read_array(file, name)) for name in file}
        except InputError:
            return False
        check_specification(path, found, self.specification)
        return rows == {self.rows_from(start)}

    def join(self, combine: Callable[[Sequence[Attributes]], Attributes]) -> None:
        """Write the file from its blocks and remove them.

        Args:
            combine: the file's own attributes, from those of its blocks in their order.

        Raises:
            InputError: if a block is missing or damaged, or there is no room for the file.
        """
        names, room, attributes = self._first()
        known = {"schema", "version", "specification", "provenance"}
        with hdf5.created(self.path, self.schema, self.version, self.specification, room=room) as file:
            found = []
            for start in self.starts:
                with hdf5.open_checked(self.block_path(start), self.schema, self.version) as block:
                    found.append({name: block.attrs[name] for name in attributes if name not in known})
                    for name in names:
                        values = hdf5.read_array(block, name)
                        if start == 0:
                            shape = (self.rows, *values.shape[1:])
                            file.create_dataset(name, shape, values.dtype, chunks=True, fletcher32=True)
                        file[name][start : start + len(values)] = values
            file.attrs.update(combine(found))
        self.remove()

    def _first(self) -> tuple[list[str], int, list[str]]:
        """Names of the arrays, bytes of the whole file, names of a block's attributes."""
        with hdf5.open_checked(self.block_path(0), self.schema, self.version) as block:
            return list(block), sum(block[name].nbytes for name in block) * len(self.starts), list(block.attrs)

    def remove(self) -> None:
        """Remove the folder of the blocks, if there is one."""
        shutil.rmtree(self.folder, ignore_errors=True)
