"""Denoising score matching (Eqs 29-33, 42-45), and the distribution of times at which a network is trained."""

import math

import torch
from torch import Tensor, nn

from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.networks import ScoreNetwork


def denoising_score_matching(network: ScoreNetwork, x0: Tensor, y: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Return the mean over a batch of w |sigma s_theta(m x0 + sigma z, y, t) + z|^2, summed over components (Eq. 45).

    The minimiser is the score of p_t(x | y), because -z / sigma is the score of the kernel. The paper's weight w is 1;
    a preconditioned network has its own.

    Args:
        network: estimates sigma s_theta.
        x0: data, shape (..., B, d).
        y: measurements of the data, shape (..., B, n).
        t: times, shape (..., B), float64.
        z: standard normal numbers, shape (..., B, d).

    Returns:
        The loss of each batch, shape (...): a scalar for one batch.
    """
    m = network.formulation.m(t).to(x0.dtype)[..., None]
    sigma = network.formulation.sigma(t).to(x0.dtype)[..., None]
    error = (network.noise_prediction(m * x0 + sigma * z, y, t) + z).square().sum(dim=-1)
    return (network.loss_weight(t).to(x0.dtype) * error).mean(dim=-1)


class DenoisingLoss(nn.Module):
    """A module whose forward pass is :func:`denoising_score_matching`, which data-parallel training wraps."""

    def __init__(self, network: ScoreNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x0: Tensor, y: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Return the loss of each batch, shape (...); arguments as of :func:`denoising_score_matching`."""
        return denoising_score_matching(self.network, x0, y, t, z)


def log_normal_times(formulation: Formulation, u: Tensor, mean: float, std: float, noise_ratio_min: float) -> Tensor:
    """Map quantiles to times at which log(sigma/m) is normal, cut off at ``noise_ratio_min`` and at t = 1.

    The noise levels of training of Karras et al. (2022, Table 1).

    Args:
        formulation: gives the time of a noise ratio.
        u: uniform numbers in (0, 1), any shape, float64: the quantiles.
        mean: mean of log(sigma/m) before the cut.
        std: standard deviation of log(sigma/m) before the cut.
        noise_ratio_min: least sigma/m, above 0.

    Returns:
        Times in (0, 1], shape of u.
    """
    end = formulation.noise_ratio(torch.ones((), dtype=u.dtype, device=u.device))
    low = 0.5 * (1.0 + math.erf((math.log(noise_ratio_min) - mean) / (std * math.sqrt(2.0))))
    high = torch.special.ndtr((torch.log(end) - mean) / std)
    level = mean + std * torch.special.ndtri(low + u * (high - low))
    return formulation.time(torch.exp(level)).clamp(max=1.0)
