"""Tables in Markdown: the one writer of them."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table between pipes, with a line break at its end; cells stand as they are given, and are not padded."""
    cells = [list(row) for row in rows]
    as_given = {"stralign": None, "numalign": None, "disable_numparse": True}
    return tabulate(cells, headers=list(columns), tablefmt="github", **as_given) + "\n"
