"""Samplers: seconds for 500 posterior samples of a flux problem, by formulation, integrator and evaluations.

The network is that of recipe `tuned`, untrained: what it says does not count, but for the steps of Runge-Kutta, which
are those of a network that knows no more than the data's mean and covariance.
"""

from collections.abc import Callable

import torch
from fluxbench.diffusion.samplers import Samples, euler_maruyama, exponential_multistep, heun, runge_kutta45
from torch import Tensor

from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.recipes import RECIPES

FORMULATIONS = ("ve", "vp-k2", "vp-k4")
SAMPLES, SIZE = 500, 30


class _Sampler:
    """A network and the integrators that sample with it."""

    timeout, repeat = 300, 5

    def prepare(self, formulation: str) -> None:
        """Build the network."""
        torch.set_num_threads(1)
        recipe = RECIPES["tuned"]["flux"]
        torch.manual_seed(0)
        network = checkpoints.build_network(Cell("linear", formulation, 0.1, "tuned", 0, recipe), SIZE, SIZE)
        self.process = network.formulation
        self.end = self.process.sampling_end(recipe.t_min, recipe.noise_ratio_end)
        self.generator = torch.Generator().manual_seed(0)
        y = torch.randn(SAMPLES, SIZE, generator=self.generator)
        self.score: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, t, rows: network(x, y[rows], t)

    def normals(self) -> Tensor:
        """Random numbers for all samples."""
        return torch.randn(SAMPLES, SIZE, generator=self.generator)


class FixedSteps(_Sampler):
    """Integrators that are told how many evaluations to spend."""

    params = (FORMULATIONS, ("exponential, ODE", "exponential, SDE", "Heun", "Euler-Maruyama"), (16, 64))
    param_names = ("formulation", "integrator", "evaluations")

    def setup(self, formulation: str, integrator: str, evaluations: int) -> None:
        """Build the network."""
        self.prepare(formulation)

    @torch.no_grad()
    def draw(self, integrator: str, evaluations: int) -> Samples:
        """All samples."""
        score, process, normals, end = self.score, self.process, self.normals, self.end
        match integrator:
            case "exponential, ODE":
                return exponential_multistep(score, process, normals, 0.0, evaluations, end)
            case "exponential, SDE":
                return exponential_multistep(score, process, normals, 1.0, evaluations, end)
            case "Heun":
                return heun(score, process, normals, evaluations // 2, end)
            case _:
                return euler_maruyama(score, process, normals, 1.0, evaluations, end)

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

    @torch.no_grad()
    def draw(self, tolerance: float) -> Samples:
        """All samples."""
        return runge_kutta45(self.score, self.process, self.normals, self.end, tolerance)

    def time_sample(self, formulation: str, tolerance: float) -> None:
        """Seconds for all samples."""
        self.draw(tolerance)

    def track_evaluations(self, formulation: str, tolerance: float) -> float:
        """Network evaluations a sample."""
        return self.draw(tolerance).evaluations


Adaptive.track_evaluations.unit = "evaluations"  # type: ignore[attr-defined]
