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

from fluxbench.bench.trends.measurements import CONFIGURATION, Measurement, benchmarks_in, configuration, of_commit
from fluxbench.errors import InputError
from fluxbench.storage import write_text


class NothingSelectedError(InputError):
    """Refusal of a pattern that no benchmark's name matches."""


def this_machine() -> str:
    """Return the name that results from here are filed under: the processor and its number of cores, not the host."""
    model = (util.get_cpu_info() or platform.machine()).lower()
    words = re.findall(r"[a-z0-9.]+", re.sub(r"\((r|tm)\)|\bcpu\b|\bprocessor\b|@.*", " ", model))
    return "-".join([*words, str(os.cpu_count()), "cores"])


def commits_of(names: Iterable[str]) -> list[str]:
    """Return full hashes of commits, or of ranges such as ``HEAD~5..HEAD``, the oldest of a range first.

    Raises:
        InputError: if git is not there, or does not know one.
    """
    found = []
    for name in names:
        status, said = _git(
            *(("rev-list", "--reverse", name) if ".." in name else ("rev-parse", "--verify", f"{name}^{{commit}}"))
        )
        if status != 0 or not said:
            raise InputError(f"{name}: expected a commit of this checkout, or a range of commits that is not empty")
        found += said.split()
    return list(dict.fromkeys(found))


def uncommitted() -> bool:
    """Tell whether the checkout has changes that no commit has; those of results do not count."""
    return bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")[1])


def _git(*arguments: str) -> tuple[int, str]:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"git: expected it on the PATH, to check out commits: {error.strerror}") from error
    return done.returncode, done.stdout


def measure(
    commits: Sequence[str], machine: str, pattern: str, options: Sequence[str] = (), path: Path = CONFIGURATION
) -> dict[str, list[Measurement]]:
    """Run benchmarks on commits, by ``asv run``.

    Args:
        commits: full hashes.
        machine: name to file results under.
        pattern: regular expression that names of benchmarks with their parameters must match.
        options: more options of ``asv run``.
        path: path of asv's configuration.

    Returns:
        Measurements of the benchmarks that match, by commit; a value is None where one failed.

    Raises:
        NothingSelectedError: if no benchmark matches.
        InputError: if the pattern is no regular expression, or asv did not run.
    """
    try:
        matches = re.compile(pattern).search
    except re.error as error:
        raise InputError(f"--bench: expected a regular expression, found {pattern!r}: {error}") from error
    config = configuration(path)
    # Or asv would ask. The name says what counts; another kernel is no other history.
    MachineCollection.save(machine, Machine.get_defaults() | {"machine": machine, "os": "", "ram": ""})
    hashes = path.resolve().parent / config.env_dir / "commits.txt"
    write_text(hashes, "\n".join(commits) + "\n")
    run = ("run", f"HASHFILE:{hashes}", "--machine", machine, "--bench", pattern, "--show-stderr", *options)
    status, results = asv(path, *run), Path(config.results_dir)
    if status not in {0, 2}:  # 2 says that benchmarks have failed, and their values are missing
        known = benchmarks_in(results) if (results / "benchmarks.json").exists() else {}
        if known and not any(map(matches, _names(known))):
            raise NothingSelectedError(f"--bench: expected a pattern that some benchmark matches, found {pattern!r}")
        raise InputError(f"asv run ended with status {status}, see above; nothing was measured")
    return {commit: [each for each in of_commit(results, machine, commit) if matches(each.name)] for commit in commits}


def _names(known: dict[str, dict[str, list[list[str]]]]) -> list[str]:
    """Names of all benchmarks at all their parameters."""
    return [each.name for name, one in known.items() for each in Measurement.all_of(name, one)]


def asv(path: Path, *arguments: str) -> int:
    """Run asv and return its exit status.

    Args:
        path: path of asv's configuration.
        arguments: command of asv and its options.
    """
    command = [sys.executable, "-m", "asv", "--config", str(path), *arguments]
    return subprocess.run(command, check=False).returncode
