"""Generate a data set under MPI: ranks take shards of samples from one counter until none is left.

    mpiexec -n 2 python -P -m mpi4py -m fluxbench.solvers.data.generate --problem linear --train 9000 --test 1000 \
        --out linear.h5

and the same line under srun. What a sample is depends on (seed, split, index) alone, and shards are cut at fixed
indices, so 1 rank and N ranks write the same bits. A shard is written under a temporary name and renamed: a killed run
loses the shards in flight at most, and the same command goes on where it was. Rank 0 then joins the shards into one
file. Several jobs make parts of one data set at a time by ``--part K/N``; a last one without it joins them.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from mpi4py import MPI

from fluxbench import hdf5
from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.solvers import problems
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Split
from fluxbench.solvers.data.ranks import Bar, job, on_root, peak_memory, share_out
from fluxbench.solvers.data.shards import Part, Shard, Shards
from fluxbench.solvers.fem.discretisation import MESHES
from fluxbench.solvers.problem import PairSimulator
from fluxbench.storage import exclusive, shared


def generate(
    specification: dict[str, Any], path: Path, comm: MPI.Comm, progress: bool = False, part: Part | None = None
) -> bool:
    """Make the data set at ``path``, or a part of its shards, with all ranks of ``comm``.

    Returns:
        False if it was there already.

    Raises:
        InputError: on every rank, if ``path`` holds something else or cannot be written, another job is making it, or a
            sample cannot be solved.
    """
    began = time.perf_counter()
    shards = Shards(path, specification)
    if on_root(comm, lambda: _is_done(shards)):
        return False
    with ExitStack() as held:

        def lock() -> None:
            held.enter_context(shared(shards.folder) if part else exclusive(shards.folder))
            if not part:
                for left_behind in path.parent.glob(f".{path.name}.*.tmp"):
                    left_behind.unlink(missing_ok=True)

        on_root(comm, lock)
        if on_root(comm, lambda: _is_done(shards)):  # in the meantime
            return False
        wanted = shards.part(part) if part else shards.all
        todo = on_root(comm, lambda: shards.missing(wanted))
        kept = len(wanted) - len(todo)
        if comm.rank == 0 and kept:
            print(f"solve {specification['problem']}: resumed from {kept} of {len(wanted)} shards", flush=True)
        if part and not todo:
            return True
        simulator = _simulator(specification, comm)
        _make(wanted, todo, shards, simulator, comm, progress)
        if part:
            return True
        made = provenance() | {
            "ranks": comm.size,
            "seconds": round(time.perf_counter() - began, 3),
            "peak_memory_mb": round(comm.allreduce(peak_memory(), MPI.MAX) / 1e6),
        }
        on_root(comm, lambda: shards.join(made, simulator.operator))
    return True


def _make(
    wanted: list[Shard], todo: list[Shard], shards: Shards, simulator: PairSimulator, comm: MPI.Comm, progress: bool
) -> None:
    """Make the shards ``todo`` with all ranks, until none is left or one cannot be made."""
    problem, seed = shards.specification["problem"], shards.specification["seed"]

    def make(number: int) -> None:
        shard = todo[number]
        shards.write(shard, Split(*simulator.simulate(seed, shard.split, shard.start, shard.stop)))

    total = sum(shard.samples for shard in wanted)
    amounts = [shard.samples for shard in todo]
    share_out(comm, amounts, make, Bar(f"solve {problem}", "sample", total, total - sum(amounts)), progress)


def _is_done(shards: Shards) -> bool:
    path = shards.dataset
    try:
        if not path.exists():
            return False
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    hdf5.require(path, datasets.SCHEMA, datasets.VERSION, shards.specification)
    datasets.read(path)  # it is whole
    shards.remove()  # of a run that was killed at its very end
    return True


def _simulator(specification: dict[str, Any], comm: MPI.Comm) -> PairSimulator:
    """One rank assembles and all use its arrays, whatever they run on."""
    problem = problems.problem(specification["problem"])
    import_module(problem.solver)
    found: PairSimulator = on_root(comm, lambda: problem.simulator(specification.get("mesh", MESHES[0])))
    return found


def main() -> int:
    """Run the command line of one MPI job; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", required=True, help=", ".join(problems.PROBLEMS))
    parser.add_argument("--train", type=int, required=True, help="training samples")
    parser.add_argument("--test", type=int, required=True, help="test samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--mesh", default=MESHES[0], help=f"{', '.join(MESHES)} (850 x 200 linear); default {MESHES[0]}"
    )
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to make")
    parser.add_argument("--part", metavar="K/N", help="make every N-th shard alone, from the K-th on")
    parser.add_argument("--progress", action="store_true", help="draw a progress bar")
    parser.add_argument("--ranks", type=int, help="number of ranks that there must be")
    arguments = parser.parse_args()
    return job(lambda comm: _job(arguments, comm), arguments.ranks)


def _job(arguments: argparse.Namespace, comm: MPI.Comm) -> None:
    samples = arguments.train + arguments.test
    specification = datasets.expected_specification(
        arguments.problem, arguments.train, arguments.test, arguments.seed, arguments.mesh
    )
    if comm.size > samples:
        raise InputError(f"ranks: expected at most one a sample, found {comm.size} for {samples} samples")
    began = time.perf_counter()
    part = Part.parse(arguments.part) if arguments.part else None
    made = generate(specification, arguments.out, comm, arguments.progress, part)
    peak = comm.allreduce(peak_memory(), MPI.MAX) / 1e6
    if comm.rank == 0:
        seconds = time.perf_counter() - began
        what = f"part {part} of {samples} samples" if part else f"{samples} samples"
        done = f"{what} in {seconds:.1f} s on {comm.size} rank(s), at most {peak:.0f} MB each"
        print(f"solve {arguments.problem}: {done if made else 'there already'} -> {arguments.out}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
