"""Score files: rows in JSON, with what determines them. Scoring again needs no sampling again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.storage import Row, check_specification, write_text

VERSION = 6
"""Raise it when a metric or a column changes: scores of another version are made again."""


def specification(scored: dict[str, Any]) -> dict[str, Any]:
    """What a score file must carry, given what determines the numbers: samples, and what they are compared with."""
    return {"version": VERSION, "scored": scored}


def ensure(path: Path, scored: dict[str, Any], rows: Callable[[], list[Row]]) -> None:
    """Write the file with ``rows()``, unless it is there and of the same samples."""
    try:
        read(path, scored)
    except InputError:  # a score costs seconds: make it again
        record = {"specification": specification(scored), "provenance": provenance(), "rows": rows()}
        write_text(path, json.dumps(record, indent=1))


def read(path: Path, scored: dict[str, Any]) -> list[Row]:
    """The rows of a score file that must be of these samples.

    Raises:
        InputError: if the file is missing, damaged or made otherwise.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, rows = content["specification"], list(content["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a score file; `fluxbench score` makes it") from error
    check_specification(path, found, specification(scored))
    return rows
