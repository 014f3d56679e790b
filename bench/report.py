"""The report of a run: tables and figures on one page of Markdown, and where they come from."""

import json

from bench import figures
from bench.config import Config
from bench.tables import flux_markdown, read_table, table2_markdown
from solvers.storage import provenance, write_text


def write_report(config: Config) -> str:
    """Write ``report.md``, ``provenance.json`` and the figures under ``results/<name>``.

    Returns:
        The tables, as they stand in the report.

    Raises:
        InputError: if a table or a sample file is missing.
    """
    parts = []
    if config.densities.problems:
        parts.append(table2_markdown(config, read_table(config.results / "table2.csv")))
    if config.flux.problems:
        parts.append(flux_markdown(config, read_table(config.results / "flux.csv")))
    tables = "\n".join(parts)
    pictures = "\n".join(f"![{path.stem}](figures/{path.name})\n" for path in figures.draw_all(config))
    made = provenance()
    head = (
        f"# fluxbench: `{config.name}`\n\nCommit {made['commit'] or 'unknown'}, {made['time']}, seed {config.seed}.\n"
    )
    write_text(config.results / "report.md", f"{head}\n{tables}\n## Figures\n\n{pictures}")
    record = {"provenance": made, "configuration": config.model_dump(exclude={"root"})}
    write_text(config.results / "provenance.json", json.dumps(record, indent=1) + "\n")
    return tables
