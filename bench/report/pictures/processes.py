"""The forward processes: sigma against m and against t (Fig 1)."""

import numpy as np
import torch
from matplotlib import pyplot as plt

from fluxbench.bench.report.pictures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, Picture, legend
from fluxbench.diffusion.formulations import VarianceExploding, VariancePreserving

ORDERS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Orders k of the VP processes in the figure."""


def figure1() -> Picture:
    """Draw sigma against m, and against t, for VP of several orders; VE for comparison."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
    t = torch.linspace(0.0, 1.0, 401, dtype=torch.float64)
    for k, colour in zip(ORDERS, (SKY, BLUE, ORANGE, GREEN, PURPLE), strict=True):
        process = VariancePreserving(k=k)
        m, sigma = process.m(t).numpy(), process.sigma(t).numpy()
        label = f"VP, k = {k:g}" + (" (Song et al.)" if k == 2.0 else "")
        left.plot(m, sigma, color=colour, label=label)
        right.plot(t, sigma, color=colour)
    exploding = VarianceExploding(12.0)
    inside = exploding.sigma(t).numpy() <= 1.2
    left.plot(np.ones(inside.sum()), exploding.sigma(t).numpy()[inside], color=GREY, ls=":", label="VE, geometric")
    right.plot(t[inside], exploding.sigma(t).numpy()[inside], color=GREY, ls=":")
    left.set(xlabel="m", ylabel="sigma", ylim=(0.0, 1.25))
    right.set(xlabel="t", ylim=(0.0, 1.25))
    legend(figure, ncols=6)
    caption = (
        "Kernel N(m x_0, sigma^2 I) of the forward processes: sigma = (1 - m^k)^(1/k) for variance preserving ones of "
        "order k (Fig 1)."
    )
    return Picture("processes", figure, caption)
