"""The measuring commands measure what they say, on answers that are known."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import density_accuracy, posterior_accuracy, processes, sampler_speed
from bench.goals import goal, publish
from diffusion.formulations import VariancePreserving
from diffusion.networks import FEATURES, PreconditionedNetwork, ResidualNetwork


def unit_normals(monkeypatch: pytest.MonkeyPatch) -> sampler_speed.Problem:
    """An untrained residual network: the exact score of unit normals, whatever y is."""
    monkeypatch.setattr(sampler_speed, "ROWS", 2_000)
    network = PreconditionedNetwork(VariancePreserving(), ResidualNetwork(FEATURES + 2 + 1, 2, 2, 8))
    network.requires_grad_(False)
    t_min = network.formulation.sampling_end(0.0, 2e-3)
    return sampler_speed.Problem("normals", network, 2, torch.zeros(4, 1, dtype=torch.float64), t_min)


def test_samplers_are_compared_with_the_flow_that_they_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = unit_normals(monkeypatch)
    with torch.no_grad():
        reference = sampler_speed.converged(problem, 0)
    # The flow of unit normals is known: from sigma~(1) down to nothing.
    ratio = problem.network.formulation.noise_ratio(torch.ones((), dtype=torch.float64))
    exact = problem.normals(0, torch.float64)() * ratio / (1.0 + ratio**2).sqrt()
    torch.testing.assert_close(reference, exact, rtol=0.0, atol=1e-4)
    rows = {row["sampler"]: row for row in sampler_speed.measure(problem, rounds=1)}
    assert rows["ODE, exponential, 24 steps"]["evaluations"] == 24
    assert rows["ODE, exponential, 32 steps"]["W1"] < rows["ODE, exponential, 12 steps"]["W1"]
    assert rows["ODE, exponential, 24 steps"]["W1"] < 0.01
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


def test_a_posterior_is_summed_up_by_error_spread_and_coverage() -> None:
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(500, 3))
    truth = centre + 0.5 * rng.normal(size=centre.shape)
    samples = centre[:, None] + 0.5 * rng.normal(size=(500, 400, 3))
    found = posterior_accuracy.summary(samples, truth, mean_flux=2.0)
    assert found["error"] == pytest.approx(0.5 * np.sqrt(2.0 / np.pi) / 2.0, rel=0.05)
    assert found["std"] == pytest.approx(0.5, rel=0.02)
    assert found["coverage"] == pytest.approx(0.9, abs=0.025)


def test_table_2_is_compared_entry_by_entry() -> None:
    common = {"recipe": "tuned", "dataset": "tanh", "sampler": "ODE", "floor": 0.02, "generated": 9, "evaluations": 24}
    ve = common | {"formulation": "ve", "k": "", "paper": 0.05}
    vp = common | {"formulation": "vp", "k": "2", "paper": 0.04}
    scores = [row | {"metric": "S1", "score": s} for row, s in ((ve, 0.02), (ve, 0.03), (vp, 0.04))]
    scores += [row | {"metric": "S1-pairs", "score": 0.03} for row in (ve, vp)]
    scores += [
        ve | {"metric": "S1", "score": 9.0, "recipe": "paper"},
        ve | {"metric": "W1", "score": 9.0, "paper": None},
    ]
    table = density_accuracy.entries(scores)
    assert [(row["metric"], row["formulation"]) for row in table] == list(product(("S1", "S1-pairs"), ("ve", "vp-k2")))
    assert table[0]["score / floor"] == pytest.approx(1.25)
    assert table[0]["std over seeds"] == pytest.approx(0.005 * 2**0.5)
    below, pairs, ratio = density_accuracy.goals_of(table)
    assert (below["value"], below["reached"]) == (1, "no")  # 0.04 is the paper's
    assert (pairs["value"], pairs["reached"]) == (2, "yes")
    assert (ratio["value"], ratio["reached"]) == (pytest.approx(0.065 / 0.04), "no")


def test_processes_writes_the_table_and_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["processes", "--root", str(tmp_path)])
    assert processes.main() == 0
    folder = tmp_path / "results" / "processes"
    assert "| vp-k4 | 0.5 |" in (folder / "processes.md").read_text()
    assert (folder / "figure1.png").stat().st_size > 10_000


def test_a_missed_goal_is_a_failure(tmp_path: Path) -> None:
    tables, made = {"Numbers": [{"what": "one", "value": 1.5}]}, {"provenance": {"commit": "abc"}}
    hit, miss = goal("speed", 3.0, True, "at least 2"), goal("speed", 1.0, False, "at least 2")
    assert publish(tmp_path / "some", "Title", "command", tables, [hit], made) == 0
    assert publish(tmp_path / "some", "Title", "command", tables, [hit, miss], made) == 1
    assert "| speed | 1 | at least 2 | no |" in (tmp_path / "some" / "some.md").read_text()
    assert (tmp_path / "some" / "some.csv").read_text().splitlines() == ["table,what,value", "Numbers,one,1.5"]
    assert json.loads((tmp_path / "some" / "provenance.json").read_text()) == made


def test_networks_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = {sampler_speed: ".h5: not found", posterior_accuracy: ".h5: not found", density_accuracy: "a score file"}
    for command, text in missing.items():
        monkeypatch.setattr("sys.argv", ["command", "--root", str(tmp_path)])
        assert command.main() == 2
        assert text in capsys.readouterr().err
