"""Samplers: seconds for 500 posterior samples of a flux problem, by formulation, integrator and evaluations.

The network is that of recipe `tuned`, untrained: what it says does not count, but for the steps of Runge-Kutta, which
are those of a network that knows no more than the data's mean and covariance.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fluxbench.diffusion.integrators import EulerMaruyama, Exponential, Heun, Integrator, RungeKutta, Samples
from fluxbench.diffusion.networks import given
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import RECIPES

FORMULATIONS = ("ve", "vp-k2", "vp-k4")
SAMPLES, SIZE = 500, 30
END = 2e-3
"""Ratio sigma/m at which sampling ends."""
METHODS: dict[str, Callable[[int], Integrator]] = {
    "exponential, ODE": partial(Exponential, 0.0),
    "exponential, SDE": partial(Exponential, 1.0),
    "Heun": lambda evaluations: Heun(0.0, evaluations // 2),
    "Euler-Maruyama": partial(EulerMaruyama, 1.0),
}
"""Integrators for a number of evaluations, under the names that the history has."""


class _Sampler:
    """A network that integrators sample."""

    timeout, repeat = 300, 5

    def prepare(self, formulation: str) -> None:
        """Build the network."""
        torch.set_num_threads(1)
        torch.manual_seed(0)
        cell = Cell("linear", formulation, 0.1, "tuned", 0, RECIPES["tuned"]["flux"])
        network = checkpoints.build_network(cell, SIZE, SIZE)
        self.process = network.formulation
        self.generator = torch.Generator().manual_seed(0)
        self.score = given(network, torch.randn(SAMPLES, SIZE, generator=self.generator))

    def normals(self) -> Tensor:
        """Random numbers for all samples."""
        return torch.randn(SAMPLES, SIZE, generator=self.generator)

    @torch.no_grad()
    def integrate(self, integrator: Integrator) -> Samples:
        """Draw all samples."""
        end = self.process.sampling_end(0.0, END)
        return integrator.integrate(self.score, self.process, self.normals, end)


class FixedSteps(_Sampler):
    """Integrators that are told how many evaluations to spend."""

    params = (FORMULATIONS, tuple(METHODS), (16, 64))
    param_names = ("formulation", "integrator", "evaluations")

    def setup(self, formulation: str, integrator: str, evaluations: int) -> None:
        """Build the network."""
        self.prepare(formulation)

    def draw(self, integrator: str, evaluations: int) -> Samples:
        """All samples."""
        return self.integrate(METHODS[integrator](evaluations))

    def time_sample(self, formulation: str, integrator: str, evaluations: int) -> None:
        """Seconds for all samples."""
        self.draw(integrator, evaluations)

    def peakmem_sample(self, formulation: str, integrator: str, evaluations: int) -> None:
        """Bytes at the most, of a process that samples."""
        self.draw(integrator, evaluations)


class Adaptive(_Sampler):
    """Runge-Kutta, which spends what its tolerance asks for."""

    params = (FORMULATIONS, (1e-3, 1e-5))
    param_names = ("formulation", "tolerance")

    def setup(self, formulation: str, tolerance: float) -> None:
        """Build the network."""
        self.prepare(formulation)

    def draw(self, tolerance: float) -> Samples:
        """All samples."""
        return self.integrate(RungeKutta(0.0, tolerance))

    def time_sample(self, formulation: str, tolerance: float) -> None:
        """Seconds for all samples."""
        self.draw(tolerance)

    def track_evaluations(self, formulation: str, tolerance: float) -> float:
        """Network evaluations a sample."""
        return self.draw(tolerance).evaluations


Adaptive.track_evaluations.unit = "evaluations"  # type: ignore[attr-defined]
