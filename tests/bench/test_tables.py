"""What the tables call things."""

import pytest

from fluxbench.bench.config import load
from fluxbench.bench.report.labels import formulation_label
from fluxbench.bench.report.tables import _schedules

LABELS = {"ve": "VE", "ve-linear": "ve-linear", "vp-k2": "VP (k = 2)", "vp-k0.5": "VP (k = 0.5)", "cosine": "cosine"}


@pytest.mark.parametrize("name", LABELS)
def test_every_formulation_keeps_its_name(name: str) -> None:
    row = {"formulation": name}
    assert formulation_label(row) == LABELS[name]
    assert formulation_label(row | {"amortised": "yes"}) == f"{LABELS[name]}, amortised"


def test_a_report_names_the_schedules_of_its_run() -> None:
    config = load("quick", ["training.formulations=['ve', 've-linear', 'vp-k1', 'vp-k4']"])
    text = _schedules(config, "tuned", "densities")
    for schedule in ("geometric VE schedule with sigma_max 120, linear VE schedule", "VP with linear beta;"):
        assert schedule in text
    assert "VP" not in _schedules(load("quick", ["training.formulations=['ve']"]), "tuned", "densities")
