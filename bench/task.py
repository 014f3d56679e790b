"""A problem as a task for samplers: its prior, its simulator, its observations and their reference posteriors.

    task = fluxbench.problem("linear")
    x, y, mask = task.simulate(1_000, noise=0.1, seed=1)
    posterior = task.train(noise=0.1, epochs=50)
    samples = posterior.sample(task.observation(0, noise=0.1), 1_000)
    exact = task.reference(0, noise=0.1)

Everything is that of the command line: pairs, observations and references of seed 0 are those of ``fluxbench run`` with
9,000 training and 1,000 test samples, bit by bit or, where batches differ, to rounding.
"""

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fluxbench import hdf5
from fluxbench.arrays import Floats, Mask, Reals
from fluxbench.errors import InputError
from fluxbench.solvers import problems
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.datasets import Dataset, Split
from fluxbench.solvers.data.measurements import Measured, MeasurementOperator, observations
from fluxbench.solvers.problem import PairSimulator, Prior, Problem

if TYPE_CHECKING:
    import pandas as pd

    from fluxbench.bench.files.references import Reference
    from fluxbench.training.posterior import Posterior

FOLDER = Path("runs/python")
"""Where training leaves data sets and checkpoints."""


class Pairs(NamedTuple):
    """Samples of the joint distribution, in physical units.

    Attributes:
        x: inferred vectors, shape (N, d).
        y: noisy measurements, shape (N, n), NaN where a sensor is off.
        mask: True where a sensor is on, shape (N, n); None where all of them always are.
    """

    x: Floats
    y: Floats
    mask: Mask | None


