"""One network for every mask and every noise level, through the command line."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from fluxbench.bench.cli import main
from fluxbench.bench.config import load
from fluxbench.bench.run import Run
from fluxbench.errors import InputError
from fluxbench.solvers.data.measurements import MeasurementOperator

CHANGES = [
    "name=amortised",
    "densities.problems=[]",
    "flux.problems=['multi-operator']",
    "flux.noise=[0.05, 0.4]",
    "flux.amortised=true",
    "flux.train_samples=3000",
    "flux.test_samples=60",
    "flux.measurements=60",
    "flux.generated=50",
    "flux.references=0",
    "flux.epochs=300",
    "training.formulations=['vp-k2']",
    "sampling.alphas=[0.0]",
    "sampling.costs=0",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    changes = [*CHANGES, "address=none", f"root={tmp_path_factory.mktemp('amortised')}"]
    assert main(["run", *(text for change in changes for text in ("--set", change))]) == 0
    return Run(load("quick", changes))


def test_one_network_serves_every_level_above_zero(run: Run) -> None:
    assert len(run.cells) == 2 + 1
    assert len(run.sample_sets) == 2 + 2
    shared = {cell.name for cell in run.cells if cell.amortised}
    assert shared == {"multi-operator_vp-k2_noise-amortised_tuned_seed-0"}
    assert len(list((run.folder / "cells").glob("*.pt"))) == 3
    assert len(list((run.folder / "samples").glob("*.h5"))) == 4


def test_it_stands_beside_one_network_a_level(run: Run) -> None:
    with (run.results / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "error"]
    for noise in ("0.05", "0.4"):
        values = {
            amortised: np.mean([float(row["value"]) for row in rows if (row["noise"], row["amortised"]) == key])
            for amortised in ("", "yes")
            for key in [(noise, amortised)]
        }
        exact = np.mean([float(row["linear_gaussian"]) for row in rows if row["noise"] == noise])
        assert 0.95 * exact < values["yes"] < 1.08 * exact
        assert values["yes"] < 1.05 * values[""]
    text = (run.results / "report.md").read_text()
    assert "| multi-operator | 0.4 | tuned | VP (k = 2), amortised | ODE |" in text


def test_it_believes_what_it_is_told_of_the_noise(run: Run) -> None:
    """The same readings, said to be noisier, leave a wider posterior."""
    each = next(each for each in run.sample_sets if each.cell.amortised)
    assert each.cell.noise == (0.05, 0.4)
    posterior, data = run.posterior(each.cell), run.dataset(each.problem)
    stds = []
    measured = MeasurementOperator.of(data, 0.05).measure(data.test, "test")
    for noise in (0.05, 0.15, 0.4):
        told = replace(measured, noise=np.full(len(measured.y), noise))
        stds.append(posterior.draw(told, 50, each.integrator, 0)[0].std(axis=1).mean())
    assert stds[0] < stds[1] < stds[2]  # by little after so few steps: the mean is learnt first, the spread later
    assert run.samples(each).x.std(axis=1).mean() == pytest.approx(stds[0], rel=0.02)


def test_a_level_must_be_said_and_be_in_the_range(run: Run) -> None:
    each = next(each for each in run.sample_sets if each.cell.amortised)
    posterior, y = run.posterior(each.cell), run.dataset(each.problem).test.y[0]
    assert posterior.sample(y, 5, noise=0.1).shape == (5, 30)
    for noise, found in ((None, "none"), (0.5, "0.5")):
        with pytest.raises(InputError, match=f"noise: expected a level from 0.05 to 0.4, found {found}"):
            posterior.sample(y, 5, noise=noise)


def test_level_zero_is_not_in_the_range() -> None:
    run = Run(load("quick", [*CHANGES, "flux.noise=[0.0, 0.1, 0.4]"]))
    shared = [(each.noise, each.cell.noise) for each in run.sample_sets if each.cell.amortised]
    assert shared == [(0.1, (0.1, 0.4)), (0.4, (0.1, 0.4))]


def test_a_range_needs_a_level_above_zero() -> None:
    with pytest.raises(InputError, match=r"flux: expected a noise level above 0 for amortised"):
        load("quick", ["flux.amortised=true", "flux.noise=[0.0]"])
