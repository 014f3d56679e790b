"""What the tables call things."""

import pytest

from bench.score import formulation_columns, formulation_name
from bench.tables import formulation_label

LABELS = {"ve": "VE", "ve-linear": "ve-linear", "vp-k2": "VP (k = 2)", "vp-k0.5": "VP (k = 0.5)", "cosine": "cosine"}


@pytest.mark.parametrize("name", LABELS)
def test_every_formulation_keeps_its_name(name: str) -> None:
    row = formulation_columns(name)
    assert formulation_name(row) == name
    assert formulation_label(row) == LABELS[name]
    assert formulation_label(row | {"amortised": "yes"}) == f"{LABELS[name]}, amortised"
