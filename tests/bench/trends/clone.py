"""A clone of this repository that tests may spoil, and the command that measures it."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, changes: dict[str, tuple[str, str]], message: str) -> str:
    """Replace a text in each of some files, commit, and return the commit's hash."""
    for name, (old, new) in changes.items():
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    git(folder, "commit", "--quiet", "--all", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a home of its own, in which asv keeps its list of machines."""
    command = [Path(sys.executable).with_name("fluxbench"), "bench", *arguments]
    home = os.environ | {"HOME": str(folder.parent)}
    return subprocess.run(command, cwd=folder, env=home, capture_output=True, text=True, check=False)
