"""Write the report of a run: ``report.html`` to read, ``report.md`` with PNG pictures for places that show Markdown."""

import json

from bench import costs
from bench import score as scores
from bench.config import Config
from bench.pictures.style import save
from bench.report import tables
from bench.report.page import page
from bench.report.sections import sections
from solvers.storage import provenance, write_csv, write_text


def write_report(config: Config) -> str:
    """Write ``report.html``, ``report.md``, ``provenance.json`` and the figures under ``results/<name>``.

    Returns:
        What a person wants to see first, in Markdown.

    Raises:
        InputError: if a data set, a score or a sample file is missing or made otherwise.
    """
    made = provenance()
    parts = list(sections(config, scores.table(config), made))
    title = f"fluxbench: {config.name}"
    write_text(config.results / "report.html", page(title, parts))
    folder = config.results / "figures"
    for old in folder.glob("*.png"):  # of formulations that are no longer in the run
        old.unlink()
    text = [f"# {title}\n"]
    for part in parts:
        text.append(part.text)
        for picture in part.pictures:
            save(folder / f"{picture.name}.png", picture.figure)
            text.append(f"![{picture.name}](figures/{picture.name}.png)\n\n*{picture.caption}*\n")
    write_text(config.results / "report.md", "\n".join(text))
    record = {"provenance": made, "configuration": config.model_dump(exclude={"root"})}
    write_text(config.results / "provenance.json", json.dumps(record, indent=1) + "\n")
    return "\n".join(part.text for part in parts if "|---" in part.text or part.title == "In short")


def write_tables(config: Config) -> None:
    """Write ``scores.csv``, of it ``table2.csv`` in the paper's terms, and ``costs.csv``.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    rows = scores.table(config)
    write_csv(config.results / "scores.csv", rows, scores.COLUMNS)
    table2 = tables.table2_rows([row for row in rows if row["problem"] in config.densities.problems])
    if table2:
        write_csv(config.results / "table2.csv", table2, tables.TABLE2_COLUMNS)
    if costs.studied(config):
        write_csv(config.results / "costs.csv", costs.table(config), costs.COLUMNS)
