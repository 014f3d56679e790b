"""What networks and samplers are called in tables and pictures."""

import pandas as pd

from fluxbench.diffusion.integrators import INTEGRATORS

LABELS = ["formulation_label", "sampler_label"]
"""Columns that :func:`labelled` adds."""


def formulation_label(formulation: str, amortised: bool) -> str:
    """Return a formulation as it is printed: "VE", "VP (k = 2)", else its own name.

    Args:
        formulation: its name, such as ``"ve"`` or ``"vp-k2"``.
        amortised: whether one network serves all noise levels, which the label says too.
    """
    label = "VE" if formulation == "ve" else formulation
    if formulation.startswith("vp-k"):
        label = f"VP (k = {formulation.removeprefix('vp-k')})"
    return f"{label}, amortised" if amortised else label


def sampler_label(alpha: float) -> str:
    """Return "ODE" for alpha = 0 and "SDE" for alpha = 1; the label of any other SDE says its alpha."""
    return {0.0: "ODE", 1.0: "SDE"}.get(alpha, f"SDE (alpha = {alpha:g})")


def method_title(method: str) -> str:
    """Return the title of an integrator's method, such as "Heun's method" for ``"heun"``."""
    return INTEGRATORS[method].title.removeprefix("the ")


def labelled(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores with the labels of their formulation and of their sampler in two more columns.

    Args:
        scores: with the columns ``formulation``, ``amortised`` ("yes" or "") and ``alpha``.
    """
    networks = zip(scores["formulation"], scores["amortised"] == "yes", strict=True)
    return scores.assign(
        formulation_label=[formulation_label(name, amortised) for name, amortised in networks],
        sampler_label=[sampler_label(alpha) for alpha in scores["alpha"]],
    )
