"""``fluxbench infer``: a measurement of one's own gives the posterior that it should, and a warning where it should."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest

from fluxbench.bench.cli import main
from fluxbench.bench.references.gaussian import linear_gaussian
from fluxbench.bench.run import Run
from fluxbench.solvers.data.measurements import MeasurementOperator
from fluxbench.solvers.problems.linear import LINEAR
from tests.bench.conftest import options

NOISE = 0.1
CELL = f"linear_vp-k2_noise-{NOISE}_tuned_seed-0"
MASKED = f"multi-operator_vp-k2_noise-{NOISE}_tuned_seed-0"


def readings(run: Run, problem: str = "linear", count: int = 3) -> np.ndarray:
    """Noisy test measurements in physical units."""
    dataset = run.dataset(problem)
    operator = MeasurementOperator.of(dataset, NOISE, 1.0)
    return operator.y_scale.restore(operator.measure(dataset.test, "test").y[-count:])


def write(path: Path, rows: np.ndarray, heading: str = "") -> Path:
    lines = [",".join(f"{value:.9g}" for value in row) for row in np.atleast_2d(rows)]
    path.write_text("\n".join(([heading] if heading else []) + lines) + "\n")
    return path


def infer(root: Path, cell: str, measurement: Path, *more: str) -> int:
    return main(["infer", *options(root), "--cell", cell, "--measurement", str(measurement), *more])


def test_the_posterior_is_the_linear_gaussian_one(
    root: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    y = readings(run)
    heading = ",".join(f"sensor{i}" for i in range(y.shape[1]))
    assert infer(root, CELL, write(tmp_path / "y.csv", y, heading), "--samples", "400", "--out", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "3 measurement(s), 400 samples each: ODE by the exponential multistep method of order 3 in 16 steps" in said
    assert "WARNING" not in said
    dataset = run.dataset("linear")
    assert dataset.operator is not None
    span = MeasurementOperator.of(dataset, NOISE).y_scale.span
    exact = linear_gaussian(LINEAR.prior, dataset.operator, y, NOISE * span, None)
    with (tmp_path / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    mean = np.array([float(row["mean"]) for row in rows]).reshape(3, 30)
    std = np.array([float(row["std"]) for row in rows]).reshape(3, 30)
    # The prior's standard deviation is 1 and the posterior's about 0.57; clipping at zero moves the mean a little.
    assert np.abs(mean - exact.mean).mean() < 0.2
    assert 0.8 < std.mean() / 0.57 < 1.2
    assert [rows[i]["wall"] for i in (0, 15, 30)] == ["lower", "upper", "lower"]
    assert (float(rows[15]["from"]), float(rows[14]["to"])) == (0.0, 7.0)
    assert all(float(row["q05"]) <= float(row["q50"]) <= float(row["q95"]) for row in rows)
    with h5py.File(tmp_path / "samples.h5") as found:
        assert found["x"].shape == (3, 400, 30)
        np.testing.assert_allclose(found["x"][...].mean(axis=1), mean, rtol=1e-4)
    assert (tmp_path / "posterior.png").stat().st_size > 10_000


def test_what_the_network_has_never_seen_is_warned_of(
    root: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readings in another unit, in another order, or with one that is ten times the noise off; not usual ones."""
    y = readings(run, count=1)[0]
    off = y.copy()
    off[7] += np.ptp(run.dataset("linear").train.y)
    for number, odd in enumerate((1000.0 * y, y[::-1], off)):
        assert infer(root, CELL, write(tmp_path / f"{number}.csv", odd), "--samples", "10") == 0
        assert "WARNING: out of distribution" in capsys.readouterr().out
    assert infer(root, CELL, write(tmp_path / "usual.csv", readings(run, count=100)), "--samples", "2") == 0
    assert capsys.readouterr().out.count("WARNING") <= 4  # one in a hundred, by definition


def test_sensors_may_be_off(root: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a sensor that is off reads does not matter, but that it is off does."""
    y = readings(run, "multi-operator", 1)[0]
    mask = np.ones_like(y)
    mask[:22] = 0.0
    for name, values in (("true", y), ("wrong", np.where(mask > 0, y, 1e3))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["y"] = values
        more = ["--mask", str(write(tmp_path / "mask.csv", mask)), "--out", str(tmp_path / name)]
        assert infer(root, MASKED, tmp_path / f"{name}.h5", "--samples", "200", *more) == 0
        assert "WARNING" not in capsys.readouterr().out
    assert infer(root, MASKED, tmp_path / "true.h5", "--samples", "200", "--out", str(tmp_path / "all")) == 0
    x = {}
    for name in ("true", "wrong", "all"):
        with h5py.File(tmp_path / name / "samples.h5") as file:
            x[name] = file["x"][...]
    np.testing.assert_array_equal(x["true"], x["wrong"])
    assert np.abs(x["true"] - x["all"]).mean() > 0.1  # of the same random numbers


def test_joint_densities_can_be_asked_too(root: Path, tmp_path: Path) -> None:
    cell = "tanh_vp-k2_tuned_seed-0"
    assert infer(root, cell, write(tmp_path / "y.csv", np.array([[0.5], [-0.5]])), "--alpha", "1") == 0
    folder = root / "runs" / "small" / "inferred" / "y"
    assert {path.name for path in folder.iterdir()} == {"samples.h5", "summary.csv", "posterior.png"}


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("1,2,3\n", [], "expected 30 readings a row, found 3"),
        ("", [], "expected a table of numbers"),
        ("1,x\n2,y\n", [], "expected a table of numbers"),
        ("0.1,O.2\n0.3,0.4\n", [], "expected a table of numbers"),
        ("a,b\n", [], "expected a table of numbers, one measurement a row: there are none"),
        (",".join(["0.5"] * 30), ["--mask", "y.csv"], "y.csv: expected 1 where a sensor is on, 0 where not, found 0.5"),
        (",".join(["1"] * 30), ["--alpha", "nan"], "--alpha: expected 0 for the ODE"),
        (",".join(["nan"] * 30), [], "expected finite numbers, found nan in row 1"),
        (",".join(["1"] * 30), ["--mask", "y.csv"], "--mask: expected none, the network knows of no sensors"),
        (",".join(["1"] * 30), ["--samples", "1"], "--samples: expected at least 2, found 1"),
        (",".join(["1"] * 30), ["--alpha", "-1"], "--alpha: expected 0 for the ODE"),
        (",".join(["1"] * 30), ["--cell", "linear_vp-k2_noise-0.2_tuned_seed-0"], f"such as {CELL}"),
        (",".join(["1"] * 30), ["--measurement", "y.txt"], "y.txt: not found"),
    ],
)
def test_mistakes_are_one_line(
    text: str,
    more: list[str],
    expected: str,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("y.csv").write_text(text)
    assert infer(root, CELL, Path("y.csv"), *more) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
