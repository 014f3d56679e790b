"""Write the report of a run: ``report.html`` to read, ``report.md`` with PNG pictures for places that show Markdown."""

import json

from fluxbench.bench import costs
from fluxbench.bench import score as scores
from fluxbench.bench.config import Config
from fluxbench.bench.report import page, tables
from fluxbench.bench.report.pictures.style import save
from fluxbench.bench.report.sections import sections
from fluxbench.provenance import provenance
from fluxbench.storage import write_csv, write_text


def write_report(config: Config) -> str:
    """Write ``report.html``, ``report.md``, ``provenance.json`` and the figures under ``results/<name>``.

    Returns:
        What a person wants to see first, in Markdown.

    Raises:
        InputError: if a data set, a score or a sample file is missing or made otherwise.
    """
    made, title = provenance(), f"fluxbench: {config.name}"
    folder = config.results / "figures"
    for old in folder.glob("*.png"):  # of formulations that are no longer in the run
        old.unlink()
    first, text, shown = list[str](), [f"# {title}\n"], list[dict[str, object]]()
    for part in sections(config, scores.table(config), made):
        text.append(part.text)
        if "|---" in part.text or part.title == "In short":
            first.append(part.text)
        pictures = []
        for each in part.pictures:  # one open at a time
            pictures.append(page.picture(each))
            save(folder / f"{each.name}.png", each.figure)
            text.append(f"![{each.name}](figures/{each.name}.png)\n\n*{each.caption}*\n")
        shown.append(page.section(part, pictures))
    write_text(config.results / "report.html", page.page(title, shown))
    write_text(config.results / "report.md", "\n".join(text))
    record = {"provenance": made, "configuration": config.model_dump(exclude={"root"})}
    write_text(config.results / "provenance.json", json.dumps(record, indent=1) + "\n")
    return "\n".join(first)


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
