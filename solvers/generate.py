"""Generate a data set under MPI: ranks take shards of samples from one counter until none is left.

    mpiexec -n 2 python -m mpi4py -m solvers.generate --problem linear --train 9000 --test 1000 --out linear.h5

and the same line under srun. What a sample is depends on (seed, split, index) alone, and shards are cut at fixed
indices, so 1 rank and N ranks write the same bits. A shard is written under a temporary name and renamed: a killed run
loses the shards in flight at most, and the same command goes on where it was. Rank 0 then joins the shards into one
file.
"""

import argparse
import os
import resource
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from solvers import datasets
from solvers.datasets import Split
from solvers.densities import DENSITIES
from solvers.discretisation import MESHES
from solvers.errors import InputError
from solvers.flux_problems import FLUX_PROBLEMS
from solvers.shards import Shard, Shards
from solvers.storage import check_specification, exclusive, provenance

Floats = NDArray[np.float64]


class Source(Protocol):
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


class Queue:
    """Hands out numbers 0, 1, 2, ... to whichever rank asks first.

    One integer in rank 0's memory that every rank increments in place (MPI one-sided communication), so that none is
    spent on giving orders. Where the network cannot do that by itself, rank 0 does it when it next enters MPI, once a
    shard at the latest.
    """

    def __init__(self, comm: MPI.Comm) -> None:
        self.window = MPI.Win.Allocate(8 if comm.rank == 0 else 0, 8, comm=comm)
        if comm.rank == 0:
            np.frombuffer(self.window.tomemory(), dtype=np.int64)[:] = 0
        comm.Barrier()
        self.window.Lock_all()

    def take(self, amount: int = 1) -> int:
        """The next number; the ``amount`` that are due go with it."""
        number = np.zeros(1, dtype=np.int64)
        self.window.Fetch_and_op(np.array([amount], dtype=np.int64), number, 0, 0, MPI.SUM)
        self.window.Flush(0)
        return int(number[0])

    def close(self) -> None:
        """Give the memory back, when all ranks are here."""
        self.window.Unlock_all()
        self.window.Free()


def generate(specification: dict[str, Any], path: Path, comm: MPI.Comm, progress: bool = False) -> bool:
    """Make the data set at ``path``, with all ranks of ``comm``; False if it was there already.

    Raises:
        InputError: on every rank, if ``path`` holds something else or cannot be written, another job is making it, or a
            sample cannot be solved.
    """
    began = time.perf_counter()
    shards = Shards(path, specification)
    if _on_root(comm, lambda: _is_done(shards)):
        return False
    with ExitStack() as held:

        def lock() -> None:
            held.enter_context(exclusive(shards.folder))

        _on_root(comm, lock)
        todo = _on_root(comm, shards.missing)
        kept = len(shards.all) - len(todo)
        if comm.rank == 0 and kept:
            print(f"solve {specification['problem']}: resumed from {kept} of {len(shards.all)} shards", flush=True)
        source, operator = _source(specification, comm)
        _make(todo, shards, source, comm, progress)
        made = provenance() | {
            "ranks": comm.size,
            "seconds": round(time.perf_counter() - began, 3),
            "peak_memory_mb": round(comm.allreduce(peak_memory(), MPI.MAX) / 1e6),
        }
        _on_root(comm, lambda: shards.join(made, operator, {"x": source.x_units, "y": source.y_units}))
    return True


def _make(todo: list[Shard], shards: Shards, source: Source, comm: MPI.Comm, progress: bool) -> None:
    """Make shards, with all ranks, until none is left or one cannot be made."""
    problem, seed = shards.specification["problem"], shards.specification["seed"]
    total = sum(shard.samples for shard in shards.all)
    left = sum(shard.samples for shard in todo)
    quiet = not (progress and comm.rank == 0)
    queue, error = Queue(comm), None
    with tqdm(total=total, initial=total - left, desc=f"solve {problem}", unit="sample", disable=quiet) as bar:
        try:
            while (number := queue.take()) < len(todo):
                # What was handed out is done, but for what each rank has in hand.
                done = sum(shard.samples for shard in todo[: max(0, number + 1 - comm.size)])
                bar.update(total - left + done - bar.n)
                shard = todo[number]
                shards.write(shard, Split(*source.simulate(seed, shard.split, shard.start, shard.stop)))
        except InputError as caught:
            error = caught
            queue.take(len(todo))  # nothing is left for the others
        errors = [each for each in comm.allgather(error) if each is not None]
        queue.close()
        if errors:
            raise errors[0]
        bar.update(total - bar.n)


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Elsewhere than on Linux; there it would count what the process was before it became this program.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _is_done(shards: Shards) -> bool:
    path = shards.dataset
    try:
        if not path.exists():
            return False
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    check_specification(path, datasets.specification(path), shards.specification)
    datasets.read(path)  # it is whole
    shards.remove()  # of a run that was killed at its very end
    return True


def _source(specification: dict[str, Any], comm: MPI.Comm) -> tuple[Source, Floats | None]:
    """What makes the samples, and the sensor operator where there is one."""
    problem = specification["problem"]
    if problem in DENSITIES:
        return DENSITIES[problem], None
    # On every rank, since PETSc starts up collectively; and not for the densities, which need none of it.
    from solvers.simulators import FluxSource, simulator  # noqa: PLC0415

    # One rank assembles and all use its arrays, whatever they run on.
    flux_problem = FLUX_PROBLEMS[problem]
    found = _on_root(comm, lambda: simulator(flux_problem, specification["mesh"]))
    return FluxSource(flux_problem, found), found.operator


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
    parser.add_argument(
        "--mesh", default=MESHES[0], help=f"{', '.join(MESHES)} (850 x 200 linear); default {MESHES[0]}"
    )
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to make")
    parser.add_argument("--progress", action="store_true", help="draw a progress bar")
    parser.add_argument("--ranks", type=int, help="number of ranks that there must be")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends every rank at once; whoever started them speaks
    comm = MPI.COMM_WORLD
    samples = arguments.train + arguments.test
    try:
        if arguments.ranks not in {None, comm.size}:  # a launcher of another MPI starts so many single ranks
            raise InputError(f"--ranks: expected an MPI job of {arguments.ranks}, found one of {comm.size}")
        specification = datasets.expected_specification(
            arguments.problem, arguments.train, arguments.test, arguments.seed, arguments.mesh
        )
        if comm.size > samples:
            raise InputError(f"ranks: expected at most one a sample, found {comm.size} for {samples} samples")
        began = time.perf_counter()
        made = generate(specification, arguments.out, comm, arguments.progress)
    except InputError as error:
        if comm.rank == 0:  # every rank has the same error
            print(f"fluxbench: error: {error}", file=sys.stderr, flush=True)
        comm.Barrier()
        MPI.Finalize()  # an orderly end: mpi4py's runner would abort the job and say so once a rank
        os._exit(2)
    peak = comm.allreduce(peak_memory(), MPI.MAX) / 1e6
    if comm.rank == 0:
        seconds = time.perf_counter() - began
        done = f"{samples} samples in {seconds:.1f} s on {comm.size} rank(s), at most {peak:.0f} MB each"
        print(f"solve {arguments.problem}: {done if made else 'there already'} -> {arguments.out}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
