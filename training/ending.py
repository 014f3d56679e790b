"""A request to end early, which reaches trainers wherever they run: a file beside the checkpoints.

Who is asked to end finishes the epoch in hand, writes a checkpoint and returns, so that little time before a time limit
is enough to lose nothing.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

NAME = ".end"


def requested(checkpoint: Path) -> bool:
    """Whether whoever writes this checkpoint is asked to end."""
    return checkpoint.with_name(NAME).exists()


@contextmanager
def asked_by_signals(folder: Path) -> Iterator[None]:
    """Let SIGTERM ask all who write checkpoints into ``folder`` to end; a second one interrupts, and so does Ctrl-C.

    Raises:
        KeyboardInterrupt: when they have ended because they were asked to.
    """
    request = folder / NAME
    request.unlink(missing_ok=True)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(_number: int, _frame: FrameType | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        request.touch()
        signal.signal(signal.SIGTERM, before[signal.SIGTERM])

    def interrupt(number: int, frame: FrameType | None) -> None:
        ask(number, frame)  # an interrupt that strikes in a callback of a library may be lost there
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
        if request.exists():
            raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        request.unlink(missing_ok=True)
