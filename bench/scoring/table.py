"""The scores of a run as one table: every number beside what bounds it."""

from typing import Any

import pandas as pd

from fluxbench.bench.files import scores
from fluxbench.bench.published import PRINTED, TABLE2
from fluxbench.bench.run import Run
from fluxbench.storage import Row

BOUNDS = ("floor", "floor_error", "prior", "linear_gaussian")


def table(run: Run) -> pd.DataFrame:
    """Return every score of a run beside its bounds, with the columns of ``scores.csv``.

    Raises:
        InputError: if a score file is missing or made otherwise.
    """
    known = {where: _bounds(run, *where) for where in run.scored}
    rows: list[Row] = []
    for each in run.sample_sets:
        beside = known[each.problem, each.noise]
        for row in scores.read(run.scores_path(each), run.scores_specification(each)):
            where = (each.cell.formulation, each.integrator.alpha, each.problem)
            paper = TABLE2.get(where) if row["metric"] in PRINTED else None
            rows.append(row | beside.get(_number(row), {}) | {"value_error": row["error"], "paper": paper})
    return scores.frame(rows)


def _bounds(run: Run, problem: str, noise: float) -> dict[tuple[Any, ...], Row]:
    """Bounds by the number that they stand beside."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in scores.read(run.bounds_path(problem, noise), run.bounds_specification(problem, noise)):
        beside = found.setdefault(_number(row), {})
        beside[row["bound"]] = row["value"]
        if row["bound"] == "floor":
            beside["floor_error"] = row["error"]
    return found


def _number(row: Row) -> tuple[Any, ...]:
    """What tells a row from the others of its file."""
    return row["metric"], row.get("wall"), row.get("segment")
