"""Data sets on storage of the node's own, so that each node reads the shared file system once.

``FLUXBENCH_SCRATCH`` names a folder on the node; without it files are read where they are.
"""

import os
import shutil
from hashlib import sha256
from pathlib import Path

from solvers.storage import atomic_path

SCRATCH = "FLUXBENCH_SCRATCH"


def staged(path: Path) -> Path:
    """This node's copy of a file, which whoever comes first makes; the file itself where there is no scratch.

    Raises:
        InputError: if the scratch cannot be written.
    """
    scratch = os.environ.get(SCRATCH)
    if not scratch or not path.exists():
        return path
    found = path.stat()  # files are replaced, never changed
    version = sha256(f"{path.resolve()} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = Path(scratch) / f"{version}-{path.name}"
    if not copy.exists():
        with atomic_path(copy) as temporary:
            shutil.copyfile(path, temporary)
    return copy
