"""How much work a reference posterior is worth: chains, their length, and what a measurement must reach."""

from typing import Any

BLOCK = 25
"""Measurements a block: two minutes' work for the nonlinear problem."""
CHAINS, STATES = 8, 500
WARM_UP = 4
"""The share of states that are thrown away at first: one for so many that are kept."""
STEP, LONGEST = 0.25, 40
"""Of the leapfrog: its step, and how many a trajectory has at most."""
FARTHEST = 12.0
"""Standard deviations of the prior: a trajectory that ends farther away has lost its way, and is not worth a solve."""
LONGER = 2
ATTEMPTS = 4
"""Measurements that fall short are sampled again by chains LONGER times as long, up to so often."""
R_HAT, EFFECTIVE = 1.01, 1_000
"""What a measurement is to reach in every component."""
LARGEST_REFERENCE = CHAINS * STATES // 2
"""Samples of a reference at most: the states of half of the chains."""


def specification() -> dict[str, Any]:
    """Return all of it, as JSON has it."""
    chains = {"chains": CHAINS, "states": STATES, "step": STEP, "longest": LONGEST, "farthest": FARTHEST}
    repeats = {"warm_up": WARM_UP, "longer": LONGER, "attempts": ATTEMPTS}
    return chains | repeats | {"r_hat": R_HAT, "effective": EFFECTIVE, "block": BLOCK}
