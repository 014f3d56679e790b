"""What the commands share: help that ends with an example, and the options that several of them take."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from fluxbench.errors import InputError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Command(click.Command):
    """A command whose help ends with an example.

    Args:
        example: a command line; further ones on lines of their own.
    """

    def __init__(self, *args: Any, example: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.example = example

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - click's signature
        """Return the first paragraph of the help in one line, however long it is."""
        return " ".join((self.help or "").partition("\n\n")[0].split()).rstrip(".:")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the example."""
        if self.example:
            lines = "".join(f"  {line}\n" for line in self.example.splitlines())
            formatter.write(f"\nexample:\n{lines}")


class Group(Command, click.Group):
    """A group of such commands, in the order in which they were added; without the name of one, it says so."""

    command_class = Command

    def __init__(self, *args: Any, no_args_is_help: bool = False, **more: Any) -> None:
        super().__init__(*args, no_args_is_help=no_args_is_help, **more)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands' names in the order in which they were added."""
        return list(self.commands)


def of_a_run(*more: Decorator) -> Decorator:
    """Give a command the options that settle a run, and call it with the configuration that they make.

    Args:
        more: options that go the same way, such as ``RANKS``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(profile: str, changes: tuple[str, ...], **others: Any) -> Any:
            from fluxbench.bench.config import load  # noqa: PLC0415 - help is there at once

            given = {name: others.pop(name, None) for name in ("ranks", "address")}
            keys = [f"{name}={value}" for name, value in given.items() if value is not None]
            return function(load(profile, [*changes, *keys]), **others)

        for option in (*reversed(more), SET, PROFILE):
            command = option(command)
        return command

    return decorate


def at_least_one(_context: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """Return the value of an option that counts something.

    Raises:
        InputError: if it is below 1.
    """
    if value is not None and value < 1:
        raise InputError(f"{parameter.opts[0]}: expected at least 1, found {value}")
    return value


def rounds(default: int, of: str) -> Decorator:
    """Return the option ``--rounds``.

    Args:
        default: how many.
        of: what is repeated, for its help.
    """
    return click.option(
        "--rounds", type=int, default=default, show_default=True, callback=at_least_one, help=f"How often {of}."
    )


PROFILES = sorted(path.stem for path in (Path(__file__).parent / "profiles").glob("*.toml"))
PROFILE = click.option(
    "--profile", default="quick", show_default=True, help=f"{', '.join(PROFILES)}, or a TOML file of your own."
)
SET = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the profile; may be repeated. bench/profiles/paper.toml shows every key.",
)
RANKS = click.option("--ranks", type=int, help="MPI ranks that solve; the same as --set ranks=N.")
ADDRESS = click.option(
    "--address",
    help="Ray cluster to work on: local (start one here, the default), auto (one that runs), HOST:PORT, or none (worker"
    " processes without Ray); the same as --set address=...",
)
ROOT = click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where runs/ and results/ lie (default: here).",
)
