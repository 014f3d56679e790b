"""Frames of the published scores, as the report gets them."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fluxbench.bench.report.labels import labelled

RESULTS = Path(__file__).parents[3] / "results"
TEXT = ["problem", "recipe", "amortised", "formulation", "sampler", "metric", "wall", "reference", "method"]

Frames = Callable[[str], pd.DataFrame]


def read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    for name in frame.columns.intersection(TEXT):
        frame[name] = frame[name].astype("str").where(frame[name].notna(), "")
    return frame.astype(dict.fromkeys(frame.columns.intersection(["segment", "steps"]), "Int64"))


@pytest.fixture(scope="session")
def published() -> Frames:
    """The labelled scores of a published run."""
    return lambda name: labelled(read(RESULTS / name / "scores.csv"))


@pytest.fixture(scope="session")
def published_costs() -> Frames:
    return lambda name: read(RESULTS / name / "costs.csv")


@pytest.fixture(scope="session")
def published_report() -> Callable[[str], list[str]]:
    """The lines of a published report, without blanks in empty cells."""
    return lambda name: compact((RESULTS / name / "report.md").read_text(encoding="utf-8"))


def compact(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]
