"""Sample files: what a stage of sampling leaves for all that comes after it.

HDF5, version 2: attributes as in a data set, `evaluations` and `seconds`; `x` (M, S, d) float32 holds S samples for
each of M measurements in physical units, `y` (M, n) the normalised measurements, `mask` (M, n), where sensors may be
off, which of them are on. The file is joined from blocks of measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.blocks import Attributes, Blocks
from fluxbench.solvers.data.measurements import Mask
from fluxbench.solvers.problems import DENSITIES
from fluxbench.training.cells import Cell

SCHEMA = "fluxbench.samples"
VERSION = 2

ODE_METHODS = ("exponential", "heun", "runge-kutta")
SDE_METHODS = ("exponential", "euler-maruyama")


def sampler_kind(alpha: float) -> str:
    """ODE or SDE, the paper's words for alpha = 0 and for the rest of the family."""
    return "ODE" if alpha == 0.0 else "SDE"


@dataclass(frozen=True)
class Integrator:
    """How the reverse process is integrated; the methods are those of :mod:`fluxbench.diffusion.samplers`.

    Attributes:
        alpha: 0 for the probability-flow ODE, above 0 for an SDE.
        method: one of ``ODE_METHODS`` or of ``SDE_METHODS``.
        steps: of every method but Runge-Kutta.
        tolerance: of Runge-Kutta, relative and absolute.
    """

    alpha: float
    method: str
    steps: int = 0
    tolerance: float = 0.0

    @property
    def label(self) -> str:
        """The paper's word for it."""
        return sampler_kind(self.alpha)

    @property
    def description(self) -> str:
        """For the texts beneath tables."""
        name = {
            "exponential": f"the exponential multistep method of order {3 if self.alpha == 0.0 else 2}",
            "heun": "Heun's method",
            "runge-kutta": "Runge-Kutta 5(4)",
            "euler-maruyama": "Euler-Maruyama",
        }[self.method]
        spent = f"at tolerance {self.tolerance:g}" if self.method == "runge-kutta" else f"in {self.steps:,} steps"
        return f"{self.label} by {name} {spent}"

    def specification(self) -> dict[str, Any]:
        """What determines the samples."""
        size = {"tolerance": self.tolerance} if self.method == "runge-kutta" else {"steps": self.steps}
        return {"alpha": self.alpha, "method": self.method, **size}


@dataclass(frozen=True)
class PosteriorSamples:
    """The content of a sample file.

    Attributes:
        specification: what determines it.
        x: samples in physical units, shape (M, S, d).
        y: normalised measurements, shape (M, n).
        mask: True where a sensor is on, shape (M, n); None where all of them always are.
        evaluations: network evaluations a sample, the mean.
        seconds: of sampling, one block after the other.
    """

    specification: dict[str, Any]
    x: NDArray[np.float32]
    y: NDArray[np.float64]
    mask: Mask | None
    evaluations: float
    seconds: float


def sample_specification(
    cell: Cell, data: dict[str, Any], integrator: Integrator, count: int, generated: int, seed: int
) -> dict[str, Any]:
    """Everything that determines a sample file.

    Args:
        cell: whose network.
        data: the data set's specification.
        integrator: how the reverse process is integrated.
        count: number of measurements; a joint density is sampled at its own values of y.
        generated: number of samples for each.
        seed: of the samples' random numbers.
    """
    measurements = list(DENSITIES[cell.problem].y_values) if cell.problem in DENSITIES else count
    return cell.specification(data) | {
        "noise": cell.noise,
        "integrator": integrator.specification(),
        "measurements": measurements,
        "generated": generated,
        "sampling_seed": seed,
    }


def specification(path: Path) -> dict[str, Any]:
    """The specification that a sample file carries."""
    with datasets.open_checked(path, SCHEMA, VERSION) as file:
        return datasets.record(file, "specification")


def read(path: Path) -> PosteriorSamples:
    """Read a sample file.

    Raises:
        InputError: if it is absent, damaged, or holds NaN.
    """
    with datasets.open_checked(path, SCHEMA, VERSION) as file:
        return PosteriorSamples(
            specification=datasets.record(file, "specification"),
            x=datasets.read_array(file, "x"),
            y=datasets.read_array(file, "y"),
            mask=datasets.read_array(file, "mask") if "mask" in file else None,
            evaluations=float(file.attrs["evaluations"]),
            seconds=float(file.attrs["seconds"]),
        )


def blocks(path: Path, specification: dict[str, Any], measurements: int, size: int) -> Blocks:
    """The blocks of a sample file of so many measurements, ``size`` of them each."""
    return Blocks(path, SCHEMA, VERSION, specification, measurements, size)


def write_block(made: Blocks, start: int, samples: PosteriorSamples) -> None:
    """Write the block of the measurements from ``start`` on."""
    arrays: dict[str, np.ndarray] = {"x": samples.x, "y": samples.y}
    if samples.mask is not None:
        arrays["mask"] = samples.mask
    made.write(start, arrays, {"evaluations": samples.evaluations, "seconds": samples.seconds})


def join(made: Blocks) -> None:
    """Write a sample file from its blocks, and remove them.

    Raises:
        InputError: if a block is missing or damaged, or there is no room for the file.
    """

    def combine(parts: Sequence[Attributes]) -> Attributes:
        shares = [made.rows_from(start) / made.rows for start in made.starts]
        mean = sum(share * part["evaluations"] for share, part in zip(shares, parts, strict=True))
        return {"evaluations": mean, "seconds": sum(part["seconds"] for part in parts)}

    made.join(combine)
