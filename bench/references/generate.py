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

from fluxbench.bench import layout
from fluxbench.bench.config import Config, load
from fluxbench.bench.files.references import EFFECTIVE, R_HAT
from fluxbench.bench.references import make
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.blocks import Blocks
from fluxbench.solvers.data.ranks import Bar, job, on_root, share_out
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.storage import exclusive


class Block(NamedTuple):
    """A piece of work: the block of a reference that starts at a measurement."""

    problem: str
    made: Blocks
    start: int


def generate(config: Config, comm: MPI.Comm, progress: bool = False) -> None:
    """Make every reference of a run that is not there, with all ranks of ``comm``.

    Raises:
        InputError: on every rank, if a data set is missing, or a reference is another configuration's.
    """
    with ExitStack() as held:

        def lock() -> None:
            held.enter_context(exclusive(config.runs / "references"))

        on_root(comm, lock)
        _generate(config, comm, progress)


def _generate(config: Config, comm: MPI.Comm, progress: bool) -> None:
    todo: list[Block] = on_root(comm, lambda: _missing(config))
    problems = sorted({block.problem for block in todo})
    data = {problem: datasets.read(layout.solved(config, problem)) for problem in problems}
    # One rank assembles and all use its arrays, whatever they run on.
    solve = {
        problem: on_root(comm, lambda problem=problem: simulator(FLUX_PROBLEMS[problem], config.flux.mesh))
        for problem in problems
    }

    def make_block(number: int) -> None:
        problem, made, start = todo[number]
        make.make_block(data[problem], solve[problem], made, start)

    amounts = [block.made.rows_from(block.start) for block in todo]
    total = config.flux.measurements * len(layout.referenced(config))
    share_out(comm, amounts, make_block, Bar("reference", "measurement", total, total - sum(amounts)), progress)
    on_root(comm, lambda: _join(config))


def _missing(config: Config) -> list[Block]:
    found = []
    for problem, noise in layout.referenced(config):
        layout.solved(config, problem)
        made = _blocks(config, problem, noise)
        if made.path.exists():
            layout.exact(config, problem, noise)  # it is whole, and of this configuration
            made.remove()  # of a job that was killed at its very end
        else:
            found += [Block(problem, made, start) for start in made.missing()]
    return found


def _blocks(config: Config, problem: str, noise: float) -> Blocks:
    expected = layout.expected_reference(config, problem, noise)
    return make.blocks(layout.reference_path(config, problem, noise), expected)


def _join(config: Config) -> None:
    for problem, noise in layout.referenced(config):
        made = _blocks(config, problem, noise)
        path = made.path
        if not path.exists():
            short = make.join(made)
            worth = f", {short} of them short of R-hat {R_HAT} or {EFFECTIVE:,} effective samples" if short else ""
            print(f"reference {path.stem}: {config.flux.measurements} posteriors{worth} -> {path}", flush=True)


def main() -> int:
    """Command line of one MPI job; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick", help="as of `fluxbench reference`")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE", help="likewise")
    parser.add_argument("--configuration", help="all of it as JSON, in place of both")
    parser.add_argument("--progress", action="store_true", help="draw a progress bar")
    parser.add_argument("--ranks", type=int, help="number of ranks that there must be")
    given = parser.parse_args()

    def run(comm: MPI.Comm) -> None:
        config = load(given.profile, given.changes)
        if given.configuration:
            config = Config.model_validate_json(given.configuration)
        generate(config, comm, given.progress)

    return job(run, given.ranks)


if __name__ == "__main__":
    sys.exit(main())
