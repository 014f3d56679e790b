"""Independent pieces of work on the cores of one machine, each core its own process.

Networks this small gain nothing from a second thread in a matrix product, while a second process doubles the rate. A
worker runs one thread (see :mod:`fluxbench`) and ends when its parent does, however that ended.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

from tqdm import tqdm

from fluxbench.errors import InputError

Report = Callable[[int], None]
Task = Callable[[Report], Any]
"""A picklable piece of work; it calls the report it is given with the amount done since the last call."""

Labelled = tuple[str, int, Task]
"""What to call a piece of work, how much it is, and the work itself."""

Ended = Callable[[int], str]
"""Called with the number of each task that has ended well; it returns what to say of that, or nothing."""

_queue: Any = None


def run(tasks: Sequence[Labelled], workers: int, description: str, unit: str, ended: Ended) -> list[Any]:
    """Run tasks in ``workers`` processes with one thread each, under one progress bar.

    Args:
        tasks: the work, in the order in which it is begun.
        workers: number of processes.
        description: in front of the bar.
        unit: of the amounts.
        ended: what it returns is said where there is no terminal to draw a bar on.

    Returns:
        What the tasks returned, in their order.

    Raises:
        InputError: naming every task that failed, after all the others have ended, or saying that a worker was killed.
    """
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    total = sum(amount for _, amount, _ in tasks)
    failures: list[str] = []
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _start, (queue,))
    try:
        futures = [pool.submit(_call, task) for _, _, task in tasks]
        for index, future in enumerate(futures):
            future.add_done_callback(_announce(queue, index))
        with tqdm(total=total, desc=description, unit=unit, unit_scale=True, disable=None, smoothing=0.05) as bar:
            for index in _until_done(queue, len(tasks), bar):
                label = tasks[index][0]
                error = futures[index].exception()
                if error is None:
                    if (line := ended(index)) and bar.disable:
                        print(f"{description}: {line}", flush=True)
                elif isinstance(error, InputError):
                    failures.append(f"{label}: {error}")
                elif isinstance(error, BrokenProcessPool):
                    raise InputError(f"{description}: a worker process was killed; the same command goes on from there")
                else:
                    raise error
    except BaseException:
        for process in list((pool._processes or {}).values()):  # noqa: SLF001 - no public way to stop running tasks
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        raise InputError("; ".join(failures))
    return [future.result() for future in futures]


def _announce(queue: Any, index: int) -> Callable[[Future[Any]], None]:
    return lambda future: queue.put(("done", index))


def _until_done(queue: Any, count: int, bar: Any) -> Iterable[int]:
    """Advance the bar by what is reported; yield the index of each task that ends."""
    while count > 0:
        kind, value = queue.get()
        if kind == "done":
            count -= 1
            yield value
        else:
            bar.update(value)


def _start(queue: Any) -> None:
    global _queue  # noqa: PLW0603 - a pool's initialiser has no other place to leave things for its tasks
    _queue = queue
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _call(task: Task) -> Any:
    return task(lambda amount: _queue.put(("progress", amount)))
