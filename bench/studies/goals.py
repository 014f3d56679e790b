"""Commands that measure: what they leave under ``results/<name>`` are tables, and goals that were reached or missed."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxbench.errors import InputError
from fluxbench.provenance import provenance
from fluxbench.storage import Row, write_csv, write_text

Found = tuple[dict[str, list[Row]], list[Row]]
"""Tables, rows by title, and goals."""


@dataclass(frozen=True)
class Options:
    """What every measuring command is told.

    Attributes:
        root: where runs/ and results/ lie.
        rounds: of everything; 1 for a command that has none.
    """

    root: Path
    rounds: int


def measuring_command(
    name: str, description: str | None, title: str, measure: Callable[[Options], Found], rounds: int | None = None
) -> int:
    """The command line ``python -m bench.<name>``.

    Args:
        name: of the module, of the folder under ``results`` and of the files in it.
        description: for ``--help``.
        title: of the page.
        measure: what is measured; prints rows as they are found.
        rounds: by default; None for a command that has none.

    Returns:
        The exit status: 1 if a goal was missed, 2 for bad input.
    """
    parser = argparse.ArgumentParser(
        f"python -m bench.{name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path(), help="where runs/ and results/ lie (default: here)")
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds of everything (default: {rounds})")
    given = parser.parse_args()
    options = Options(given.root, getattr(given, "rounds", 1))
    if options.rounds < 1:
        parser.error(f"--rounds: expected at least 1, found {options.rounds}")
    made = {"provenance": provenance()} | ({} if rounds is None else {"rounds": options.rounds})
    folder = options.root / "results" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before hours of measuring
        tables, reached = measure(options)
        return publish(folder, title, f"python -m bench.{name}", tables, reached, made)
    except (InputError, OSError) as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2


def goal(what: str, value: float, reached: bool, bar: str) -> Row:
    """One line of the table of goals."""
    return {"what": what, "value": value, "goal": bar, "reached": "yes" if reached else "no"}


def publish(
    folder: Path, title: str, command: str, tables: dict[str, list[Row]], goals: list[Row], made: dict[str, Any]
) -> int:
    """Write the tables as one CSV and one page, with what made them, and print the goals.

    Args:
        folder: whose name names the files too.
        title: of the page.
        command: that made it.
        tables: rows by title.
        goals: from :func:`goal`.
        made: provenance, and what else a reader should know of how it was made.

    Returns:
        The exit status of the command: 1 if a goal was missed.
    """
    texts = [markdown(name, rows) for name, rows in tables.items()] + [markdown("Goals", goals)]
    head = f"# {title}\n\nMade by `{command}`; commit, host: `provenance.json`.\n\n"
    rows = [{"table": name} | row for name, those in tables.items() for row in those]
    write_text(folder / f"{folder.name}.md", head + "\n".join(texts))
    write_csv(folder / f"{folder.name}.csv", rows, list(dict.fromkeys(column for row in rows for column in row)))
    write_text(folder / "provenance.json", json.dumps(made, indent=1) + "\n")
    print(texts[-1])
    return 0 if all(row["reached"] == "yes" for row in goals) else 1


def line(row: Row) -> str:
    """A row as it is found, for those who wait."""
    return ", ".join(f"{name} {text(value)}" for name, value in row.items())


def text(value: str | float) -> str:
    """A number as a table shows it."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.3g}"
    return value if isinstance(value, str) else f"{value:,}"


def markdown(title: str, rows: list[Row]) -> str:
    """A table under its title."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"## {title}\n", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [f"| {' | '.join(text(row.get(name, '')) for name in names)} |" for row in rows]
    return "\n".join(lines) + "\n"
