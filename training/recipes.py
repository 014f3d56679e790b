"""How a network is built and trained: everything of Appendix B that is not the formulation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of one kind of problem.

    Attributes:
        hidden_layers: of the score network.
        width: neurons a hidden layer.
        learning_rate: of Adam, constant.
        batch_size: samples a step.
        epochs: passes over the training split.
        sigma_max: of the variance exploding schedule.
        t_min: time at which sampling stops; training draws t from the whole of (0, 1).
    """

    hidden_layers: int
    width: int
    learning_rate: float
    batch_size: int
    epochs: int
    sigma_max: float
    t_min: float


RECIPES: dict[str, dict[str, Recipe]] = {
    # Appendix B as restored: width, learning rate and t_min stand in the authors' code, not in the paper.
    "paper": {
        "densities": Recipe(2, 256, 1e-3, 1000, 10_000, sigma_max=12.0, t_min=1e-3),
        "flux": Recipe(4, 256, 1e-3, 1000, 10_000, sigma_max=5.0, t_min=1e-3),
    },
}
"""By name, then by kind of problem: section 6.1 or sections 6.2 and 6.3."""
