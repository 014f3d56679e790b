"""``fluxbench infer``: a user's measurement in; posterior samples, a summary and a picture out."""

import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fluxbench.bench import draw, layout
from fluxbench.bench.config import Config
from fluxbench.bench.files.samples import Integrator
from fluxbench.bench.infer.measurement import UNUSUAL, measured, read_mask, read_rows, shares_as_far
from fluxbench.bench.report.pictures.inferred import posterior
from fluxbench.bench.report.pictures.style import save
from fluxbench.errors import InputError
from fluxbench.solvers.data import datasets
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.problems import FLUX_PROBLEMS
from fluxbench.storage import Row, write_csv
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.planning import Resources, device_of

SCHEMA, VERSION = "fluxbench.inference", 1
COLUMNS = ("measurement", "component", "wall", "from", "to", "mean", "std", "q05", "q50", "q95", "share_as_far")


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        cell: name of the network's cell.
        measurement: file of readings.
        mask: file that says which sensors are on; None if all are.
        samples: for each measurement.
        alpha: 0 for the probability-flow ODE, above 0 for an SDE.
        out: folder for what is found; None for ``runs/<name>/inferred/<measurement>``.
    """

    cell: str
    measurement: Path
    mask: Path | None = None
    samples: int = 1_000
    alpha: float = 0.0
    out: Path | None = None


def infer(config: Config, request: Request) -> str:
    """Draw posterior samples for a user's measurements and write them beside a summary and a picture.

    Returns:
        What to tell the user.

    Raises:
        InputError: if a file or the cell is missing, or the measurement does not fit the network.
    """
    cell = _cell(config, request)
    by = _integrator(config, cell, request.alpha)
    if request.samples < 2:
        raise InputError(f"--samples: expected at least 2, found {request.samples}")
    dataset = datasets.read(layout.solved(config, cell.problem))
    path = layout.checkpoint_path(config, cell)
    checkpoint = checkpoints.load_trained(path, cell.specification(dataset.specification))
    operator = MeasurementOperator.of(dataset, cell.noise)
    readings = read_rows(request.measurement, "y")
    if readings.shape[1] != dataset.train.y.shape[1]:
        found, expected = readings.shape[1], dataset.train.y.shape[1]
        raise InputError(f"{request.measurement}: expected {expected} readings a row, found {found}")
    mask = None if request.mask is None else read_mask(request.mask)
    seen = measured(operator, readings, mask)
    device = torch.device(device_of(config.device, Resources(1, torch.cuda.device_count())))
    x, evaluations = draw.draw(checkpoint, seen, request.samples, by, config.seed, device)
    if cell.problem in FLUX_PROBLEMS:
        x = np.maximum(x, 0.0)  # as in scoring: no flux is below zero
    shares = shares_as_far(operator, dataset, seen)

    folder = request.out or config.runs / "inferred" / request.measurement.stem
    rows = _summary(cell, x, shares)
    arrays: dict[str, NDArray[Any]] = {"x": x, "y": readings}
    if seen.mask is not None:
        arrays["mask"] = seen.mask
    with datasets.created(folder / "samples.h5", SCHEMA, VERSION, _specification(config, cell, by, request)) as file:
        datasets.write_arrays(file, arrays)
    write_csv(folder / "summary.csv", rows, COLUMNS)
    save(folder / "posterior.png", posterior(cell, by, x, seen))
    how = f"{by.description}, {evaluations:g} network evaluations a sample"
    lines = [f"{len(readings)} measurement(s), {request.samples:,} samples each: {how}"]
    lines += [_told(i, x[i], share) for i, share in enumerate(shares)]
    return "\n".join([*lines, f"Samples, summary and picture: {folder}"])


def _cell(config: Config, request: Request) -> Cell:
    known = {cell.name: cell for cell in config.cells()}
    if request.cell not in known:
        near = get_close_matches(request.cell, known, n=3, cutoff=0.0)
        expected = f"a network of the run {config.name} such as {', '.join(near)}"
        raise InputError(f"--cell: expected {expected}, found {request.cell!r}")
    return known[request.cell]


def _integrator(config: Config, cell: Cell, alpha: float) -> Integrator:
    if not 0.0 <= alpha < math.inf:
        raise InputError(f"--alpha: expected 0 for the ODE, or more for an SDE, found {alpha:g}")
    return config.sampling.model_copy(update={"alphas": [alpha]}).integrators(cell.recipe)[0]


def _specification(config: Config, cell: Cell, by: Integrator, request: Request) -> dict[str, object]:
    return {
        "cell": cell.name,
        "integrator": by.specification(),
        "sampling_seed": config.seed,
        "samples": request.samples,
        "measurement": str(request.measurement),
    }


def _summary(cell: Cell, x: NDArray[np.float32], shares: NDArray[np.float64]) -> list[Row]:
    """A row for each component of each measurement; walls and places are those of a flux problem's segments."""
    problem, rows = FLUX_PROBLEMS.get(cell.problem), []
    for i, drawn in enumerate(x):
        low, middle, high = np.quantile(drawn, (0.05, 0.5, 0.95), axis=0)
        for j in range(drawn.shape[1]):
            row: Row = {"measurement": i + 1, "component": j + 1, "share_as_far": f"{shares[i]:.4g}"}
            if problem is not None:
                wall, segment = divmod(j, problem.geometry.segments)
                ends = problem.geometry.edges[segment : segment + 2]
                row |= {"wall": ("lower", "upper")[wall], "from": f"{ends[0]:.6g}", "to": f"{ends[1]:.6g}"}
            found = {"mean": drawn[:, j].mean(), "std": drawn[:, j].std(ddof=1)}
            found |= {"q05": low[j], "q50": middle[j], "q95": high[j]}
            rows.append(row | {name: f"{value:.6g}" for name, value in found.items()})
    return rows


def _told(i: int, drawn: NDArray[np.float32], share: float) -> str:
    """A line on one measurement, with a warning where the network has seen nothing like it."""
    line = f"  {i + 1}: mean of all components {drawn.mean():.4g}, mean std {drawn.std(axis=0, ddof=1).mean():.4g}"
    if share >= UNUSUAL:
        return f"{line}; {share:.1%} of test measurements are as far from the middle"
    found = f"only {share:.2%} of test measurements are as far from the middle as this one"
    return f"{line}\n  WARNING: out of distribution: {found}; do not trust its posterior"
