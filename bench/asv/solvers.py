"""Forward problems: samples, Jacobians and set-up, by problem, mesh, number of samples and block."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mpi4py import MPI

import numpy as np

import fluxbench.solvers  # noqa: F401 - its thread settings count only if they come before numpy
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.generate import generate
from fluxbench.solvers.fem import nonlinear
from fluxbench.solvers.fem.simulators import simulator
from fluxbench.solvers.fem.stock import StockScript
from fluxbench.solvers.problems import flux_problem
from fluxbench.solvers.problems.nonlinear import NONLINEAR

if TYPE_CHECKING:
    from fluxbench.solvers.fem.flux_simulator import FluxSimulator

PROBLEMS = ("linear", "nonlinear")


def fluxes(problem: str, samples: int) -> np.ndarray:
    """Draw fluxes of a problem's prior, of shape (samples, segments); studies of speed solve the same ones."""
    return flux_problem(problem).prior.sample(0, "asv", 0, samples)


def stock_script() -> StockScript:
    """Return the script that one would write first for the nonlinear problem, once MUMPS has ordered its unknowns."""
    script = StockScript(NONLINEAR)
    script.measure(fluxes(NONLINEAR.name, 1)[0])
    return script


class Measure:
    """Sensor values of samples, once the solver is set up."""

    params = (PROBLEMS, (1_000, 10_000))
    param_names = ("problem", "samples")
    timeout, repeat = 300, 3

    def setup_cache(self) -> "dict[str, FluxSimulator]":
        """Set up each solver once."""
        return {problem: simulator(flux_problem(problem)) for problem in PROBLEMS}

    def setup(self, ready: "dict[str, FluxSimulator]", problem: str, samples: int) -> None:
        """Draw the fluxes."""
        self.flux = fluxes(problem, samples)

    def time_measure(self, ready: "dict[str, FluxSimulator]", problem: str, samples: int) -> None:
        """Seconds for all samples."""
        ready[problem].measure(self.flux)

    def peakmem_measure(self, ready: "dict[str, FluxSimulator]", problem: str, samples: int) -> None:
        """Bytes at the most."""
        ready[problem].measure(self.flux)


class Block:
    """256 samples of the nonlinear problem, so many of them advanced together."""

    params = (16, 64, 128, 256)
    param_names = ("block",)
    repeat = 5

    def setup_cache(self) -> "FluxSimulator":
        """Set up the solver once."""
        return simulator(NONLINEAR)

    def setup(self, ready: "FluxSimulator", block: int) -> None:
        """Draw the fluxes."""
        if not hasattr(nonlinear, "BATCH"):
            raise NotImplementedError  # a commit that has another name for it
        nonlinear.BATCH = block
        self.flux = fluxes(NONLINEAR.name, 256)

    def time_measure(self, ready: "FluxSimulator", block: int) -> None:
        """Seconds for all samples."""
        ready.measure(self.flux)


class Jacobian:
    """Derivatives of the sensor values of 20 samples of the nonlinear problem."""

    repeat = 5

    def setup_cache(self) -> "FluxSimulator":
        """Set up the solver once."""
        return simulator(NONLINEAR)

    def time_jacobian(self, ready: "FluxSimulator") -> None:
        """Seconds for all samples."""
        ready.jacobian(fluxes(NONLINEAR.name, 20))


class Prepare:
    """From the problem's definition to a solver that is ready."""

    repeat = 2
    params = (PROBLEMS,)
    param_names = ("problem",)

    def time_simulator(self, problem: str) -> None:
        """Seconds to assemble, factorise and linearise."""
        simulator(flux_problem(problem))


class Generate:
    """A data set of 10,000 samples on one rank, from nothing to its file."""

    repeat = 2
    params = (PROBLEMS,)
    param_names = ("problem",)

    def time_generate(self, problem: str) -> None:
        """Seconds in all."""
        self._generate(problem)

    def peakmem_generate(self, problem: str) -> None:
        """Bytes at the most."""
        self._generate(problem)

    def _generate(self, problem: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            specification = datasets.expected_specification(problem, 9_000, 1_000, seed=0)
            generate(specification, Path(folder) / "data.h5", MPI.COMM_SELF)


class PaperMesh:
    """The paper's 850 x 200 linear triangles, for one sample of the nonlinear problem."""

    number, repeat, rounds, timeout = 1, 3, 1, 300

    def setup(self) -> None:
        """Set up the batched solver, and the script that it is measured against."""
        self.flux = fluxes(NONLINEAR.name, 16)
        self.script, self.batched = stock_script(), simulator(NONLINEAR, "paper")

    def time_stock_snes(self) -> None:
        """Seconds for one sample by stock SNES."""
        self.script.measure(self.flux[0])

    def time_batched(self) -> None:
        """Seconds for 16 samples."""
        self.batched.measure(self.flux)
