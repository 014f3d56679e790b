"""What formulations and samplers are called in tables and pictures, from rows of the tidy table."""

from fluxbench.storage import Row


def formulation_label(row: Row) -> str:
    """VE, VP of an order, or a formulation's own name, and whether one network serves all noise levels."""
    name = "VE" if row["formulation"] == "ve" else row["formulation"]
    if name.startswith("vp-k"):
        name = f"VP (k = {name.removeprefix('vp-k')})"
    return f"{name}, amortised" if row.get("amortised") else name


def sampler_label(row: Row) -> str:
    """ODE, SDE, or an SDE of another alpha than 1."""
    return str(row["sampler"]) if row["alpha"] in {0.0, 1.0} else f"SDE (alpha = {row['alpha']:g})"
