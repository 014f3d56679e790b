"""Generate a data set under MPI: each rank makes its share of the samples, in shards.

    mpiexec -n 2 python -m mpi4py -m solvers.generate --problem linear --train 9000 --test 1000 --out linear.h5

and the same line under srun. What a sample is depends on (seed, split, index) alone, and shards are cut at fixed
indices, so 1 rank and N ranks write the same bits. A shard is written under a temporary name and renamed: a killed run
loses the shards in flight at most, and the same command goes on where it was. Rank 0 then joins the shards into one
file.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from mpi4py import MPI

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from solvers import datasets
from solvers.datasets import Dataset, Split
from solvers.densities import DENSITIES
from solvers.errors import InputError
from solvers.problems import FLUX_PROBLEMS
from solvers.storage import atomic_path, check_specification, provenance

SHARD_SCHEMA = "fluxbench.shard"
SHARD_VERSION = 1
SHARD_SAMPLES = 1000

Floats = NDArray[np.float64]
Block = tuple[str, int, int]
"""Split, first sample, one past the last sample."""


class Simulator(Protocol):
    """What can fill a data set."""

    @property
    def x_units(self) -> str:
        """Units of the inferred vector."""
        ...

    @property
    def y_units(self) -> str:
        """Units of the measurement vector."""
        ...

    def simulate(self, seed: int, split: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Samples ``start`` to ``stop - 1`` of a split, keyed by their indices: x (N, d), noise-free y (N, n)."""
        ...


def blocks(train: int, test: int) -> list[Block]:
    """The shards of a data set, cut at multiples of ``SHARD_SAMPLES``."""
    return [
        (split, start, min(start + SHARD_SAMPLES, count))
        for split, count in (("train", train), ("test", test))
        for start in range(0, count, SHARD_SAMPLES)
    ]


def generate(specification: dict[str, Any], path: Path, comm: MPI.Comm, progress: bool = False) -> bool:
    """Make the data set at ``path``, with all ranks of ``comm``; False if it was there already.

    Raises:
        InputError: on every rank, if ``path`` holds something else or cannot be written.
    """
    began = time.perf_counter()
    if _on_root(comm, lambda: _is_done(path, specification)):
        return False
    problem, seed = specification["problem"], specification["seed"]
    todo = blocks(specification["train"], specification["test"])

    operator: Floats | None = None
    simulator: Simulator
    if problem in FLUX_PROBLEMS:
        # On every rank, since PETSc starts up collectively; and not for the densities, which need none of it.
        from solvers.linear import LinearSimulator, sensor_operator  # noqa: PLC0415

        # One rank solves and all use its operator, whatever they run on.
        operator = _on_root(comm, lambda: sensor_operator(FLUX_PROBLEMS[problem]))
        simulator = LinearSimulator(FLUX_PROBLEMS[problem], operator)
    else:
        simulator = DENSITIES[problem]

    folder = _shards(path)
    mine = todo[comm.rank :: comm.size]
    error, kept = None, 0
    try:
        for split, start, stop in tqdm(
            mine, f"solve {problem}", unit="shard", disable=not (progress and comm.rank == 0)
        ):
            shard = _shard_path(folder, split, start)
            if _shard_is_whole(shard, specification, stop - start):
                kept += 1
            else:
                _write_shard(shard, specification, Split(*simulator.simulate(seed, split, start, stop)))
    except InputError as caught:
        error = caught
    if errors := [each for each in comm.allgather(error) if each is not None]:
        raise errors[0]
    kept = comm.allreduce(kept)
    if comm.rank == 0 and kept:
        print(f"solve {problem}: resumed from {kept} of {len(todo)} shards", flush=True)

    def join() -> None:
        splits = {}
        for name in ("train", "test"):
            parts = [_read_shard(_shard_path(folder, split, start)) for split, start, _ in todo if split == name]
            splits[name] = Split(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))
        made = provenance() | {"ranks": comm.size, "seconds": round(time.perf_counter() - began, 3)}
        units = {"x": simulator.x_units, "y": simulator.y_units}
        datasets.write(path, Dataset(specification, made, splits["train"], splits["test"], operator, units))
        shutil.rmtree(folder)

    _on_root(comm, join)
    return True


def _is_done(path: Path, specification: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    check_specification(path, datasets.specification(path), specification)
    shutil.rmtree(_shards(path), ignore_errors=True)  # of a run that was killed at its very end
    return True


def _shards(path: Path) -> Path:
    return path.with_name(f"{path.name}.shards")


def _shard_path(folder: Path, split: str, start: int) -> Path:
    return folder / f"{split}-{start:08d}.h5"


def _write_shard(path: Path, specification: dict[str, Any], samples: Split) -> None:
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        datasets.write_header(file, SHARD_SCHEMA, SHARD_VERSION, specification, {})
        datasets.write_arrays(file, {"x": samples.x, "y": samples.y})


def _read_shard(path: Path) -> Split:
    with datasets.open_checked(path, SHARD_SCHEMA, SHARD_VERSION) as file:
        return Split(datasets.read_array(file, "x"), datasets.read_array(file, "y"))


def _shard_is_whole(path: Path, specification: dict[str, Any], samples: int) -> bool:
    """Whether an earlier run left this shard; a damaged one, or one of another specification, is made again."""
    try:
        with datasets.open_checked(path, SHARD_SCHEMA, SHARD_VERSION) as file:
            check_specification(path, datasets.record(file, "specification"), specification)
        return len(_read_shard(path).x) == samples
    except InputError:
        return False


def _on_root(comm: MPI.Comm, action: Any) -> Any:
    """Run ``action`` on rank 0 and hand its value, or its error, to every rank."""
    value, error = None, None
    if comm.rank == 0:
        try:
            value = action()
        except InputError as caught:
            error = caught
    value, error = comm.bcast((value, error))
    if error is not None:
        raise error
    return value


def main() -> int:
    """Command line of one MPI job; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", required=True, help=", ".join([*DENSITIES, *FLUX_PROBLEMS]))
    parser.add_argument("--train", type=int, required=True, help="training samples")
    parser.add_argument("--test", type=int, required=True, help="test samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to make")
    parser.add_argument("--progress", action="store_true", help="draw a progress bar")
    parser.add_argument("--ranks", type=int, help="number of ranks that there must be")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends every rank at once; whoever started them speaks
    comm = MPI.COMM_WORLD
    try:
        if arguments.ranks not in {None, comm.size}:  # a launcher of another MPI starts so many single ranks
            raise InputError(f"--ranks: expected an MPI job of {arguments.ranks}, found one of {comm.size}")
        specification = datasets.expected_specification(
            arguments.problem, arguments.train, arguments.test, arguments.seed
        )
        began = time.perf_counter()
        made = generate(specification, arguments.out, comm, arguments.progress)
    except InputError as error:
        if comm.rank == 0:  # every rank has the same error
            print(f"fluxbench: error: {error}", file=sys.stderr, flush=True)
        comm.Barrier()
        MPI.Finalize()  # an orderly end: mpi4py's runner would abort the job and say so once a rank
        os._exit(2)
    if comm.rank == 0:
        samples = arguments.train + arguments.test
        seconds = time.perf_counter() - began
        done = f"{samples} samples in {seconds:.1f} s on {comm.size} rank(s)" if made else "there already"
        print(f"solve {arguments.problem}: {done} -> {arguments.out}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
