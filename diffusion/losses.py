"""Denoising score matching (Eqs 29-33, 42-45)."""

from torch import Tensor

from diffusion.networks import ScoreNetwork


def denoising_score_matching(network: ScoreNetwork, x0: Tensor, y: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Mean over the batch of |sigma s_theta(m x0 + sigma z, y, t) + z|^2, summed over components (Eq. 45).

    The minimiser is the score of p_t(x | y), because -z / sigma is the score of the kernel.

    Args:
        network: estimates sigma s_theta.
        x0: data, shape (B, d).
        y: their measurements, shape (B, n).
        t: times, shape (B,), float64.
        z: standard normal numbers, shape (B, d).

    Returns:
        The loss, a scalar.
    """
    m = network.formulation.m(t).to(x0.dtype)[:, None]
    sigma = network.formulation.sigma(t).to(x0.dtype)[:, None]
    return (network.noise_prediction(m * x0 + sigma * z, y, t) + z).square().sum(dim=1).mean()
