"""Studies: measurements that publish a page of tables under ``results/<name>``, and miss their goals or reach them.

Each is a module of :mod:`fluxbench.bench.studies` whose docstring is its help, with ``TITLE``, the title of its page,
``measure(options) -> Findings``, and ``ROUNDS`` if it repeats what it measures: how often by default. Names, summaries
and help come from the modules' text, without the libraries that they import.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from fluxbench.bench.commands import ROOT, Command, Group, rounds
from fluxbench.errors import InputError
from fluxbench.storage import Row, write_csv, write_text

FOLDER = Path(__file__).with_name("studies")
Findings = tuple[dict[str, list[Row]], list[Row]]
"""Tables, rows by title, and goals."""


@dataclass(frozen=True)
class Options:
    """What a study is told.

    Attributes:
        root: where runs/ and results/ lie.
        rounds: how often everything is measured; 1 for a study that does not repeat itself.
    """

    root: Path
    rounds: int = 1


class Studies(Group):
    """A command for each file of a folder, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all studies."""
        return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> Command | None:
        """Return the command of a study; None if there is no such study."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = ast.parse((FOLDER / f"{cmd_name}.py").read_text(encoding="utf-8"))
        often = next(_constants(module, "ROUNDS"), None)
        command: Any = partial(study, cmd_name)
        options = [ROOT] if often is None else [ROOT, rounds(often, "everything is measured")]
        for option in reversed(options):
            command = option(command)
        example = f"fluxbench study {cmd_name}" + ("" if often is None else f" --rounds {often}")
        return click.command(cmd_name, cls=Command, help=_help(module), example=example)(command)


def _constants(module: ast.Module, name: str) -> Iterator[Any]:
    for line in module.body:
        if isinstance(line, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in line.targets):
            yield ast.literal_eval(line.value)


def _help(module: ast.Module) -> str:
    """The docstring, with command lines and lists as they stand there."""
    paragraphs = (ast.get_docstring(module) or "").split("\n\n")
    return "\n\n".join(f"\b\n{text}" if text.startswith(("  ", "- ")) else text for text in paragraphs)


@click.group(
    "study",
    cls=Studies,
    invoke_without_command=True,
    subcommand_metavar="NAME ...",
    example="fluxbench study training_speed --rounds 3",
)
@click.pass_context
def studies(context: click.Context) -> None:
    """Measure, publish the numbers in results/, and end with status 1 if a goal is missed."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def study(name: str, root: Path, **repeated: int) -> int:
    """Make a study and publish what it finds.

    Args:
        name: of its module, of the folder under ``results`` and of the files in it.
        root: where runs/ and results/ lie.
        repeated: ``rounds``, for a study that has them.

    Returns:
        The exit status: 1 if a goal was missed.

    Raises:
        InputError: if what it needs is missing or made otherwise, or its folder cannot be written.
    """
    from fluxbench.provenance import provenance  # noqa: PLC0415 - after help

    origin, folder = {"provenance": provenance()} | repeated, root / "results" / name
    module = import_module(f"fluxbench.bench.studies.{name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before hours of measuring
        tables, goals = module.measure(Options(root, **repeated))
        return publish(folder, module.TITLE, f"fluxbench study {name}", tables, goals, origin)
    except OSError as error:
        raise InputError(f"study {name}: {error}") from error


def goal(what: str, value: float, reached: bool, bar: str) -> Row:
    """Return one row of the table of goals: what is judged, its value, the bar in words, and whether it is reached."""
    return {"what": what, "value": value, "goal": bar, "reached": "yes" if reached else "no"}


def publish(
    folder: Path, title: str, command: str, tables: dict[str, list[Row]], goals: list[Row], origin: dict[str, Any]
) -> int:
    """Write the tables as one CSV and one page, with their origin, and print the goals.

    Args:
        folder: whose name names the files too.
        title: of the page.
        command: that made it.
        tables: rows by title.
        goals: from :func:`goal`.
        origin: provenance, and what else a reader should know of how they came about.

    Returns:
        The exit status of the command: 1 if a goal was missed.
    """
    texts = [markdown(name, rows) for name, rows in tables.items()] + [markdown("Goals", goals)]
    head = f"# {title}\n\nMade by `{command}`; commit, host: `provenance.json`.\n\n"
    rows = [{"table": name} | row for name, part in tables.items() for row in part]
    write_text(folder / f"{folder.name}.md", head + "\n".join(texts))
    write_csv(folder / f"{folder.name}.csv", rows, list(dict.fromkeys(column for row in rows for column in row)))
    write_text(folder / "provenance.json", json.dumps(origin, indent=1) + "\n")
    click.echo(texts[-1])
    return 0 if all(row["reached"] == "yes" for row in goals) else 1


def line(row: Row) -> str:
    """Return a row as one line, for those who wait while it is measured."""
    return ", ".join(f"{name} {text(value)}" for name, value in row.items())


def text(value: str | float) -> str:
    """Return a cell of a table: numbers with three digits, or with commas from a hundred on."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.3g}"
    return value if isinstance(value, str) else f"{value:,}"


def markdown(title: str, rows: list[Row]) -> str:
    """Return a table under its title; a row may lack columns that others have."""
    from fluxbench.bench.report.markdown import table  # noqa: PLC0415 - after help

    names = list(dict.fromkeys(name for row in rows for name in row))
    return f"## {title}\n\n" + table(names, [[text(row.get(name, "")) for name in names] for row in rows]) + "\n"
