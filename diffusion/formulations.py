"""Forward processes, which turn data into noise (sections 2.1-2.3, Table 1, Appendix A).

Every formulation is one instance of the drift-diffusion equation (Eq. 17)

    dp/dt = (beta/2) div(x p) + (g2/2) Lap p,    p_0 = the data's density,    0 <= t <= T = 1,

whose kernel is Gaussian, p_t(x | x_0) = N(x; m x_0, sigma^2 I), so that x_t = m x_0 + sigma z with z ~ N(0, I).
Inserting the kernel gives the two relations that a formulation must satisfy:

    dm/dt = -(beta/2) m,        d(sigma^2)/dt = -beta sigma^2 + g2.

A formulation is a small frozen dataclass of a few functions of time. They accept tensors of any shape and dtype; times
are best kept in float64.

**One coordinate for all of them.** The kernel of x~ = x/m is N(x_0, sigma~^2 I) with sigma~ = sigma/m: the noise
relative to the signal. Densities of x~ at equal sigma~ are the same whatever the formulation, and so are the reverse
processes between them: formulations are different clocks on one process. What sets them apart in practice is how they
spread time over sigma~, in training and in sampling.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, override

from fluxbench.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")


class Formulation(ABC):
    """A forward process: m, sigma, beta and g2 as functions of the time t in [0, 1], of any shape, which they keep."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in configurations, files and tables, from which :func:`formulation` makes the same process again."""

    @abstractmethod
    def m(self, t: Tensor) -> Tensor:
        """Return m, the factor of the data in the kernel's mean m x_0, at times t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Return sigma, the standard deviation of the kernel, at times t."""

    @abstractmethod
    def beta(self, t: Tensor) -> Tensor:
        """Return beta, twice the rate of the drift -(beta/2) x, at times t."""

    @abstractmethod
    def g2(self, t: Tensor) -> Tensor:
        """Return g2, the squared coefficient of the noise dW (the paper's gamma), at times t."""

    @abstractmethod
    def noise_ratio(self, t: Tensor) -> Tensor:
        """Return sigma~ = sigma/m at times t, increasing from 0 and exact where sigma is small."""

    @abstractmethod
    def time(self, noise_ratio: Tensor) -> Tensor:
        """Return the times at which sigma/m has the given values, shape as given; above 1 beyond the process's end."""

    @property
    def terminal_std(self) -> float:
        """Standard deviation of the Gaussian from which sampling starts: sigma(1).

        For the variance preserving family Table 1 has N(0, I), the limit of m -> 0. At t = 1 this schedule leaves m =
        0.023, hence sigma(1) = 1.000 for k = 2 but 0.977 for k = 1, and starting from 1 would be that far off.
        """
        return self.sigma(torch.ones((), dtype=torch.float64)).item()

    def probability_flow(self, x: Tensor, t: Tensor, score: Tensor) -> Tensor:
        """Return dx/dt = -(beta/2) x - (g2/2) s of the probability-flow ODE (Eq. 28), shape (B, d).

        Args:
            x: shape (B, d).
            t: times, shape (B,).
            score: s at x and t, shape (B, d).
        """
        half_beta, half_g2 = 0.5 * self.beta(t), 0.5 * self.g2(t)
        return -half_beta[:, None] * x - half_g2[:, None] * score

    def sampling_end(self, t_min: float, noise_ratio_min: float) -> float:
        """Return the time at which sampling stops, at least ``t_min`` and with sigma/m at least ``noise_ratio_min``."""
        return max(t_min, self.time(torch.tensor(noise_ratio_min, dtype=torch.float64)).item())


