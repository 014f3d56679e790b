"""A user's measurements: readings in physical units from CSV or HDF5, and whether the model has seen their like."""

from pathlib import Path

import h5py
import numpy as np

from fluxbench.arrays import Floats, Mask
from fluxbench.errors import InputError
from fluxbench.solvers.data.datasets import Dataset
from fluxbench.solvers.data.measurements import Measured, MeasurementOperator

UNUSUAL = 0.01
"""Share of test measurements as far out as one, below which a person is warned."""


def read_rows(path: Path, name: str) -> Floats:
    """Read a table of numbers, one measurement a row: CSV (a line of headings may come first), or an HDF5 file's array.

    Args:
        path: ends in ``.csv``, ``.h5`` or ``.hdf5``.
        name: of the array in an HDF5 file.

    Raises:
        InputError: if the file is absent, of another kind, or no table of finite numbers.
    """
    if not path.is_file():
        raise InputError(f"{path}: not found")
    try:
        if path.suffix == ".csv":
            rows = _read_csv(path)
        elif path.suffix in {".h5", ".hdf5"}:
            with h5py.File(path, "r") as file:
                if name not in file:
                    raise InputError(f"{path}: expected an array {name}, found {', '.join(file) or 'none'}")
                rows = np.atleast_2d(np.asarray(file[name][...], dtype=np.float64))
        else:
            raise InputError(f"{path}: expected a file that ends in .csv, .h5 or .hdf5")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected a table of numbers, one measurement a row: {error}") from error
    if rows.ndim != 2 or rows.size == 0:
        raise InputError(f"{path}: expected one measurement a row, found an array of shape {rows.shape}")
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"{path}: expected finite numbers, found {rows[row, column]} in row {row + 1}")
    return rows


def read_mask(path: Path) -> Mask:
    """Read which sensors are on: a table as of :func:`read_rows`, of ones and zeros, in HDF5 the array ``mask``.

    Raises:
        InputError: if the file is absent, of another kind, or holds anything but ones and zeros.
    """
    rows = read_rows(path, "mask")
    if not np.isin(rows, (0.0, 1.0)).all():
        row, column = np.argwhere(~np.isin(rows, (0.0, 1.0)))[0]
        raise InputError(f"{path}: expected 1 where a sensor is on, 0 where not, found {rows[row, column]:g}")
    return rows == 1.0


def _read_csv(path: Path) -> Floats:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if lines and not any(map(_is_number, lines[0].split(","))):
        lines = lines[1:]  # headings
    if not lines:
        raise ValueError("there are none")
    return np.atleast_2d(np.loadtxt(lines, delimiter=",", ndmin=2))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shares_as_far(operator: MeasurementOperator, dataset: Dataset, seen: Measured) -> Floats:
    """Return for each measurement the share of test measurements that lie at least as far from the middle as it does.

    Far is the Mahalanobis distance sqrt((y - m)^T (C + s^2 I)^-1 (y - m)) of what the sensors that are on read: m and C
    of clean training readings, s the noise. Where all directions along which readings vary are as usual it is small;
    readings of another noise, another unit or another problem are far in the many directions that hardly vary.

    Args:
        operator: of the network's data set and noise.
        dataset: whose training and test splits are compared with.
        seen: M measurements.

    Returns:
        Shares between 1 / (N + 1) and 1, for N test measurements, shape (M,).
    """
    clean = operator.y_scale.normalise(dataset.train.y)
    mean, covariance = clean.mean(axis=0), np.atleast_2d(np.cov(clean, rowvar=False))
    variance = seen.noise[0] ** 2 + 1e-9 * float(np.trace(covariance))
    full = MeasurementOperator.of(dataset, operator.noise, 1.0)
    test = full.measure(dataset.test, "test").y
    shares = np.empty(len(seen.y))
    for i, y in enumerate(seen.y):
        on = np.ones(len(y), dtype=bool) if seen.mask is None else seen.mask[i]
        matrix = covariance[np.ix_(on, on)] + variance * np.eye(on.sum())
        both = np.vstack([y[None, on], test[:, on]]) - mean[on]
        distances = np.einsum("ij,ij->i", both, np.linalg.solve(matrix, both.T).T)
        shares[i] = np.mean(distances >= distances[0])
    return shares
