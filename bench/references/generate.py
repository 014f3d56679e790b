"""Sample the reference posteriors of a run under MPI: ranks take blocks of measurements from one counter.

    mpiexec -n 2 python -P -m mpi4py -m fluxbench.bench.references.generate --profile references

and the same line under srun; `fluxbench reference` starts it. Random numbers belong to the block, so 1 rank and N ranks
write the same samples. A killed job loses the blocks in flight at most, and the same command goes on where it was.
"""

import argparse
import sys
from contextlib import ExitStack
from typing import NamedTuple

from mpi4py import MPI

from fluxbench.bench.config import Config, load
from fluxbench.bench.files import references
from fluxbench.bench.references import make
from fluxbench.bench.references.effort import EFFECTIVE, R_HAT
from fluxbench.bench.run import Run
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.solvers.data.ranks import Bar, job, on_root, share_out
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.problems import flux_problem
from fluxbench.storage import exclusive


class Block(NamedTuple):
    """A piece of work: the block of a reference that starts at a measurement."""

    problem: str
    parts: Blocks
    start: int


def generate(run: Run, comm: MPI.Comm, progress: bool = False) -> None:
    """Make every reference of a run that is not there, with all ranks of ``comm``.

    Raises:
        InputError: on every rank, if a data set is missing, or a reference is another configuration's.
    """
    with ExitStack() as held:

        def lock() -> None:
            held.enter_context(exclusive(run.folder / "references"))

        on_root(comm, lock)
        _generate(run, comm, progress)


def _generate(run: Run, comm: MPI.Comm, progress: bool) -> None:
    todo: list[Block] = on_root(comm, lambda: _missing(run))
    names, mesh = sorted({block.problem for block in todo}), run.config.flux.mesh
    data = {name: run.dataset(name) for name in names}
    # One rank assembles and all use its arrays, whatever they run on.
    simulators = {name: on_root(comm, lambda name=name: simulator(flux_problem(name), mesh)) for name in names}

    def make_block(number: int) -> None:
        name, parts, start = todo[number]
        make.make_block(data[name], simulators[name], parts, start)

    amounts = [block.parts.rows_from(block.start) for block in todo]
    total = run.config.flux.measurements * len(run.referenced)
    share_out(comm, amounts, make_block, Bar("reference", "measurement", total, total - sum(amounts)), progress)
    on_root(comm, lambda: _join(run))


def _missing(run: Run) -> list[Block]:
    missing = []
    for problem, noise in run.referenced:
        run.solved(problem)
        parts = _blocks(run, problem, noise)
        if parts.path.exists():
            run.reference(problem, noise)  # it is whole, and of this configuration
            parts.remove()  # of a job that was killed at its very end
        else:
            missing += [Block(problem, parts, start) for start in parts.missing()]
    return missing


def _blocks(run: Run, problem: str, noise: float) -> Blocks:
    return references.blocks(run.reference_path(problem, noise), run.reference_specification(problem, noise))


def _join(run: Run) -> None:
    for problem, noise in run.referenced:
        parts = _blocks(run, problem, noise)
        path = parts.path
        if not path.exists():
            short = make.join(parts)
            worth = f", {short} of them short of R-hat {R_HAT} or {EFFECTIVE:,} effective samples" if short else ""
            print(f"reference {path.stem}: {run.config.flux.measurements} posteriors{worth} -> {path}", flush=True)


def main() -> int:
    """Run the command line of one MPI job; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick", help="as of `fluxbench reference`")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE", help="likewise")
    parser.add_argument("--configuration", help="all of it as JSON, in place of both")
    parser.add_argument("--progress", action="store_true", help="draw a progress bar")
    parser.add_argument("--ranks", type=int, help="number of ranks that there must be")
    given = parser.parse_args()

    def action(comm: MPI.Comm) -> None:
        config = load(given.profile, given.changes)
        if given.configuration:
            config = Config.model_validate_json(given.configuration)
        generate(Run(config), comm, given.progress)

    return job(action, given.ranks)


if __name__ == "__main__":
    sys.exit(main())
