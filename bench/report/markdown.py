"""Tables in Markdown, whose lines are as short as their cells."""

from collections.abc import Iterable, Sequence

from tabulate import DataRow, TableFormat, tabulate

ROW = DataRow("|", "|", "|")
COMPACT = TableFormat(
    lineabove=None,
    linebelowheader=lambda widths, alignments: "|" + "---|" * len(widths),
    linebetweenrows=None,
    linebelow=None,
    headerrow=ROW,
    datarow=ROW,
    padding=1,
    with_header_hide=None,
)
"""GitHub's tables without blanks that only align columns in an editor: a long cell lengthens no other line."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, without a line break at its end.

    Args:
        columns: names of the columns.
        rows: the cells of each row, as they are shown.
    """
    return tabulate(list(rows), list(columns), COMPACT, disable_numparse=True, stralign=None)
