"""The HDF5 data set: pairs of inferred vector x and noise-free measurement y, with everything that made them.

Layout, version 2:

    /                attributes: schema, version, specification (JSON), provenance (JSON)
    /train/x (N, d)  /train/y (N, n)     training split; each array carries the attribute `units`
    /test/x  (M, d)  /test/y  (M, n)     test split, from random streams of its own
    /operator (n, d)                     the sensor operator, where the problem is linear

Arrays are float64 with Fletcher-32 checksums, so that a damaged file is found when it is read. Noise and masks are not
stored: they are applied to y from per-sample random streams (see :mod:`fluxbench.solvers.data.measurements`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxbench import hdf5
from fluxbench.arrays import Floats
from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.solvers import problems
from fluxbench.solvers.problem import PairSimulator

SCHEMA = "fluxbench.dataset"
VERSION = 2
MOST = 10_000_000
"""Samples of a split: a file is put together in memory, half a kilobyte a sample."""


@dataclass(frozen=True)
class Split:
    """Pairs of one split: x of shape (N, d), noise-free y of shape (N, n)."""

    x: Floats
    y: Floats

    def first(self, count: int) -> "Split":
        """Return the first ``count`` pairs."""
        return Split(self.x[:count], self.y[:count])


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


def write(path: Path, dataset: Dataset) -> None:
    """Write a data set atomically.

    Raises:
        InputError: if it cannot be written.
    """
    arrays = {
        "train/x": dataset.train.x,
        "train/y": dataset.train.y,
        "test/x": dataset.test.x,
        "test/y": dataset.test.y,
    }
    if dataset.operator is not None:
        arrays["operator"] = dataset.operator
    with hdf5.created(path, SCHEMA, VERSION, dataset.specification, dataset.provenance) as file:
        hdf5.write_arrays(file, arrays, dataset.units)


def expected_specification(problem: str, train: int, test: int, seed: int, mesh: str = "aligned") -> dict[str, Any]:
    """Return everything that determines a data set's content.

    Raises:
        InputError: if there is no such problem or mesh, or a size is not positive.
    """
    for name, size in (("train", train), ("test", test)):
        if not 1 <= size <= MOST:
            raise InputError(f"--{name}: expected 1 to {MOST:,} samples, found {size}")
    wanted = {"problem": problem, "train": train, "test": test, "seed": seed}
    return wanted | problems.problem(problem).definition(mesh)


def simulated(specification: dict[str, Any], simulator: PairSimulator) -> Dataset:
    """Simulate a whole data set in memory, with the pairs that :mod:`fluxbench.solvers.data.generate` writes.

    Args:
        specification: from :func:`expected_specification`.
        simulator: of its problem.

    Raises:
        InputError: naming a sample that cannot be simulated.
    """
    problem = problems.problem(specification["problem"])
    splits = {
        name: Split(*simulator.simulate(specification["seed"], name, 0, specification[name]))
        for name in ("train", "test")
    }
    units = {"x": problem.x_units, "y": problem.y_units}
    return Dataset(specification, provenance(), **splits, operator=simulator.operator, units=units)


def read(path: Path) -> Dataset:
    """Read a data set whole.

    Raises:
        InputError: if the file is absent, damaged, of another schema, or holds NaN.
    """
    with hdf5.open_checked(path, SCHEMA, VERSION) as file:
        splits = {
            name: Split(hdf5.read_array(file, f"{name}/x"), hdf5.read_array(file, f"{name}/y"))
            for name in ("train", "test")
        }
        for name, split in splits.items():
            if split.x.ndim != 2 or split.y.ndim != 2 or len(split.x) != len(split.y):
                found = f"{split.x.shape} and {split.y.shape}"
                raise InputError(f"{path}: expected as many rows in {name}/x as in {name}/y, found shapes {found}")
        return Dataset(
            specification=hdf5.record(file, "specification"),
            provenance=hdf5.record(file, "provenance"),
            train=splits["train"],
            test=splits["test"],
            operator=hdf5.read_array(file, "operator") if "operator" in file else None,
            units={name: str(file[f"train/{name}"].attrs["units"]) for name in ("x", "y")},
        )
