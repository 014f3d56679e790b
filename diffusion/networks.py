"""Conditional score networks s_theta(x, y, t).

Both kinds estimate sigma s_theta, which the loss (Eq. 45) compares with unit normals: `ScoreNetwork` is the paper's
(Appendix B), `PreconditionedNetwork` works in the coordinate that all formulations share and reaches the floor.

Every shape may have further axes in front, (..., B, d) for (B, d): a body of several networks' weights takes as many
batches at once.
"""

import math
from collections.abc import Callable
from typing import override

import torch
from torch import Tensor, nn

from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.integrators.integrator import Score

FEATURES = 4
"""Number of features by which a network is told the time or the noise level."""


def time_features(t: Tensor) -> Tensor:
    """Return [t - 1/2, cos 2 pi t, sin 2 pi t, -cos 4 pi t] (Eq. 59, from the authors' code), shape t.shape + (4,)."""
    angle = 2.0 * math.pi * t
    return torch.stack([t - 0.5, torch.cos(angle), torch.sin(angle), -torch.cos(2.0 * angle)], dim=-1)


def noise_features(noise_ratio: Tensor) -> Tensor:
    """Return [l / 4, sin(l / 2), cos(l / 2), sin l] with l = log(sigma/m), shape noise_ratio.shape + (4,)."""
    level = torch.log(noise_ratio)
    return torch.stack([level / 4.0, torch.sin(level / 2.0), torch.cos(level / 2.0), torch.sin(level)], dim=-1)


class ScoreNetwork(nn.Module):
    """A network F on (time features, x, y), scaled to a score: s_theta = F(x, y, t) / sigma(t).

    The division is ours: the paper does not say whether the last layer is the score itself. The score grows as
    1/sigma when t -> 0 and sigma s_theta = F is what the loss (Eq. 45) compares with unit normals, so F stays of
    order one.

    Args:
        formulation: whose sigma scales the output.
        body: F, from `FEATURES` + d + n inputs to d outputs; n = 0 gives the unconditional model.
    """

    def __init__(self, formulation: Formulation, body: nn.Module) -> None:
        super().__init__()
        self.formulation = formulation
        self.layers = body

    def noise_prediction(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Return sigma s_theta, the estimate of -z, at x (B, d) given y (B, n) at times t (B,), shape (B, d)."""
        return self.layers(torch.cat([time_features(t).to(x.dtype), x, y], dim=-1))

    def loss_weight(self, t: Tensor) -> Tensor:
        """Return the loss's weight of the squared error of sigma s_theta at times t (B,), shape (B,): 1 (Eq. 45)."""
        return torch.ones_like(t)

    def forward(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Return the score at x (B, d) given y (B, n) at times t (B,), shape (B, d)."""
        return self.noise_prediction(x, y, t) / self.formulation.sigma(t).to(x.dtype)[..., None]


class PreconditionedNetwork(ScoreNetwork):
    """A score network whose body F is scaled to a denoiser with input and target of unit variance.

    For data of unit variance, in x~ = x/m and sigma~ = sigma/m, the denoiser is

        D(x~) = x~ / (1 + sigma~^2) + sigma~ / (1 + sigma~^2)^(1/2) F(x~ / (1 + sigma~^2)^(1/2), y, sigma~),

    so that input and target of F have unit variance at every noise level (Karras et al. 2022, section 5). Then
    sigma s_theta = (D - x~) / sigma~ is

        sigma s_theta = F / (1 + sigma~^2)^(1/2) - sigma~ x~ / (1 + sigma~^2),

    which loses no digits as sigma~ vanishes. One network serves every formulation: t enters through sigma~ alone.
    """

    @override
    def noise_prediction(self, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        noise_ratio = self.formulation.noise_ratio(t)
        scale = torch.rsqrt(1.0 + noise_ratio.square())
        x = x * (scale / self.formulation.m(t)).to(x.dtype)[..., None]
        found = self.layers(torch.cat([noise_features(noise_ratio).to(x.dtype), x, y], dim=-1))
        return scale.to(x.dtype)[..., None] * found - (noise_ratio * scale).to(x.dtype)[..., None] * x

    @override
    def loss_weight(self, t: Tensor) -> Tensor:
        """Return 1 + sigma~^2 at times t (B,), so that the squared error of F counts the same at every noise level."""
        return 1.0 + self.formulation.noise_ratio(t).square()


def given(network: Callable[[Tensor, Tensor, Tensor], Tensor], y: Tensor) -> Score:
    """Return the score of a conditional network given measurements, as integrators ask for it.

    Args:
        network: score at x (B, d) given y (B, n) at times t (B,), such as a :class:`ScoreNetwork`, compiled or not.
        y: what the network is conditioned on, a row for each row of the batch, shape (B, n).
    """
    return lambda x, t, rows: network(x, y[rows], t)


def perceptron(size: int, out_size: int, hidden_layers: int, width: int) -> nn.Module:
    """Build the paper's network (Appendix B): a multilayer perceptron with ReLU, ``size`` to ``out_size`` numbers."""
    layers: list[nn.Module] = []
    for _ in range(hidden_layers):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, out_size))


class ResidualNetwork(nn.Module):
    """A perceptron with skip connections: h_1 = A_0 u, h_(i+1) = h_i + A_i silu(h_i), then A silu(h_L).

    The last layer starts at zero, so that an untrained denoiser is that of a Gaussian of unit variance.

    Args:
        size: numbers of an input u.
        out_size: numbers of an output.
        hidden_layers: L.
        width: numbers of every h_i.
    """

    def __init__(self, size: int, out_size: int, hidden_layers: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(size, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(hidden_layers - 1))
        self.last = nn.Linear(width, out_size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, u: Tensor) -> Tensor:
        """Return the network's values at u (B, size), shape (B, out_size)."""
        h = self.first(u)
        for block in self.blocks:
            h = h + block(nn.functional.silu(h))
        return self.last(nn.functional.silu(h))
