"""Write a run's tidy tables and its report: ``report.html`` to read, ``report.md`` for places that show Markdown."""

import json

from fluxbench.bench.report import page
from fluxbench.bench.report.pictures.style import save
from fluxbench.bench.report.sections import sections
from fluxbench.bench.report.tables import table2
from fluxbench.bench.run import Run
from fluxbench.bench.scoring import costs
from fluxbench.bench.scoring.table import table
from fluxbench.provenance import provenance
from fluxbench.storage import write_text


def write_report(run: Run, standalone: bool = False) -> str:
    """Write ``report.html``, ``report.md``, ``provenance.json`` and the figures under ``results/<name>``.

    Args:
        run: whose report it is.
        standalone: whether the page holds its pictures, as SVG that follows the reader's choice of light or dark;
            otherwise it refers to the PNG files beside it.

    Returns:
        What a person wants to see first, in Markdown.

    Raises:
        InputError: if a data set, a score or a sample file is missing or made otherwise.
    """
    made, title = provenance(), f"fluxbench: {run.config.name}"
    folder = run.results / "figures"
    for old in folder.glob("*.png"):  # of formulations that are no longer in the run
        old.unlink()
    first, text, parts = list[str](), [f"# {title}\n"], list[page.Part]()
    for section in sections(run, table(run), costs.table(run), made):
        text.append(section.text)
        if "|---" in section.text or section.title == "In short":
            first.append(section.text)
        figures = []
        for picture in section.pictures:  # one open at a time
            figures.append(page.Figure.of(picture, standalone))
            save(folder / f"{picture.name}.png", picture.figure)
            text.append(f"![{picture.name}](figures/{picture.name}.png)\n\n*{picture.caption}*\n")
        parts.append(page.Part.of(section, figures))
    write_text(run.results / "report.html", page.page(title, parts, standalone))
    write_text(run.results / "report.md", "\n".join(text))
    record = {"provenance": made, "configuration": run.config.model_dump(exclude={"root"})}
    write_text(run.results / "provenance.json", json.dumps(record, indent=1) + "\n")
    return "\n".join(first)


def write_tables(run: Run) -> None:
    """Write ``scores.csv``, of it ``table2.csv`` in the paper's terms, and ``costs.csv``.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    scores, spent = table(run), costs.table(run)
    densities = scores[scores["problem"].isin(run.config.densities.problems)]
    tables = {"scores": scores, "table2": table2.in_the_papers_terms(densities), "costs": spent}
    for name, rows in tables.items():
        if len(rows):
            write_text(run.results / f"{name}.csv", rows.to_csv(index=False))
