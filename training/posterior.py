"""What a trained network is to everything else: a posterior p(x | y) that can be sampled and evaluated.

A :class:`Posterior` owns the network, the normalisations of x and y, what the network is conditioned on, and the time
at which sampling ends:

    y, omega --scale, whiten--> condition --network, integrator--> x of the network --restore--> x in physical units.

    posterior = Posterior.load("runs/quick/cells/linear_vp-k2_noise-0.1_tuned_seed-0.pt")
    x = posterior.sample(y, 1_000)
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from fluxbench import streams
from fluxbench.arrays import Floats, Mask, Reals
from fluxbench.diffusion.formulations import Formulation
from fluxbench.diffusion.integrators import Exponential, Integrator
from fluxbench.diffusion.integrators.integrator import Score
from fluxbench.diffusion.likelihood import log_density
from fluxbench.diffusion.networks import ScoreNetwork, given
from fluxbench.errors import InputError
from fluxbench.solvers.data.measurements import Measured, MinMax, as_measured
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.normalisation import Normalisation

ROWS = {"cpu": 10_000, "cuda": 1_000_000}
"""Samples integrated at once, by device: enough to keep it busy, little enough memory."""
DEFAULT = Exponential(0.0, 16)
"""The probability-flow ODE in sixteen evaluations."""


@dataclass(frozen=True)
class Posterior:
    """The posterior of a trained cell.

    Attributes:
        cell: which was trained.
        network: s_theta(x, y, t), with its trained weights.
        x_scale: normalisation of the inferred vector.
        y_scale: normalisation of the measurement vector.
        normalisation: from these to what the network sees.
        x_size: dimension d of the inferred vector.
        y_size: number n of readings in a measurement.
        masked: whether the network is told which sensors are on.
    """

    cell: Cell
    network: ScoreNetwork
    x_scale: MinMax
    y_scale: MinMax
    normalisation: Normalisation
    x_size: int
    y_size: int
    masked: bool

    @classmethod
    def load(cls, path: Path | str, expected: Mapping[str, Any] | None = None, device: str = "cpu") -> Self:
        """Read the posterior from a checkpoint whose training is done.

        Args:
            path: of the checkpoint.
            expected: the specification that it must carry; None for any.
            device: where the network is evaluated, ``"cpu"`` or ``"cuda"``.

        Raises:
            InputError: if the file is absent, damaged, unfinished, or made with another configuration.
        """
        saved = checkpoints.load_trained(Path(path), expected)
        network = saved.network(torch.device(device))
        sizes = (saved.x_size, saved.measurement_size)
        return cls(saved.cell, network, saved.x_scale, saved.y_scale, saved.normalisation, *sizes, saved.masked)

    @property
    def formulation(self) -> Formulation:
        """The forward process."""
        return self.network.formulation

    @property
    def t_min(self) -> float:
        """Time at which sampling ends."""
        recipe = self.cell.hyperparameters
        return self.formulation.sampling_end(recipe.t_min, recipe.noise_ratio_end)

    @property
    def device(self) -> torch.device:
        """Device on which the network is evaluated."""
        return next(self.network.parameters()).device

    def sample(
        self,
        y: Reals,
        count: int = 1_000,
        integrator: Integrator = DEFAULT,
        seed: int = 0,
        mask: Mask | None = None,
        noise: float | None = None,
    ) -> Floats:
        """Draw posterior samples for readings of one's own.

        Args:
            y: readings in physical units, shape (n,) or (M, n).
            count: samples S for each measurement.
            integrator: of the reverse process.
            seed: of the random numbers; each measurement has a stream of its own.
            mask: True where a sensor is on, shape as y; None if all are.
            noise: standard deviation in normalised units, for a network that serves a range of levels.

        Returns:
            Samples in physical units, shape (S, d) or (M, S, d).

        Raises:
            InputError: if the readings do not fit the network.
        """
        readings = np.asarray(y, dtype=np.float64)
        measured = self.observe(np.atleast_2d(readings), None if mask is None else np.atleast_2d(mask), noise)
        x = self.draw(measured, count, integrator, seed)[0].astype(np.float64)
        return x[0] if readings.ndim == 1 else x

    def log_prob(self, x: Reals, y: Reals, mask: Mask | None = None, noise: float | None = None) -> Floats:
        """Return the natural logarithm of the model's density, along its probability-flow ODE.

        It is that at the time where sampling ends, where sigma/m is hardly above 0. Its divergence is exact, at the
        price of d derivatives an evaluation.

        Args:
            x: where, in physical units, shape (S, d) or (M, S, d).
            y: readings in physical units, shape (n,) or (M, n).
            mask: as of :meth:`sample`.
            noise: as of :meth:`sample`.

        Returns:
            Shape (S,) or (M, S), in units of x to the power -d.

        Raises:
            InputError: if the readings do not fit the network, or the integration fails.
        """
        readings = np.asarray(y, dtype=np.float64)
        measured = self.observe(np.atleast_2d(readings), None if mask is None else np.atleast_2d(mask), noise)
        points = np.asarray(x, dtype=np.float64)
        values = self.log_density(points[None] if readings.ndim == 1 else points, measured)
        return values[0] if readings.ndim == 1 else values

    def observe(self, readings: Floats, mask: Mask | None = None, noise: float | None = None) -> Measured:
        """Return readings in physical units, shape (M, n), as the network sees measurements.

        Args:
            readings: shape (M, n).
            mask: True where a sensor is on, shape (M, n) or (1, n); None if all are.
            noise: standard deviation in normalised units; None for the level that the network was trained for.

        Raises:
            InputError: if the level is not that of the network, or the mask does not fit.
        """
        trained = self.cell.noise
        if isinstance(trained, tuple):
            if noise is None or not trained[0] <= noise <= trained[1]:
                found = "none" if noise is None else f"{noise:g}"
                raise InputError(f"noise: expected a level from {trained[0]:g} to {trained[1]:g}, found {found}")
            return as_measured(readings, self.y_scale, noise, self.masked, mask)
        if noise is not None and noise != trained:
            raise InputError(f"noise: expected {trained:g}, the level of this network, found {noise:g}")
        return as_measured(readings, self.y_scale, trained, self.masked, mask)

    def score(self, measured: Measured, repeats: int) -> Score:
        """Return the score given M measurements, for a batch of ``repeats`` rows each."""
        return given(self.network, self._condition(measured).repeat_interleave(repeats, dim=0))

    @torch.no_grad()
    def draw(
        self,
        measured: Measured,
        count: int,
        integrator: Integrator,
        seed: int,
        progress: Callable[[int], None] = lambda samples: None,
        first: int = 0,
    ) -> tuple[Reals, float]:
        """Draw posterior samples, each measurement with a random stream keyed by (seed, its index).

        Args:
            measured: M measurements; what they carry of x does not count.
            count: samples S for each.
            integrator: of the reverse process.
            seed: of the random numbers.
            progress: called with the number of samples drawn since the last call.
            first: index of the first measurement.

        Returns:
            Samples in physical units, shape (M, S, d), float32, and the mean number of network evaluations a sample.

        Raises:
            InputError: if the measurements have the wrong shape or are not finite.
            RuntimeError: if the network cannot be integrated.
        """
        self._check(measured)
        condition, device = self._condition(measured), self.device
        at_once = max(1, ROWS[device.type] // count)
        parts: list[Tensor] = []
        spent = 0.0
        for start in range(0, len(condition), at_once):
            batch = condition[start : start + at_once]
            keys = [streams.key(seed, f"sampling/{first + start + j}")[0] for j in range(len(batch))]
            generators = [torch.Generator(device).manual_seed(int(key) >> 1) for key in keys]

            def normals(generators: list[torch.Generator] = generators) -> Tensor:
                shape = (count, self.x_size)
                return torch.cat([torch.randn(shape, generator=each, device=device) for each in generators])

            score = given(self.network, batch.repeat_interleave(count, dim=0))
            drawn = integrator.integrate(score, self.formulation, normals, self.t_min)
            parts.append(drawn.x.reshape(len(batch), count, self.x_size).cpu())
            spent += drawn.evaluations * len(drawn.x)
            progress(len(drawn.x))
        x = self.x_scale.restore(self.normalisation.restore(torch.cat(parts).numpy()))
        return x.astype(np.float32), spent / (len(condition) * count)

    def log_density(self, x: Floats, measured: Measured) -> Floats:
        """Return log q(x | y) at points of M measurements, in double precision.

        At the end of sampling the model's density is that of m x_0 + sigma z, with sigma/m hardly above 0: the density
        of x_0 is taken at m x.

        Args:
            x: in physical units, shape (M, N, d).
            measured: M measurements.

        Returns:
            Natural logarithms, shape (M, N).

        Raises:
            InputError: if the measurements do not fit the network, or the integration fails.
        """
        self._check(measured)
        condition = torch.as_tensor(self.normalisation.condition(measured)).repeat_interleave(x.shape[1], dim=0)
        m = self.formulation.m(torch.tensor(self.t_min, dtype=torch.float64)).item()
        at = self.normalisation.standardise(self.x_scale.normalise(x.reshape(-1, x.shape[-1])))
        score = given(copy.deepcopy(self.network).double(), condition.to(self.device))
        try:
            where = m * torch.as_tensor(at, device=self.device)
            values = log_density(score, self.formulation, where, self.t_min).value.cpu().numpy()
        except RuntimeError as error:
            raise InputError(f"{self.cell.name}: no log-density: {error}") from error
        stretch = sum(math.log(m / (float(std) * self.x_scale.span)) for std in self.normalisation.x_std)
        return np.asarray(values + stretch).reshape(x.shape[:-1])

    def _condition(self, measured: Measured) -> Tensor:
        return torch.as_tensor(self.normalisation.condition(measured), dtype=torch.float32, device=self.device)

    def _check(self, measured: Measured) -> None:
        if measured.y.ndim != 2 or measured.y.shape[1] != self.y_size:
            found = measured.y.shape
            raise InputError(f"measurement: expected {self.y_size} values in each row, found an array of shape {found}")
        finite = np.isfinite(measured.y).all(axis=1)
        if not finite.all():
            raise InputError(f"measurement {int(np.argmin(finite))}: expected finite numbers, found NaN")
