"""Shards: the pieces in which a data set is made, each a file that is whole or absent.

Shards are cut at fixed sample indices, so that whoever makes one writes the same bits. Their arrays are checksummed:
one that was damaged is noticed and made again.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fluxbench import hdf5
from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.solvers import problems
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Split
from fluxbench.storage import check_specification

SCHEMA = "fluxbench.shard"
VERSION = 1
SAMPLES = {"aligned": 2000, "paper": 50}
"""Samples a shard, by mesh: a matter of a second, or of ten on the paper's."""


@dataclass(frozen=True)
class Shard:
    """Samples ``start`` to ``stop - 1`` of a split."""

    split: str
    start: int
    stop: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.stop - self.start


class Part(NamedTuple):
    """Part K of N of a data set's shards, for jobs that share its making."""

    number: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read a part from a text of the form K/N.

        Raises:
            InputError: if it is of another form, or K is not one of 1 to N.
        """
        number, _, parts = text.partition("/")
        if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
            raise InputError(f"--part: expected K/N with K from 1 to N, found {text!r}")
        return cls(int(number), int(parts))

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"


@dataclass(frozen=True)
class Shards:
    """All shards of one data set, in a folder beside it.

    Attributes:
        dataset: path of the data set.
        specification: the data set's.
    """

    dataset: Path
    specification: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Folder of the shards."""
        return self.dataset.with_name(f"{self.dataset.name}.shards")

    @property
    def all(self) -> list[Shard]:
        """All shards in the order of their samples, training split first."""
        size = SAMPLES[self.specification.get("mesh", "aligned")]
        return [
            Shard(split, start, min(start + size, self.specification[split]))
            for split in ("train", "test")
            for start in range(0, self.specification[split], size)
        ]

    def path(self, shard: Shard) -> Path:
        """Return the path of a shard's file."""
        return self.folder / f"{shard.split}-{shard.start:08d}.h5"

    def write(self, shard: Shard, samples: Split) -> None:
        """Write a shard atomically."""
        with hdf5.created(self.path(shard), SCHEMA, VERSION, self.specification, {}) as file:
            hdf5.write_arrays(file, {"x": samples.x, "y": samples.y})

    def read(self, shard: Shard) -> Split:
        """Read a shard.

        Raises:
            InputError: if it is absent or damaged.
        """
        path = self.path(shard)
        with hdf5.open_checked(path, SCHEMA, VERSION) as file:
            samples = Split(hdf5.read_array(file, "x"), hdf5.read_array(file, "y"))
        if not len(samples.x) == len(samples.y) == shard.samples:
            raise InputError(f"{path}: expected {shard.samples} samples, found {len(samples.x)} and {len(samples.y)}")
        return samples

    def part(self, part: Part) -> list[Shard]:
        """Return the shards of one part: every N-th."""
        return self.all[part.number - 1 :: part.parts]

    def missing(self, shards: list[Shard]) -> list[Shard]:
        """Return the shards that no earlier run has left, or that were damaged since.

        Raises:
            InputError: if the folder holds shards of another data set, which are somebody's work.
        """
        return [shard for shard in shards if not self._is_whole(shard)]

    def _is_whole(self, shard: Shard) -> bool:
        path = self.path(shard)
        try:
            with hdf5.open_checked(path, SCHEMA, VERSION) as file:
                found = hdf5.record(file, "specification")
            self.read(shard)
        except InputError:
            return False
        check_specification(self.folder, found, self.specification)
        return True

    def join(self, made: dict[str, Any], operator: Floats | None) -> None:
        """Write the data set from its shards, one after the other, and remove them.

        Args:
            made: provenance.
            operator: sensor operator, shape (n, d), where the problem is linear.

        Raises:
            InputError: if a shard is missing or damaged, or the data set cannot be written.
        """
        problem = problems.problem(self.specification["problem"])
        units = {"x": problem.x_units, "y": problem.y_units}
        with hdf5.created(self.dataset, datasets.SCHEMA, datasets.VERSION, self.specification, made) as file:
            for shard in self.all:
                samples = self.read(shard)
                for name, values in (("x", samples.x), ("y", samples.y)):
                    if shard.start == 0:
                        shape = (self.specification[shard.split], values.shape[1])
                        hdf5.create_array(file, f"{shard.split}/{name}", shape, values.shape, units)
                    file[f"{shard.split}/{name}"][shard.start : shard.stop] = values
            if operator is not None:
                hdf5.write_arrays(file, {"operator": operator})
        self.remove()

    def remove(self) -> None:
        """Remove the folder of the shards, if there is one."""
        shutil.rmtree(self.folder, ignore_errors=True)
