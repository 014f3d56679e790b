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
    table2, flux = rows(config)
    parts = []
    if table2:
        parts.append(tables.table2_markdown(config, table2))
    if flux:
        parts.append(tables.flux_markdown(config, flux))
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
    """Write ``table2.csv`` and ``flux.csv`` from the score files.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    table2, flux = rows(config)
    if table2:
        write_csv(config.results / "table2.csv", table2, tables.TABLE2_COLUMNS)
    if flux:
        write_csv(config.results / "flux.csv", flux, tables.FLUX_COLUMNS)


def rows(config: Config) -> tuple[list[Row], list[Row]]:
    """The scores of a run as rows of ``table2.csv`` and of ``flux.csv``.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    scored: list[Row] = []
    for cell, integrator in layout.sampled(config):
        expected = layout.expected_samples(config, cell, integrator)
        scored += scores.read_scores(layout.score_path(config, cell, integrator), expected)
    floors: list[Row] = []
    for problem in config.densities.problems:
        data = layout.data_specification(config, problem)
        expected = scores.floor_specification(data, config.densities.generated)
        floors += scores.read_rows(layout.floor_path(config, problem), expected)
    return scores.table2_rows(scored, floors), [row for row in scored if "segment" in row]
