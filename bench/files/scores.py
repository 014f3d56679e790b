"""Scores on disk: one JSON file a set of samples with what determines them, and one tidy table a run.

A score file holds ``specification``, ``provenance`` and ``rows``; scoring again needs no sampling again. The table,
``scores.csv``, is a pandas frame with :data:`COLUMNS`; `docs/metrics.md` says what they are.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.storage import Row, check_specification, write_text

VERSION = 7
"""Raise it when a metric or a column changes: scores of another version are made again."""

COLUMNS = {
    "problem": "str",
    "noise": "float64",
    "sensors_on": "float64",
    "recipe": "str",
    "amortised": "str",
    "formulation": "str",
    "sampler": "str",
    "alpha": "float64",
    "seed": "int64",
    "metric": "str",
    "wall": "str",
    "segment": "Int64",
    "value": "float64",
    "value_error": "float64",
    "floor": "float64",
    "floor_error": "float64",
    "prior": "float64",
    "linear_gaussian": "float64",
    "paper": "float64",
    "reference": "str",
    "measurements": "int64",
    "generated": "int64",
    "evaluations": "float64",
    "seconds": "float64",
    "epochs": "int64",
}
"""Names and types of the table's columns. What is absent is NaN among numbers, and empty among texts."""
TEXTS = [name for name, kind in COLUMNS.items() if kind == "str"]


def specification(scored: dict[str, Any]) -> dict[str, Any]:
    """Return what a score file must carry, given what determines the numbers: samples, and what they compare with."""
    return {"version": VERSION, "scored": scored}


def ensure(path: Path, scored: dict[str, Any], rows: Callable[[], list[Row]]) -> None:
    """Write the file with ``rows()``, unless it is there and of the same samples.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        read(path, scored)
    except InputError:  # a score costs seconds: make it again
        record = {"specification": specification(scored), "provenance": provenance(), "rows": rows()}
        write_text(path, json.dumps(record, indent=1))


def read(path: Path, scored: dict[str, Any]) -> list[Row]:
    """Return the rows of a score file that must be of these samples.

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


def frame(rows: list[Row]) -> pd.DataFrame:
    """Return rows as a table of :data:`COLUMNS`."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(COLUMNS)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically; absent values stay empty.

    Raises:
        InputError: if it cannot be written.
    """
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a ``scores.csv``.

    Raises:
        InputError: if it is missing or no such table.
    """
    numbers = {name: kind for name, kind in COLUMNS.items() if kind != "str"}
    try:
        text = path.read_text(encoding="utf-8")
        table = pd.read_csv(io.StringIO(text), dtype=numbers, float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a table of scores: {error}") from error
    if list(table.columns) != list(COLUMNS):
        raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(table.columns)}")
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(COLUMNS)
