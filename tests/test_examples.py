"""The examples and the README's first lines do what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

import fluxbench
from examples import own_formulation, own_measurement, own_problem, own_samples

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("python")


def test_a_problem_of_ones_own_is_learnt(folder: Path) -> None:
    assert own_problem.main(folder, epochs=40) < 0.2  # the prior's mean is 0.6 away
    with pytest.raises(fluxbench.InputError, match="'decay', which is another problem's"):
        fluxbench.problem(own_problem.FluxProblem("decay", own_problem.poiseuille(0.2), 0.016))


def test_a_formulation_of_ones_own_samples_a_gaussian() -> None:
    mean, std = own_formulation.main()
    assert mean == pytest.approx(own_formulation.MEAN, abs=0.01)
    assert std == pytest.approx(own_formulation.STD, rel=0.02)


def test_samples_of_ones_own_stand_beside_exact_ones() -> None:
    scores = own_samples.main()
    assert scores.loc["error", "value"] < 1.1 * scores.loc["error", "floor"]  # least squares has it
    assert scores.loc["energy distance", "floor"] < scores.loc["energy distance", "value"]  # what it has not
    assert scores.loc["sliced W1", "value"] < scores.loc["sliced W1", "prior"]


def test_the_readme_opens_with_lines_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And they leave what the third example looks for."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert README.index(code) < README.index("./run")
    assert len(code.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    variables: dict[str, object] = {}
    exec(code.replace("epochs=200", "epochs=40"), variables)  # noqa: S102 - our own
    samples, exact = (np.asarray(variables[name]) for name in ("samples", "exact"))
    assert samples.shape == exact.shape == (1000, 30)
    assert np.abs(samples.mean(axis=0) - exact.mean(axis=0)).mean() < 0.25
    assert own_measurement.main(tmp_path / "runs" / "python", epochs=40) >= 0.7


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    linear = fluxbench.problem("tanh")
    for call, message in (
        (lambda: fluxbench.problem("heat"), "problem: expected one of bimodal, "),
        (lambda: linear.observation(4), "tanh: expected measurements 0 to 3, found 4"),
        (lambda: fluxbench.train("tanh", recipe="best", folder=tmp_path), "recipe: expected one of paper, tuned"),
        (lambda: fluxbench.train("tanh", formulation="vp", folder=tmp_path), "formulation: no formulation is called"),
        (lambda: fluxbench.score(np.zeros((4, 5)), "tanh"), r"samples: expected the shape \(M, S, 1\)"),
        (lambda: fluxbench.score(np.full((4, 5, 1), np.nan), "tanh"), "samples: expected finite numbers"),
        (lambda: fluxbench.problem("linear").reference(0), "linear: expected noise above 0"),
    ):
        with pytest.raises(fluxbench.InputError, match=message):
            call()


def test_tasks_are_the_runs_own(tmp_path: Path) -> None:
    """Pairs and observations of a joint density, whose exact conditional is known, and scores of exact samples."""
    task = fluxbench.problem("tanh")
    assert task.simulate(5, seed=0).x.shape == (5, 1)
    np.testing.assert_array_equal(task.simulate(5, seed=0).x, task.dataset.train.x[:5])
    assert [task.observation(i).item() for i in range(4)] == [-1.0, -0.5, 0.5, 1.0]
    exact = np.stack([task.reference(i, samples=500) for i in range(4)])
    scores = fluxbench.score(exact, task)
    assert scores.loc["W1", "value"] < 0.1 * scores.loc["W1", "prior"]
