"""Conditional score networks s_theta(x, y, t) (Appendix B)."""

import math

import torch
from torch import Tensor, nn

from diffusion.formulations import Formulation

TIME_FEATURES = 4


def time_features(t: Tensor) -> Tensor:
    """[t - 1/2, cos 2 pi t, sin 2 pi t, -cos 4 pi t] (Eq. 59, from the authors' code), shape t.shape + (4,)."""
    angle = 2.0 * math.pi * t
    return torch.stack([t - 0.5, torch.cos(angle), torch.sin(angle), -torch.cos(2.0 * angle)], dim=-1)


class ScoreNetwork(nn.Module):
    """A ReLU multilayer perceptron F on (time features, x, y), scaled to a score: s_theta = F(x, y, t) / sigma(t).

    The division is ours: the paper does not say whether the last layer is the score itself. The score grows as
    1/sigma when t -> 0 and sigma s_theta = F is what the loss (Eq. 45) compares with unit normals, so F stays of
    order one.

    Args:
        formulation: whose sigma scales the output.
        x_size: dimension d of the inferred vector.
        y_size: dimension n of the measurement vector; 0 gives the unconditional model.
        hidden_layers: number of hidden layers.
        width: neurons in each of them.
    """

    def __init__(self, formulation: Formulation, x_size: int, y_size: int, hidden_layers: int, width: int) -> None:
        super().__init__()
        self.formulation = formulation
        layers: list[nn.Module] = []
        size = TIME_FEATURES + x_size + y_size
        for _ in range(hidden_layers):
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, x_size))

    def noise_prediction(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Sigma s_theta, the network's estimate of -z; arguments and shape as in :meth:`forward`."""
        return self.layers(torch.cat([time_features(t).to(x.dtype), x, y], dim=-1))

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Score at x (B, d) given y (B, n) at times t (B,), shape (B, d)."""
        return self.noise_prediction(x, y, t) / self.formulation.sigma(t).to(x.dtype)[:, None]
