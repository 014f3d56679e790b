"""How a network is built and trained: everything but the formulation.

`paper` is Appendix B as restored. `tuned` is ours; what each of its ingredients is worth, `fluxbench run --profile
ablation` measures by leaving out one at a time.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from fluxbench.solvers.problem import FAMILIES


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of one family of problems.

    Attributes:
        hidden_layers: of the network.
        width: neurons a hidden layer.
        learning_rate: of Adam, at its highest.
        batch_size: samples a step.
        epochs: passes over the training split.
        sigma_max: of the variance exploding schedules.
        t_min: sampling does not go below this time.
        noise_ratio_min: the network is not trained where sigma/m is below this, in its units of x.
        noise_ratio_end: sampling does not go below the time at which sigma/m is this.
        network: a ReLU perceptron, or a residual network with SiLU.
        preconditioned: whether it is scaled to a denoiser in sigma/m rather than to a score in t.
        standardised: whether it sees standardised x and whitened y rather than the data set's own normalisation.
        times: at which the loss is asked for: drawn uniformly, or such that log(sigma/m) is normal, in strata.
        level_mean: mean of that normal.
        level_std: its standard deviation.
        schedule: of the learning rate: constant, or falling to 0 along half a cosine.
        average: decay a step of the exponential moving average of the weights, which is what is sampled with; 0 samples
            with the last weights.
    """

    hidden_layers: int
    width: int
    learning_rate: float
    batch_size: int
    epochs: int
    sigma_max: float
    t_min: float
    noise_ratio_min: float = 0.0
    noise_ratio_end: float = 0.0
    network: Literal["perceptron", "residual"] = "perceptron"
    preconditioned: bool = False
    standardised: bool = False
    times: Literal["uniform", "log-normal"] = "uniform"
    level_mean: float = 0.0
    level_std: float = 1.0
    schedule: Literal["constant", "cosine"] = "constant"
    average: float = 0.0

    def rate(self, share: float) -> float:
        """Return the learning rate when this share of the steps is done."""
        return self.learning_rate * (0.5 + 0.5 * math.cos(math.pi * share) if self.schedule == "cosine" else 1.0)


# Width, learning rate and t_min stand in the authors' code, not in the paper.
_PAPER = Recipe(2, 256, 1e-3, 1000, 10_000, sigma_max=12.0, t_min=1e-3)
_TUNED = Recipe(
    hidden_layers=4,
    width=256,
    learning_rate=2e-3,
    batch_size=1000,
    epochs=500,
    sigma_max=120.0,
    t_min=0.0,
    noise_ratio_min=2e-3,
    noise_ratio_end=1e-2,  # of what is left D takes all but a thousandth of a posterior's variance
    preconditioned=True,
    standardised=True,
    times="log-normal",
    level_mean=-0.5,
    level_std=1.4,
    schedule="cosine",
    average=0.999,
)

# Posteriors of the flux are narrow, a hundredth of the prior: more of the noise levels are low.
_TUNED_FLUX = replace(_TUNED, epochs=1_100, noise_ratio_end=2e-3, network="residual", level_mean=-1.0, level_std=1.6)

RECIPES: dict[str, dict[str, Recipe]] = {
    "paper": {"densities": _PAPER, "flux": replace(_PAPER, hidden_layers=4, sigma_max=5.0)},
    "tuned": {"densities": _TUNED, "flux": _TUNED_FLUX},
}
"""By name, then by family of problems: section 6.1 or sections 6.2 and 6.3."""

ABLATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "preconditioning": {family: {"preconditioned": False} for family in FAMILIES},
    "standardisation": {family: {"standardised": False} for family in FAMILIES},
    "log-normal-times": {family: {"times": "uniform"} for family in FAMILIES},
    "cosine": {family: {"schedule": "constant"} for family in FAMILIES},
    "average": {family: {"average": 0.0} for family in FAMILIES},
    "depth": {family: {"hidden_layers": 2} for family in FAMILIES},
    "network": {"densities": {"network": "residual"}, "flux": {"network": "perceptron"}},
}
"""What `tuned` becomes when it goes without one of its ingredients: recipe ``tuned-without-<ingredient>``."""

RECIPES |= {
    f"tuned-without-{name}": {family: replace(RECIPES["tuned"][family], **changes[family]) for family in FAMILIES}
    for name, changes in ABLATIONS.items()
}