@dataclass(frozen=True)
class VarianceExploding(Formulation):
    """The variance exploding process: beta = 0 and g2 given, hence m = 1 and sigma^2 = int_0^t g2 (section 2.1).

    The "geometric" schedule of the paper's Appendix B, as the authors' code has it: g2 = sigma_max^(2t), hence
    sigma^2 = (sigma_max^(2t) - 1) / (2 ln sigma_max).

    Attributes:
        sigma_max: base of the schedule, above 1; sigma(1) is not sigma_max but about sigma_max / sqrt(2 ln sigma_max).
    """

    sigma_max: float

    def __post_init__(self) -> None:
        if not self.sigma_max > 1.0:
            raise ValueError(f"sigma_max must be above 1, found {self.sigma_max}")

    @property
    @override
    def name(self) -> str:
        return "ve"

    @override
    def m(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    @override
    def sigma(self, t: Tensor) -> Tensor:
        rate = 2.0 * math.log(self.sigma_max)
        return torch.sqrt(torch.expm1(rate * t) / rate)

    @override
    def beta(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    @override
    def g2(self, t: Tensor) -> Tensor:
        return torch.exp(2.0 * math.log(self.sigma_max) * t)

    @override
    def noise_ratio(self, t: Tensor) -> Tensor:
        return self.sigma(t)

    @override
    def time(self, noise_ratio: Tensor) -> Tensor:
        rate = 2.0 * math.log(self.sigma_max)
        return torch.log1p(rate * noise_ratio.square()) / rate


@dataclass(frozen=True)
class LinearVarianceExploding(Formulation):
    """The variance exploding process with sigma = sigma_max t: beta = 0, hence m = 1 and g2 = 2 sigma_max^2 t.

    The schedule of Karras et al. (2022, Table 1).

    Attributes:
        sigma_max: sigma at the end, above 0.
    """

    sigma_max: float

    def __post_init__(self) -> None:
        if not self.sigma_max > 0.0:
            raise ValueError(f"sigma_max must be above 0, found {self.sigma_max}")

    @property
    @override
    def name(self) -> str:
        return "ve-linear"

    @override
    def m(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    @override
    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_max * t

    @override
    def beta(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    @override
    def g2(self, t: Tensor) -> Tensor:
        return 2.0 * self.sigma_max**2 * t

    @override
    def noise_ratio(self, t: Tensor) -> Tensor:
        return self.sigma(t)

    @override
    def time(self, noise_ratio: Tensor) -> Tensor:
        return noise_ratio / self.sigma_max


@dataclass(frozen=True)
class VariancePreserving(Formulation):
    """The paper's variance preserving family of order k > 0 (Eqs 13-18); k = 2 is the process of Song et al. (2021).

    The substitution x -> m x in the variance exploding process with m = (1 + sigma_VE^k)^(-1/k) keeps the variance
    bounded: sigma = m sigma_VE = (1 - m^k)^(1/k) tends to 1 as m tends to 0. Written in terms of beta,

        m = exp(-1/2 int_0^t beta),    sigma = (1 - m^k)^(1/k),    g2 = beta (1 - m^k)^(2/k - 1).

    beta grows linearly from beta_min to beta_max. 1 - m^k is computed by expm1, exact as t -> 0. There g2 diverges
    (integrably) for k > 2 and vanishes for k < 2.

    Attributes:
        k: order.
        beta_min: beta at t = 0, above 0.
        beta_max: beta at t = 1.
    """

    k: float = 2.0
    beta_min: float = 0.001
    beta_max: float = 15.0

    def __post_init__(self) -> None:
        if not self.k > 0.0:
            raise ValueError(f"k must be positive, found {self.k}")
        if not 0.0 < self.beta_min <= self.beta_max:
            raise ValueError(f"0 < beta_min <= beta_max must hold, found {self.beta_min} and {self.beta_max}")

    @property
    @override
    def name(self) -> str:
        return f"vp-k{self.k:g}"

    def _log_m(self, t: Tensor) -> Tensor:
        """Return log m = -1/2 int_0^t beta."""
        return -0.5 * t * (self.beta_min + 0.5 * t * (self.beta_max - self.beta_min))

    def _one_minus_mk(self, t: Tensor) -> Tensor:
        """Return 1 - m^k, exact as t vanishes."""
        return -torch.expm1(self.k * self._log_m(t))

    @override
    def m(self, t: Tensor) -> Tensor:
        return torch.exp(self._log_m(t))

    @override
    def sigma(self, t: Tensor) -> Tensor:
        return self._one_minus_mk(t) ** (1.0 / self.k)

    @override
    def beta(self, t: Tensor) -> Tensor:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    @override
    def g2(self, t: Tensor) -> Tensor:
        return self.beta(t) * self._one_minus_mk(t) ** (2.0 / self.k - 1.0)

    @override
    def noise_ratio(self, t: Tensor) -> Tensor:
        return torch.expm1(-self.k * self._log_m(t)) ** (1.0 / self.k)

    @override
    def time(self, noise_ratio: Tensor) -> Tensor:
        # -log m = log(1 + sigma~^k)/k = (b + a t) t, the root in the form that loses no digits for small t.
        a, b = 0.25 * (self.beta_max - self.beta_min), 0.5 * self.beta_min
        minus_log_m = torch.log1p(noise_ratio**self.k) / self.k
        return 2.0 * minus_log_m / (b + torch.sqrt(b**2 + 4.0 * a * minus_log_m))


FORMULATIONS: dict[str, Callable[[float], Formulation]] = {
    "ve": VarianceExploding,
    "ve-linear": LinearVarianceExploding,
}
"""By name, from sigma_max; a formulation of one's own is added here. ``vp-k<order>`` are known for every order."""


def formulation(name: str, sigma_max: float) -> Formulation:
    """Return the formulation called ``name``: one of ``FORMULATIONS``, or ``"vp-k2"`` and so on for every order k > 0.

    Args:
        name: as in :attr:`Formulation.name`.
        sigma_max: for the variance exploding schedules; the paper sets it by problem.

    Raises:
        ValueError: if no formulation has that name.
    """
    if name in FORMULATIONS:
        return FORMULATIONS[name](sigma_max)
    if match := re.fullmatch(r"vp-k(\d+(?:\.\d+)?)", name):
        return VariancePreserving(k=float(match[1]))
    known = ", ".join(map(repr, FORMULATIONS))
    raise ValueError(f"no formulation is called {name!r}; there are {known} and 'vp-k<order>', such as 'vp-k2'")
