"""Studies measure what they say, on answers that are known, and say what is wrong."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from fluxbench.bench import study
from fluxbench.bench.cli import main
from fluxbench.bench.published import TABLE2
from fluxbench.bench.studies import density_accuracy, metric_power, sampler_speed
from fluxbench.bench.study import Findings, Options, goal, publish
from fluxbench.diffusion.integrators import INTEGRATORS
from fluxbench.errors import InputError
from fluxbench.solvers.data.measurements import IDENTITY, Measured
from fluxbench.training import checkpoints
from fluxbench.training.cells import Cell
from fluxbench.training.normalisation import Normalisation
from fluxbench.training.posterior import Posterior
from fluxbench.training.recipes import RECIPES


def unit_normals(monkeypatch: pytest.MonkeyPatch) -> sampler_speed.Problem:
    """An untrained residual network: the exact score of unit normals, whatever y is."""
    monkeypatch.setattr(sampler_speed, "ROWS", 2_000)
    cell = Cell("normals", "vp-k2", 0.0, "tuned", 0, replace(RECIPES["tuned"]["flux"], hidden_layers=2, width=8))
    network = checkpoints.build_network(cell, 2, 1).requires_grad_(False)
    posterior = Posterior(cell, network, IDENTITY, IDENTITY, Normalisation.identity(2), 2, 1, masked=False)
    return sampler_speed.Problem(posterior, Measured(np.zeros((4, 2)), np.zeros((4, 1)), None, np.zeros(4)))


def test_samplers_are_compared_with_the_flow_that_they_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = unit_normals(monkeypatch)
    with torch.no_grad():
        reference = sampler_speed.converged(problem, 0)
    # The flow of unit normals is known: from sigma~(1) down to nothing.
    ratio = problem.posterior.formulation.noise_ratio(torch.ones((), dtype=torch.float64))
    exact = problem.normals(0, torch.float64)() * ratio / (1.0 + ratio**2).sqrt()
    torch.testing.assert_close(reference, exact, rtol=0.0, atol=1e-4)
    rows = {row["sampler"]: row for row in sampler_speed.compared(problem, rounds=1)}
    assert rows["ODE, exponential, 16 steps"]["evaluations"] == 16
    assert rows["ODE, exponential, 24 steps"]["W1"] < rows["ODE, exponential, 12 steps"]["W1"]
    assert rows["ODE, exponential, 16 steps"]["W1"] < 0.01
    for method in ("Runge-Kutta", "SciPy's RK45"):
        assert rows[f"ODE, {method}, 1e-05"]["W1"] < 1e-4
    assert rows["SDE, exponential, 64 steps"]["W1"] == pytest.approx(rows[sampler_speed.FLOOR]["W1"], rel=0.5)


def test_errors_are_in_units_of_the_references_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = unit_normals(monkeypatch)
    reference = 3.0 * problem.normals(0, torch.float64)()
    shifted = sampler_speed.errors(problem, reference + 0.3, reference)
    assert shifted["W1"] == pytest.approx(0.1, rel=0.05)
    assert shifted["mean"] == pytest.approx(0.1, rel=0.05)
    assert shifted["std"] == pytest.approx(0.0, abs=1e-9)
    centred = reference - reference.reshape(4, 500, 2).mean(dim=1).repeat_interleave(500, dim=0)
    assert sampler_speed.errors(problem, 1.2 * centred, centred)["std"] == pytest.approx(0.2)


def test_every_integrator_is_compared() -> None:
    """SciPy's is no integrator of the suite."""
    assert {type(each).method for each in sampler_speed.SAMPLERS.values()} == set(INTEGRATORS)
    assert sampler_speed.SciPy not in INTEGRATORS.values()


