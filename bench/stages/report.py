"""Stage ``report``: one page of HTML, the same in Markdown, and figures."""

from fluxbench.bench.report.write import write_report
from fluxbench.bench.run import Run
from fluxbench.bench.stages import say


def act(run: Run, standalone: bool = False) -> None:
    """Write the report of a run and print its tables.

    Args:
        run: which has been scored.
        standalone: whether the page holds its pictures, rather than referring to the files beside it.

    Raises:
        InputError: if a score or a sample file is missing or made otherwise.
    """
    say(write_report(run, standalone))
    say(f"Tables and figures: {run.results / 'report.html'}, report.md")
