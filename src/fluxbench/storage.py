"""Files that are either whole or absent, and that say what made them.

Every file that a stage writes carries two JSON records: its *specification*, the inputs that determine its content, and
its *provenance* (:mod:`fluxbench.provenance`). A stage that finds a file of the same specification is done; one that
finds another specification says which key differs and stops.
"""

import csv
import errno
import fcntl
import io
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fluxbench.errors import InputError

Row = dict[str, Any]
"""A row of a table: values by column."""

WAIT = "FLUXBENCH_WAIT"
"""Environment variable: if it is not empty, a directory that another command holds is waited for."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, whose file takes its place when the block ends without error.

    The file is on disk before it does.

    Raises:
        InputError: if the directory or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _flush(path: Path) -> None:
    """Wait until a file or a directory is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a directory for this command alone, and remove files that a killed command left half written.

    Raises:
        InputError: if another command holds the directory and ``WAIT`` is not set, or it cannot be written.
    """
    with _locked(directory, fcntl.LOCK_EX):
        for left_behind in directory.rglob(".*.tmp"):
            left_behind.unlink(missing_ok=True)
        yield


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Hold a directory together with other commands that share it, so that none has it for itself.

    Raises:
        InputError: if a command has the directory for itself and ``WAIT`` is not set, or it cannot be written.
    """
    with _locked(directory, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(directory: Path, kind: int) -> Iterator[None]:
    """Hold a lock of a kind of ``fcntl`` on a directory, which is made if it does not exist."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / ".lock").open("a+")  # NFS shares a lock only of what can be read
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror}") from error
    with file:
        try:
            _lock(file.fileno(), kind, directory)
        except OSError as error:
            if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
                raise InputError(f"{directory}: another fluxbench command is at work here; wait for it") from error
            # Some parallel file systems are mounted without locks; jobs that wait for each other do not need them.
            sys.stderr.write(f"fluxbench: {directory}: no locks on this file system: {error.strerror}\n")
        yield


def _lock(file: int, kind: int, directory: Path) -> None:
    """Lock an open file; wait if ``WAIT`` is set, else raise BlockingIOError if another command has locked it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        if not os.environ.get(WAIT):
            raise
        sys.stderr.write(f"fluxbench: {directory}: waits for another fluxbench command that is at work here\n")
        fcntl.flock(file, kind)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        InputError: if the directory or the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV atomically; absent values stay empty.

    Raises:
        InputError: if the directory or the file cannot be written.
        ValueError: if a row has a column that is not among ``columns``.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="raise", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def check_specification(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare the specification that a file carries with the one that is asked for.

    Raises:
        InputError: if they differ, naming the file, the first key that differs, and both values.
    """
    found, expected = _flat(found), _flat(expected)
    for name in [*expected, *(name for name in found if name not in expected)]:
        if found.get(name) != expected.get(name):
            raise InputError(
                f"{path}: made with {name} = {_short(found.get(name))}, but {_short(expected.get(name))} is asked for; "
                "remove it, or give this run a name of its own (--set name=...)"
            )


def _short(value: Any) -> str:
    """Return a value as JSON, cut off after sixty characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested record as one of dotted keys, with values as JSON gives them back, tuples as lists."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.loads(json.dumps(value))
    return flat
