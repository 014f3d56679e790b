"""Data sets on storage of the node's own, so that each node reads the shared file system once.

``FLUXBENCH_SCRATCH`` names a folder on the node; without it, and where it is full, files are read where they are.
"""

import fcntl
import os
import shutil
import sys
from hashlib import sha256
from pathlib import Path

from fluxbench.errors import InputError
from fluxbench.storage import atomic_path

SCRATCH = "FLUXBENCH_SCRATCH"


def staged(path: Path) -> Path:
    """Return this node's copy of a file, made by the process that comes first; the file itself without scratch."""
    scratch = os.environ.get(SCRATCH)
    if not scratch or not path.exists():
        return path
    found = path.stat()  # files are replaced, never changed
    version = sha256(f"{path.resolve()} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = Path(scratch) / f"{version}-{path.name}"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # all workers of a node come at once
            if not copy.exists():
                with atomic_path(copy) as temporary:
                    shutil.copyfile(path, temporary)
    except (InputError, OSError) as error:
        sys.stderr.write(f"fluxbench: {scratch}: cannot be used, {path} is read where it is: {error}\n")
        return path
    return copy