@dataclass(frozen=True)
class Task:
    """An inverse problem with the data set that its observations come from.

    Attributes:
        definition: the problem.
        seed: of the data set.
        train_samples: of its training split, whose extremes are the unit of noise.
        test_samples: of its test split, which the observations come from.
    """

    definition: Problem
    seed: int = 0
    train_samples: int = 9_000
    test_samples: int = 1_000

    @property
    def name(self) -> str:
        """Name of the problem."""
        return self.definition.name

    @property
    def prior(self) -> Prior:
        """Distribution of x: ``prior.sample(seed, stream, start, stop)``."""
        return self.definition.prior

    @cached_property
    def simulator(self) -> PairSimulator:
        """Solver of the forward problem; it is set up when it is first asked for.

        Raises:
            InputError: if the problem cannot be solved.
        """
        return self.definition.simulator()

    @cached_property
    def dataset(self) -> Dataset:
        """Clean pairs of both splits; simulated when they are first asked for.

        Raises:
            InputError: naming a sample that cannot be solved.
        """
        return datasets.simulated(self._specification, self.simulator)

    @property
    def _specification(self) -> dict[str, object]:
        return datasets.expected_specification(self.name, self.train_samples, self.test_samples, self.seed)

    def simulate(self, count: int, noise: float = 0.0, seed: int = 0) -> Pairs:
        """Draw pairs of x and noisy y; of this task's own seed they are its training pairs.

        Args:
            count: number N of pairs.
            noise: standard deviation in units of the readings' range; 0 for a problem whose y is random by itself.
            seed: of the random numbers.

        Raises:
            InputError: naming a sample that cannot be solved.
        """
        clean = Split(*self.simulator.simulate(seed, "train", 0, count))
        operator = replace(self._operator(noise), seed=seed)
        return self._physical(operator.measure(clean, "train"), clean.x, operator)

    def observation(self, index: int, noise: float = 0.0) -> Floats:
        """Return the readings of a test measurement, shape (n,), NaN where a sensor is off.

        Args:
            index: in the test split, or among a joint density's own values of y.
            noise: standard deviation in units of the readings' range.

        Raises:
            InputError: if there is no such measurement.
        """
        return self.observations(index + 1, noise).y[index]

    def observations(self, count: int, noise: float = 0.0) -> Pairs:
        """Return the first test measurements and their truths; a joint density has values of y, and no truths (NaN).

        Raises:
            InputError: if there are fewer.
        """
        values = self.definition.y_values
        most = self.test_samples if values is None else len(values)
        if not 1 <= count <= most:
            raise InputError(f"{self.name}: expected measurements 0 to {most - 1}, found {count - 1}")
        seen = observations(self.dataset, noise, count).rows(0, count)
        truth = self.dataset.test.x[:count] if values is None else np.full((count, self.definition.x_size), np.nan)
        return self._physical(seen, truth, self._operator(noise))

    def reference(self, index: int, noise: float = 0.0, samples: int = 1_000) -> Floats:
        """Draw samples of the exact posterior of a test measurement: by Monte Carlo, or in closed form.

        Args:
            index: as of :meth:`observation`.
            noise: standard deviation in units of the readings' range, above 0 for a flux problem.
            samples: number S of samples.

        Returns:
            Shape (S, d), in physical units.

        Raises:
            InputError: if there is no such measurement, or no reference without noise.
        """
        values = self.definition.y_values
        if values is not None:
            self.observations(index + 1)
            density = problems.joint_density(self.name)
            return density.sample_conditional(values[index], samples, self.seed, "exact-0")[:, None]
        return np.asarray(self.references(index, index + 1, noise, samples).x[0], dtype=np.float64)

    def references(self, start: int, stop: int, noise: float, samples: int = 1_000) -> "Reference":
        """Sample the exact posteriors of test measurements ``start`` to ``stop - 1`` by Hamiltonian Monte Carlo.

        Raises:
            InputError: if there are no such measurements, there is no noise, or more samples are asked for than chains
                have.
        """
        from fluxbench.bench.files.references import Reference  # noqa: PLC0415
        from fluxbench.bench.references import make  # noqa: PLC0415 - ArviZ
        from fluxbench.bench.references.effort import LARGEST_REFERENCE  # noqa: PLC0415
        from fluxbench.solvers.fem.flux_simulator import FluxSimulator  # noqa: PLC0415 - dolfinx

        self.observations(stop)
        if not noise > 0.0 or not 1 <= samples <= LARGEST_REFERENCE:
            expected = f"noise above 0 and 1 to {LARGEST_REFERENCE:,} samples"
            raise InputError(f"{self.name}: expected {expected} for a reference, found {noise:g} and {samples:,}")
        assert isinstance(self.simulator, FluxSimulator)  # noqa: S101 - what has no closed form is a flux problem
        posterior, measured = make.posterior_of(self.dataset, self.simulator, noise, start, stop)
        stream = f"{self.name}/reference/{noise:g}"
        arrays = make.sampled(posterior, self.seed, stream, start, samples)
        return Reference(**arrays, y=measured.y, mask=measured.mask, seconds=0.0)

    def train(
        self,
        noise: float = 0.0,
        formulation: str = "vp-k2",
        recipe: str = "tuned",
        epochs: int | None = None,
        seed: int = 0,
        folder: Path | str = FOLDER,
        device: str = "cpu",
    ) -> "Posterior":
        """Train a conditional diffusion model on the task's training pairs, or load it where that is done.

        A training that is killed goes on from its last checkpoint.

        Args:
            noise: standard deviation in units of the readings' range.
            formulation: name of the forward process.
            recipe: name of the recipe.
            epochs: in place of the recipe's own number.
            seed: of initial weights, batches and noise.
            folder: where data set and checkpoint are kept.
            device: ``"cpu"`` or ``"cuda"``.

        Raises:
            InputError: if there is no such recipe or formulation, the folder holds a network of other settings under
                this name, or training diverges.
        """
        from tqdm import tqdm  # noqa: PLC0415

        from fluxbench.diffusion.formulations import formulation as named  # noqa: PLC0415
        from fluxbench.training.cells import grid  # noqa: PLC0415
        from fluxbench.training.posterior import Posterior  # noqa: PLC0415 - torch
        from fluxbench.training.recipes import RECIPES  # noqa: PLC0415
        from fluxbench.training.trainer import train  # noqa: PLC0415

        if recipe not in RECIPES:
            raise InputError(f"recipe: expected one of {', '.join(RECIPES)}, found {recipe!r}")
        try:
            named(formulation, sigma_max=2.0)
        except ValueError as error:
            raise InputError(f"formulation: {error}") from error
        (cell,) = grid([self.name], [formulation], [noise], recipe, [seed], epochs)
        data = Path(folder) / f"{self.name}_{self.train_samples}_seed-{self.seed}.h5"
        if data.exists():
            hdf5.require(data, datasets.SCHEMA, datasets.VERSION, self._specification)
        else:
            datasets.write(data, self.dataset)
        path = Path(folder) / f"{cell.name}_{self.train_samples}.pt"
        steps = cell.steps(self.train_samples)
        with tqdm(total=steps, desc=f"train {cell.name}", unit="step", disable=not sys.stderr.isatty()) as bar:
            train(cell, data, path, device, bar.update)
        return Posterior.load(path, device=device)

    def score(self, samples: Reals, noise: float = 0.0, references: int = 1_000) -> "pd.DataFrame":
        """Score posterior samples of the first test measurements by every metric, beside what bounds the scores.

        Args:
            samples: in physical units, shape (M, S, d).
            noise: standard deviation in units of the readings' range.
            references: samples of each exact posterior, at least S and ten; 0 for metrics by the truth alone.

        Returns:
            A row a metric: ``value`` with its Monte Carlo error ``error``; ``floor`` (exact samples, scored the same
            way), ``prior`` and ``linear_gaussian`` beside it, NaN where there is none.

        Raises:
            InputError: if the samples have the wrong shape or are not finite.
        """
        import pandas as pd  # noqa: PLC0415

        from fluxbench.bench.scoring import densities, flux  # noqa: PLC0415 - scikit-learn, POT

        x, values = np.asarray(samples), self.definition.y_values
        most = self.test_samples if values is None else len(values)
        least = 1 if values is None else most
        if x.ndim != 3 or x.shape[2] != self.definition.x_size or not least <= len(x) <= most or x.shape[1] < 2:
            expected = f"(M, S, {self.definition.x_size}) with {least} <= M <= {most} and S >= 2"
            raise InputError(f"samples: expected the shape {expected}, found {x.shape}")
        if not np.isfinite(x).all():
            raise InputError("samples: expected finite numbers, found NaN or infinity")
        if values is not None:
            rows = densities.rows(self.dataset, x[:, :, 0].astype(np.float64), None)
            bounds = densities.bounds(self.dataset, x.shape[1])
        else:
            exact = self.references(0, len(x), noise, references) if references and noise > 0.0 else None
            known = flux.Known.of(self.dataset, len(x), exact)
            rows = flux.rows(x, known, problems.flux_problem(self.name).geometry)
            bounds = flux.bounds(self.dataset, noise, (len(x), x.shape[1]), exact)
        beside = {(row["bound"], row["metric"]): row["value"] for row in bounds if not row.get("wall")}
        table = [
            {name: row[name] for name in ("metric", "value", "error")}
            | {bound: beside.get((bound, row["metric"])) for bound in ("floor", "prior", "linear_gaussian")}
            for row in rows
            if not row.get("wall")
        ]
        return pd.DataFrame(table).set_index("metric").astype("float64")

    def _operator(self, noise: float) -> MeasurementOperator:
        return MeasurementOperator.of(self.dataset, noise)

    def _physical(self, seen: Measured, x: Floats, operator: MeasurementOperator) -> Pairs:
        y = operator.y_scale.restore(seen.y)
        return Pairs(x, y if seen.mask is None else np.where(seen.mask, y, np.nan), seen.mask)


def task_of(problem: "str | Problem | Task") -> Task:
    """Return the task of a problem: by its name, by its definition, which is added to the suite's, or as it is.

    Raises:
        InputError: if there is no problem of that name, or another one has the definition's.
    """
    if isinstance(problem, Task):
        return problem
    if isinstance(problem, str):
        return Task(problems.problem(problem))
    if problems.PROBLEMS.get(problem.name) != problem:
        problems.register(problem)
    return Task(problem)
