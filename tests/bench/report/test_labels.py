"""What formulations, samplers and methods are called."""

import pandas as pd
import pytest

from fluxbench.bench.report.labels import formulation_label, labelled, method_title, sampler_label
from fluxbench.diffusion.integrators import INTEGRATORS

LABELS = {"ve": "VE", "ve-linear": "ve-linear", "vp-k2": "VP (k = 2)", "vp-k0.5": "VP (k = 0.5)", "cosine": "cosine"}


@pytest.mark.parametrize("name", LABELS)
def test_every_formulation_keeps_its_name(name: str) -> None:
    assert formulation_label(name, amortised=False) == LABELS[name]
    assert formulation_label(name, amortised=True) == f"{LABELS[name]}, amortised"


def test_an_unusual_alpha_is_said() -> None:
    assert [sampler_label(alpha) for alpha in (0.0, 0.5, 1.0)] == ["ODE", "SDE (alpha = 0.5)", "SDE"]


def test_every_method_has_a_title_that_can_begin_a_label() -> None:
    titles = [method_title(method) for method in INTEGRATORS]
    assert len(set(titles)) == len(INTEGRATORS)
    assert not [title for title in titles if title.startswith("the ")]


def test_labels_follow_their_rows() -> None:
    rows = {"formulation": ["ve", "vp-k1"], "amortised": ["", "yes"], "alpha": [1.0, 0.0]}
    found = labelled(pd.DataFrame(rows))
    assert list(found["formulation_label"]) == ["VE", "VP (k = 1), amortised"]
    assert list(found["sampler_label"]) == ["SDE", "ODE"]
