"""Where, when and by which code a file was made."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
CHECKOUT = _PACKAGE.parents[1] if _PACKAGE.parent.name == "src" else None
"""Where this code lies, if it runs from a checkout."""
COMMAND = "FLUXBENCH_COMMAND"
"""Environment variable: the command line that a person gave, for processes of a cluster."""
_PACKAGES = ("fluxbench", "numpy", "scipy", "h5py", "fenics-dolfinx", "petsc4py", "mpi4py", "torch", "ray")
_JOB = ("SLURM_JOB_ID", "SLURM_JOB_PARTITION", "SLURM_JOB_NODELIST", "SLURM_RESTART_COUNT")
_THREADS = "OMP_NUM_THREADS"
_DISTRIBUTIONS = {"fenics-dolfinx": "dolfinx-solver-real", "petsc4py": "dolfinx-solver-real"}
"""Where the wheels carry a package under another distribution's name."""


def provenance() -> dict[str, Any]:
    """Return commit, versions, host, processor, cores, threads a process, command and time (UTC), as JSON has them."""
    made = {
        "commit": commit(),
        "versions": {name: found for name in _PACKAGES if (found := package_version(name))},
        "python": platform.python_version(),
        "host": platform.node(),
        "machine": platform.machine(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": int(threads) if (threads := os.environ.get(_THREADS, "")).isdigit() else None,
        "command": command(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    job = {name.lower(): os.environ[name] for name in _JOB if name in os.environ}
    return made | job


def command() -> str:
    """Return the command line that a person gave; a process of a cluster is told it by an environment variable."""
    return os.environ.get(COMMAND) or " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def processor() -> str:
    """Return the processor's model name, or the machine's kind where the system does not tell it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [text.split(":", 1)[1].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.machine()


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    for distribution in (name, _DISTRIBUTIONS.get(name, name)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def commit(checkout: Path | None = CHECKOUT) -> str | None:
    """Return the commit of the checkout that this code runs from, or None if it was installed from elsewhere.

    ``-dirty`` is added where tracked files other than results were changed. A copy in an environment that lies in
    another repository has no commit of its own, and that repository's would be a lie.

    Args:
        checkout: folder that holds ``src/fluxbench``; None if this code was installed from elsewhere.
    """
    if checkout is None:
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != checkout:
            return None
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
