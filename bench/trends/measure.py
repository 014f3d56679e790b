"""Run asv's benchmarks on commits, and say so if that did not work."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from asv import util
from asv.machine import Machine, MachineCollection

from bench.trends.measurements import CONFIGURATION, Measurement, configuration, of_commit
from solvers.errors import InputError
from solvers.storage import write_text

EVERYTHING = "."
"""The regular expression that all names match."""


def this_machine() -> str:
    """What results from here are filed under: the processor and the number of its cores, whatever the host's name."""
    model = (util.get_cpu_info() or platform.machine()).lower()
    words = re.findall(r"[a-z0-9.]+", re.sub(r"\((r|tm)\)|\bcpu\b|\bprocessor\b|@.*", " ", model))
    return "-".join([*words, str(os.cpu_count()), "cores"])


def commits_of(names: Iterable[str]) -> list[str]:
    """Full hashes of commits, or of ranges such as ``HEAD~5..HEAD``, the oldest of a range first.

    Raises:
        InputError: if git does not know one.
    """
    found = []
    for name in names:
        command = ["rev-list", "--reverse", name] if ".." in name else ["rev-parse", "--verify", f"{name}^{{commit}}"]
        done = subprocess.run(["git", *command], capture_output=True, text=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise InputError(f"{name}: expected a commit of this checkout, or a range of commits that is not empty")
        found += done.stdout.split()
    return list(dict.fromkeys(found))


def uncommitted() -> bool:
    """Whether the checkout has changes that no commit has."""
    command = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def measure(
    commits: Sequence[str],
    machine: str,
    pattern: str = EVERYTHING,
    options: Sequence[str] = (),
    path: Path = CONFIGURATION,
) -> dict[str, list[Measurement]]:
    """Run benchmarks on commits, by ``asv run``.

    Args:
        commits: full hashes.
        machine: to file results under.
        pattern: regular expression that names of benchmarks with their parameters must match.
        options: more of ``asv run``.
        path: of asv's configuration.

    Returns:
        What is now known of each commit of the benchmarks that match.

    Raises:
        InputError: if a commit has no measurement after that, or asv found nothing to run.
    """
    config = configuration(path)
    MachineCollection.save(machine, Machine.get_defaults() | {"machine": machine})  # or asv would ask
    hashes = path.resolve().parent / config.env_dir / "commits.txt"
    write_text(hashes, "\n".join(commits) + "\n")
    status = asv(path, "run", f"HASHFILE:{hashes}", "--machine", machine, "--bench", pattern, "--show-stderr", *options)
    if status not in {0, 2}:  # 2 says that benchmarks have failed, and their values are missing
        raise InputError(f"asv run ended with status {status}, see above; nothing was measured")
    found = {commit: matching(of_commit(Path(config.results_dir), machine, commit), pattern) for commit in commits}
    for commit, measurements in found.items():
        if all(each.value is None for each in measurements):
            raise InputError(f"commit {commit[:8]}: nothing was measured, see above")
    return found


def matching(measurements: Iterable[Measurement], pattern: str) -> list[Measurement]:
    """Those whose names asv's ``--bench`` selects."""
    return [each for each in measurements if re.search(pattern, each.name)]


def asv(path: Path, *arguments: str) -> int:
    """Run asv and return its exit status."""
    command = [sys.executable, "-m", "asv", "--config", str(path), *arguments]
    return subprocess.run(command, check=False).returncode
