"""Start MPI programs of the suite, and end them in order."""

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from fluxbench.errors import InputError

MPIEXEC = "FLUXBENCH_MPIEXEC"
"""Environment variable: the command that starts MPI programs, such as ``srun --mpi=pmi2``; ``-n RANKS`` is added."""
PATIENCE = 30.0
"""Seconds that an MPI job has to end in order, once it is told to."""
PYTHON = (sys.executable, "-P")
"""Without the user's folder on the path, in which a package of one of our names may lie."""


def launcher(ranks: int) -> list[str]:
    """Return the command that starts Python on so many ranks; mpi4py's runner ends all ranks when one raises.

    Raises:
        InputError: if nothing is there to start more than one.
    """
    if given := _given_launcher():
        return [*given, "-n", str(ranks), *PYTHON, "-m", "mpi4py"]
    if ranks == 1:
        return [*PYTHON]
    beside = Path(sys.executable).with_name("mpiexec")  # the wheel's own, else the machine's
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise InputError(f"ranks = {ranks}: expected an mpiexec beside {sys.executable} or on the PATH, found none")
    return [mpiexec, "-n", str(ranks), *PYTHON, "-m", "mpi4py"]


def _given_launcher() -> list[str]:
    given = os.environ.get(MPIEXEC, "")
    try:
        return shlex.split(given)
    except ValueError as error:
        raise InputError(f"{MPIEXEC}: expected a command line, found {given!r}: {error}") from error


def mpi_job(what: str, program: list[str], ranks: int, kept: str) -> None:
    """Run an MPI program to its end.

    Args:
        what: names it in errors.
        program: module and options, as Python takes them.
        ranks: number of processes.
        kept: what is not lost if it fails.

    Raises:
        InputError: if it cannot be started, or ends with another status than 0.
    """
    command = [*launcher(ranks), *program, "--ranks", str(ranks)]
    if sys.stderr.isatty():
        command.append("--progress")
    try:
        with subprocess.Popen(command) as job:
            try:
                status = job.wait()
            except BaseException:  # Ctrl-C has reached the job as well; a signal to this process alone has not
                job.terminate()
                with suppress(subprocess.TimeoutExpired):
                    job.wait(PATIENCE)
                job.kill()
                raise
    except OSError as error:
        expected = "expected a command that starts MPI programs"
        raise InputError(f"{what}: {MPIEXEC}: {expected}, found {command[0]!r}: {error.strerror}") from error
    if status != 0:
        raise InputError(f"{what}: the MPI job ended with status {status}, see above; {kept}")