def table2_scores(metric: str, score: float, seeds: int = 1) -> pd.DataFrame:
    """Every entry that the paper printed, with floors of 0.02."""
    common = {"recipe": "tuned", "metric": metric, "floor": 0.02, "generated": 9, "evaluations": 24}
    rows = [
        common
        | {"formulation": formulation, "alpha": alpha, "sampler": "SDE" if alpha else "ODE"}
        | {"problem": dataset, "value": score + 0.002 * seed}
        | {"paper": paper if metric != "W1" else None}
        for (formulation, alpha, dataset), paper in TABLE2.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def test_table_2_is_compared_entry_by_entry() -> None:
    numbers = {"S1": table2_scores("S1", 0.024, seeds=2), "S1-pairs": table2_scores("S1-pairs", 0.0405)}
    scores = pd.concat([*numbers.values(), table2_scores("W1", 0.03).astype({"paper": float})])
    others = [scores.assign(value=9.0, recipe="paper"), scores.assign(value=9.0, formulation="vp-k1")]
    table = density_accuracy.entries(pd.concat([scores, *others]))
    assert len(table) == 3 * len(TABLE2)
    first = table.iloc[0]
    assert (first["metric"], first["data set"], first["formulation"], first["sampler"]) == ("S1", "tanh", "ve", "ODE")
    assert (first["seeds"], first["paper"]) == (2, 0.051)
    assert first["score / floor"] == pytest.approx(1.25)
    assert first["std over seeds"] == pytest.approx(0.002 / 2**0.5)
    below, ratio, pairs = density_accuracy.goals_of(table)
    assert (below["value"], below["reached"]) == (12, "yes")
    assert (ratio["value"], ratio["reached"]) == (pytest.approx(1.25), "yes")
    assert (pairs["value"], pairs["reached"]) == (11, "no")  # VE, SDE, tanh: 0.040
    means = density_accuracy.means(table).set_index(["metric", "sampler"])["score / floor"]
    assert means["W1", "SDE"] == pytest.approx(1.5)
    with pytest.raises(InputError, match=r"table2: expected the 12 entries of the paper in S1, found 11"):
        density_accuracy.goals_of(table.drop(index=0))


def test_processes_writes_the_table_and_the_figure(tmp_path: Path) -> None:
    assert main(["study", "processes", "--root", str(tmp_path)]) == 0
    folder = tmp_path / "results" / "processes"
    text = (folder / "processes.md").read_text()
    assert "Made by `fluxbench study processes`;" in text
    assert "| vp-k4 | 0.5 |" in text
    assert (folder / "figure1.png").stat().st_size > 10_000


def test_a_missed_goal_is_a_failure(tmp_path: Path) -> None:
    tables, origin = {"Numbers": [{"what": "one", "value": 1.5}]}, {"provenance": {"commit": "abc"}}
    hit, miss = goal("speed", 3.0, True, "at least 2"), goal("speed", 1.0, False, "at least 2")
    assert publish(tmp_path / "some", "Title", "command", tables, [hit], origin) == 0
    assert publish(tmp_path / "some", "Title", "command", tables, [hit, miss], origin) == 1
    assert "| speed | 1 | at least 2 | no |" in (tmp_path / "some" / "some.md").read_text()
    assert (tmp_path / "some" / "some.csv").read_text().splitlines() == ["table,what,value", "Numbers,one,1.5"]
    assert json.loads((tmp_path / "some" / "provenance.json").read_text()) == origin


@pytest.fixture
def some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """A study called `some`, and what it was asked."""
    asked: list[Options] = []

    def measure(options: Options) -> Findings:
        asked.append(options)
        return {"Numbers": [{"what": "one"}]}, []

    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "some.py").write_text('"""What it does:\n\n- this.\n"""\nimport nothing_of_that_name\nROUNDS = 3\n')
    monkeypatch.setattr(study, "FOLDER", folder)
    module = ModuleType("some")
    module.__dict__.update(TITLE="Title", measure=measure)
    monkeypatch.setitem(sys.modules, "fluxbench.bench.studies.some", module)
    return asked


def test_a_study_says_what_is_wrong_before_it_measures(
    some: list[Options], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "some", "--root", str(tmp_path), "--rounds", "2"]) == 0
    assert some == [Options(tmp_path, 2)]
    assert json.loads((tmp_path / "results" / "some" / "provenance.json").read_text())["rounds"] == 2
    file = tmp_path / "file"
    file.touch()
    assert main(["study", "some", "--root", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"fluxbench: error: study some: [Errno 20] Not a directory: '{file}")
    assert error.count("\n") == 1
    assert main(["study", "some", "--rounds", "0"]) == 2
    assert capsys.readouterr().err == "fluxbench: error: --rounds: expected at least 1, found 0\n"
    assert len(some) == 1


def test_studies_are_told_of_without_what_they_import(some: list[Options], capsys: pytest.CaptureFixture[str]) -> None:
    """The file of this one cannot be imported."""
    assert main(["study"]) == 0
    assert "some  What it does\n" in capsys.readouterr().out
    assert main(["study", "some", "--help"]) == 0
    text = capsys.readouterr().out
    assert "  What it does:\n\n  - this.\n" in text
    assert "[default: 3]" in text
    assert "example:\n  fluxbench study some --rounds 3\n" in text
    assert main(["study", "other"]) == 2
    assert "No such command 'other'" in capsys.readouterr().err
    assert some == []


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("sampler_speed", ".h5: not found"),
        ("posterior_accuracy", "a score file"),
        ("density_accuracy", "a score file"),
    ],
)
def test_networks_that_are_not_there_are_named(
    name: str, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", name, "--root", str(tmp_path)]) == 2
    assert missing in capsys.readouterr().err


def test_metrics_flag_what_is_wrong_and_pass_what_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's own goals, with a fifth of the samples, and a twentieth of the joint density's."""
    for name, value in {"SAMPLES": 200, "GENERATED": 500, "DRAWS": 8, "FULL": 20}.items():
        monkeypatch.setattr(metric_power, name, value)
    monkeypatch.setattr(metric_power.flux, "CLASSIFIED", 3)
    tables, goals = metric_power.measure(Options(Path()))
    assert {row["what"]: row["reached"] for row in goals if row["reached"] != "yes"} == {}
    rows = next(iter(tables.values()))
    far = {
        row["samples"]: {name for name, value in row.items() if name != "samples" and abs(value) > 7} for row in rows
    }
    assert "mean shift" in far["shifted by 0.1 std"]
    assert "std ratio" in far["over-dispersed by 10 %"] & far["under-dispersed by 10 %"]
    # Right marginals: only metrics of all components together can see it.
    assert {"energy distance", "C2ST"} <= far["right marginals, no correlation"]
    assert not far["right marginals, no correlation"] & {"error", "mean shift", "std ratio", "CRPS", "marginal W1"}
    assert "excess error" in far["of another measurement"]
