"""The verification on smaller meshes: its numbers, its goals, its files; and that asv finds its benchmarks."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fluxbench.bench.cli import main
from fluxbench.bench.studies import solver_speed, verification
from fluxbench.solvers.fem.discretisation import UniformMesh
from fluxbench.solvers.fem.stock import StockScript
from fluxbench.solvers.problems.nonlinear import NONLINEAR

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarser triangles in place of the paper's, and two samples."""
    monkeypatch.setattr(verification, "SAMPLES", 2)
    monkeypatch.setattr(verification, "TRIANGLES", ((85, 20), (170, 40)))
    monkeypatch.setattr(verification, "DEGREES", (2, 4))
    monkeypatch.setattr(verification, "StockScript", lambda problem: StockScript(problem, UniformMesh(cells=(170, 40))))


@pytest.mark.usefixtures("small")
def test_every_goal_is_met_and_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "verification", "--root", str(tmp_path)]) == 0
    folder = tmp_path / "results" / "verification"
    with (folder / "verification.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["problem"] for row in rows} == {"linear", "nonlinear"}
    for problem in ("linear", "nonlinear"):
        value = {(row["quantity"], row["of"]): float(row["value"]) for row in rows if row["problem"] == problem}
        errors = {of: number for (quantity, of), number in value.items() if quantity == "error at the sensors"}
        production = errors["production mesh"]
        assert 1e-9 < errors["the reference one degree lower"] < 0.2 * production
        assert production < 1e-6 < errors["production mesh, degree 4"] < errors["production mesh, degree 2"]
        # On the same triangles the stock script and ours differ by the lumping of the reaction alone.
        assert errors["stock SNES, paper's mesh"] == pytest.approx(errors["170 x 40 P1"], rel=0.4)
        assert value["order observed", "85 x 20 to 170 x 40 P1"] == pytest.approx(2.0, abs=0.1)
    assert "| no |" not in capsys.readouterr().out
    assert "| linear: error at the sensors, production mesh |" in (folder / "verification.md").read_text()
    assert (folder / "provenance.json").exists()


@pytest.mark.usefixtures("small")
def test_a_missed_goal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PROBLEMS", [NONLINEAR])
    monkeypatch.setattr(verification, "GOAL", 1e-9)
    assert main(["study", "verification", "--root", str(tmp_path)]) == 1
    lines = (tmp_path / "results" / "verification" / "verification.md").read_text().splitlines()
    (missed,) = [line for line in lines if line.endswith("| no |")]
    assert missed.startswith("| nonlinear: error at the sensors, production mesh |")


def test_speed_is_measured_on_the_whole_job() -> None:
    row = solver_speed.generated(NONLINEAR.name, 90, 10, ranks=2)
    assert row["samples"] == 100
    assert row["seconds"] > 1.0  # Python and MPI start, too
    assert 50 < row["peak MB a rank"] < 1000


def test_asv_finds_the_benchmarks(tmp_path: Path) -> None:
    home = os.environ | {"HOME": str(tmp_path)}  # where asv keeps what it knows of the machine
    asv = str(Path(sys.executable).with_name("asv"))
    subprocess.run([asv, "machine", "--yes"], cwd=REPOSITORY, env=home, check=True, capture_output=True)
    done = subprocess.run([asv, "check", "-E", "existing"], cwd=REPOSITORY, env=home, check=False, capture_output=True)
    assert done.returncode == 0, done.stdout
    assert b"No problems found" in done.stdout
