"""``fluxbench infer``: a user's measurement in; posterior samples, a summary and a picture out."""

import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fluxbench import hdf5
from fluxbench.arrays import Floats, Reals
from fluxbench.bench.config import Config
from fluxbench.bench.infer.measurement import UNUSUAL, read_mask, read_rows, shares_as_far
from fluxbench.bench.report.labels import sampler_label
from fluxbench.bench.report.pictures.inferred import posterior as picture_of
from fluxbench.bench.report.pictures.style import save
from fluxbench.bench.run import Run, SampleSet
from fluxbench.errors import InputError
from fluxbench.solvers import problems
from fluxbench.solvers.boundary_flux import FluxProblem
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.storage import Row, write_csv
from fluxbench.training.planning import Resources, device_of

SCHEMA, VERSION = "fluxbench.inference", 1
COLUMNS = ("measurement", "component", "wall", "from", "to", "mean", "std", "q05", "q50", "q95", "share_as_far")


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        cell: name of the network at its noise level.
        measurement: file of readings.
        mask: file that says which sensors are on; None if all are.
        samples: for each measurement.
        alpha: 0 for the probability-flow ODE, above 0 for an SDE.
        out: folder for what is inferred; None for ``runs/<name>/inferred/<measurement>``.
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
        What to say to the user.

    Raises:
        InputError: if a file or the cell is missing, or the measurement does not fit the network.
    """
    run = Run(config)
    asked = _sample_set(run, request)
    if request.samples < 2:
        raise InputError(f"--samples: expected at least 2, found {request.samples}")
    dataset = run.dataset(asked.problem)
    posterior = run.posterior(asked.cell, device_of(config.device, Resources(1, torch.cuda.device_count())))
    readings = read_rows(request.measurement, "y")
    if readings.shape[1] != posterior.y_size:
        found = f"expected {posterior.y_size} readings a row, found {readings.shape[1]}"
        raise InputError(f"{request.measurement}: {found}")
    mask = None if request.mask is None else read_mask(request.mask)
    try:
        seen = posterior.observe(readings, mask, asked.noise)
    except InputError as error:  # which names the argument that the option is for
        raise InputError(f"--{error}") from error
    x, evaluations = posterior.draw(seen, request.samples, asked.integrator, config.seed)
    x = problems.problem(asked.problem).admissible(x)  # as in scoring
    shares = shares_as_far(MeasurementOperator.of(dataset, asked.noise), dataset, seen)

    folder = request.out or run.folder / "inferred" / request.measurement.stem
    arrays: dict[str, NDArray[Any]] = {"x": x, "y": readings}
    if seen.mask is not None:
        arrays["mask"] = seen.mask
    with hdf5.created(folder / "samples.h5", SCHEMA, VERSION, _specification(config, asked, request)) as file:
        hdf5.write_arrays(file, arrays)
    write_csv(folder / "summary.csv", _summary(asked, x, shares), COLUMNS)
    title = f"{asked.network}, {sampler_label(asked.integrator.alpha)}, {request.samples:,} samples"
    save(folder / "posterior.png", picture_of(title, problems.problem(asked.problem), x, seen.y))
    how = f"{asked.integrator.description}, {evaluations:g} network evaluations a sample"
    lines = [f"{len(readings)} measurement(s), {request.samples:,} samples each: {how}"]
    lines += [_line(i, x[i], share) for i, share in enumerate(shares)]
    return "\n".join([*lines, f"Samples, summary and picture: {folder}"])


def _sample_set(run: Run, request: Request) -> SampleSet:
    if not 0.0 <= request.alpha < math.inf:
        raise InputError(f"--alpha: expected 0 for the ODE, or more for an SDE, found {request.alpha:g}")
    known = {each.network: each for each in run.sample_sets}
    if request.cell not in known:
        near = get_close_matches(request.cell, known, n=3, cutoff=0.0)
        expected = f"a network of the run {run.config.name} such as {', '.join(near)}"
        raise InputError(f"--cell: expected {expected}, found {request.cell!r}")
    each = known[request.cell]
    sampling = run.config.sampling.model_copy(update={"alphas": [request.alpha]})
    return SampleSet(each.cell, each.noise, sampling.integrators(each.cell.recipe)[0])


def _specification(config: Config, asked: SampleSet, request: Request) -> dict[str, object]:
    return {
        "cell": asked.network,
        "integrator": asked.integrator.specification(),
        "sampling_seed": config.seed,
        "samples": request.samples,
        "measurement": str(request.measurement),
    }


def _summary(asked: SampleSet, x: Reals, shares: Floats) -> list[Row]:
    """A row for each component of each measurement; walls and places are those of a flux problem's segments."""
    problem, rows = problems.problem(asked.problem), []
    for i, drawn in enumerate(x):
        low, middle, high = np.quantile(drawn, (0.05, 0.5, 0.95), axis=0)
        for j in range(drawn.shape[1]):
            row: Row = {"measurement": i + 1, "component": j + 1, "share_as_far": f"{shares[i]:.4g}"}
            if isinstance(problem, FluxProblem):
                wall, segment = divmod(j, problem.geometry.segments)
                ends = problem.geometry.edges[segment : segment + 2]
                row |= {"wall": ("lower", "upper")[wall], "from": f"{ends[0]:.6g}", "to": f"{ends[1]:.6g}"}
            numbers = {"mean": drawn[:, j].mean(), "std": drawn[:, j].std(ddof=1)}
            numbers |= {"q05": low[j], "q50": middle[j], "q95": high[j]}
            rows.append(row | {name: f"{value:.6g}" for name, value in numbers.items()})
    return rows


def _line(i: int, drawn: Reals, share: float) -> str:
    """A line on one measurement, with a warning where the network has seen nothing like it."""
    line = f"  {i + 1}: mean of all components {drawn.mean():.4g}, mean std {drawn.std(axis=0, ddof=1).mean():.4g}"
    if share >= UNUSUAL:
        return f"{line}; {share:.1%} of test measurements are as far from the middle"
    found = f"only {share:.2%} of test measurements are as far from the middle as this one"
    return f"{line}\n  WARNING: out of distribution: {found}; do not trust its posterior"
