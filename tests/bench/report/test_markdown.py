"""Tables in Markdown: what is in a cell is what is shown."""

from markdown_it import MarkdownIt

from fluxbench.bench.report.markdown import table


def test_cells_stay_as_they_are() -> None:
    """Neither numbers nor their digits are touched, and a long cell lengthens no other line."""
    rows = [["1.00", "a long cell, longer than its heading"], ["", "0012"], ["-1e5", "**0.5** ± 0.1"]]
    assert table(["x", "y"], rows).splitlines() == [
        "| x | y |",
        "|---|---|",
        "| 1.00 | a long cell, longer than its heading |",
        "|  | 0012 |",
        "| -1e5 | **0.5** ± 0.1 |",
    ]


def test_a_table_may_have_no_rows_or_no_headings() -> None:
    assert table(["x", "y"], []) == "| x | y |\n|---|---|"
    html = MarkdownIt("commonmark").enable("table").render(table(["", ""], {"run": "`quick`"}.items()))
    assert "<td>run</td>" in html
    assert "<td><code>quick</code></td>" in html
