"""Numbers that the paper printed (Dasgupta et al., arXiv 2504.07437)."""

TABLE2: dict[tuple[str, str, str], float] = {
    ("ve", "ODE", "tanh"): 0.051,
    ("ve", "ODE", "bimodal"): 0.059,
    ("ve", "ODE", "spiral"): 0.047,
    ("ve", "SDE", "tanh"): 0.040,
    ("ve", "SDE", "bimodal"): 0.043,
    ("ve", "SDE", "spiral"): 0.052,
    ("vp-k2", "ODE", "tanh"): 0.046,
    ("vp-k2", "ODE", "bimodal"): 0.046,
    ("vp-k2", "ODE", "spiral"): 0.045,
    ("vp-k2", "SDE", "tanh"): 0.041,
    ("vp-k2", "SDE", "bimodal"): 0.044,
    ("vp-k2", "SDE", "spiral"): 0.041,
}
"""Table 2: regularised optimal transport distance by (formulation, sampler, data set). The ground cost is not stated;
its size fits |x - x'|, the reading called S1."""
