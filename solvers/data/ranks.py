"""What the ranks of an MPI job do together: share out pieces of work, and end together."""

import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mpi4py import MPI

import numpy as np
from tqdm import tqdm

from fluxbench.errors import InputError


def job(action: Callable[[MPI.Comm], None], ranks: int | None) -> int:
    """Run ``action`` on every rank of an MPI program, with one line on bad input.

    Args:
        action: given all ranks; an InputError of it must be one of every rank.
        ranks: that there must be; None for any number.

    Returns:
        The exit status 0; after bad input the program ends here, with status 2.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends every rank at once; whoever started them speaks
    comm = MPI.COMM_WORLD
    try:
        if ranks not in {None, comm.size}:  # a launcher of another MPI starts so many single ranks
            hint = "is the launcher (FLUXBENCH_MPIEXEC) that of another MPI than mpi4py's?"
            raise InputError(f"ranks: expected an MPI job of {ranks}, found one of {comm.size}; {hint}")
        action(comm)
    except InputError as error:
        if comm.rank == 0:  # every rank has the same error
            print(f"fluxbench: error: {error}", file=sys.stderr, flush=True)
        comm.Barrier()
        MPI.Finalize()  # an orderly end: mpi4py's runner would abort the job and say so once a rank
        os._exit(2)
    return 0


class Bar(NamedTuple):
    """Text of a progress bar: description, unit, how many units there are in all and were done before."""

    description: str
    unit: str
    total: int
    before: int


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
        """Return the counter's value and add ``amount`` to it, at once."""
        number = np.zeros(1, dtype=np.int64)
        self.window.Fetch_and_op(np.array([amount], dtype=np.int64), number, 0, 0, MPI.SUM)
        self.window.Flush(0)
        return int(number[0])

    def close(self) -> None:
        """Give the shared memory back, when all ranks are here."""
        self.window.Unlock_all()
        self.window.Free()


def share_out(comm: MPI.Comm, amounts: Sequence[int], make: Callable[[int], None], bar: Bar, draw: bool) -> None:
    """Do numbered pieces of work, each on the rank that comes for it first.

    Args:
        comm: whose ranks all call this.
        amounts: of each piece, in units of the bar.
        make: does the piece with this number.
        bar: what a progress bar says.
        draw: whether rank 0 draws it.

    Raises:
        InputError: on every rank, if a piece raised it on one of them; no other is begun then.
    """
    left = sum(amounts)
    queue, error = Queue(comm), None
    with tqdm(
        total=bar.total,
        initial=bar.before,
        desc=bar.description,
        unit=bar.unit,
        disable=not draw or comm.rank > 0,
    ) as drawn:
        try:
            while (number := queue.take()) < len(amounts):
                # What was handed out is done, but for what each rank has in hand.
                done = sum(amounts[: max(0, number + 1 - comm.size)])
                drawn.update(bar.total - left + done - drawn.n)
                make(number)
        except InputError as caught:
            error = caught
            queue.take(len(amounts))  # nothing is left for the others
        errors = [each for each in comm.allgather(error) if each is not None]
        queue.close()
        if errors:
            raise errors[0]
        drawn.update(bar.total - drawn.n)


def on_root(comm: MPI.Comm, action: Any) -> Any:
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


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Elsewhere than on Linux; there it would count what the process was before it became this program.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
