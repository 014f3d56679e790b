"""What a person reads of a run: tables and figures on one page of Markdown, and where they come from."""

import json

from bench import figures, layout, tables
from bench import score as scores
from bench.config import Config
from solvers.storage import Row, provenance, write_csv, write_text


def write_report(config: Config) -> str:
    """Write ``report.md``, ``provenance.json`` and the figures under ``results/<name>``.

    Returns:
        The tables, as they stand in the report.

    Raises:
        InputError: if a score or a sample file is missing or made otherwise.
    """
    made = provenance()
    rows = scores.table(config)
    table2, flux = _of(rows, config.densities.problems), _of(rows, config.flux.problems)
    parts = []
    if table2:
        parts.append(tables.table2_markdown(config, table2))
    if flux:
        parts.append(tables.flux_markdown(config, flux))
        if layout.referenced(config):
            parts.append(tables.posterior_markdown(config, flux))
    if len(config.training.recipes) > 1:
        parts.append(tables.recipes_markdown(config, table2, flux))
    text = "\n".join(parts)
    pictures = "\n".join(f"![{path.stem}](figures/{path.name})\n" for path in figures.draw_all(config, flux))
    head = (
        f"# fluxbench: `{config.name}`\n\nSeed {config.seed}; commit, versions and configuration: `provenance.json`.\n"
    )
    write_text(config.results / "report.md", f"{head}\n{text}\n## Figures\n\n{pictures}")
    record = {"provenance": made, "configuration": config.model_dump(exclude={"root"})}
    write_text(config.results / "provenance.json", json.dumps(record, indent=1) + "\n")
    return text


def write_tables(config: Config) -> None:
    """Write ``scores.csv``, and of it ``table2.csv`` in the paper's terms.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    rows = scores.table(config)
    write_csv(config.results / "scores.csv", rows, scores.COLUMNS)
    table2 = tables.table2_rows(_of(rows, config.densities.problems))
    if table2:
        write_csv(config.results / "table2.csv", table2, tables.TABLE2_COLUMNS)


def _of(rows: list[Row], problems: list[str]) -> list[Row]:
    return [row for row in rows if row["problem"] in problems]
