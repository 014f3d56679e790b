"""What tests share that kill processes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_WATCHER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x80)  # IN_MOVED_TO
print("ready", flush=True)
while sys.argv[2].encode() + b"\\0" not in os.read(fd, 65536):  # names end with zeros
    pass
print("seen", flush=True)
"""


@contextmanager
def next_file_in(folder: Path, suffix: str = ".h5") -> Iterator[Callable[[], None]]:
    """Yield a function that waits until a file of the folder gets its final name: an event, not a poll (inotify)."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _WATCHER, str(folder), suffix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as eye:
        stdout = eye.stdout
        assert stdout is not None
        assert stdout.readline() == "ready\n"

        def seen() -> None:
            assert stdout.readline() == "seen\n"

        yield seen
