"""The numbers that asv tracks."""

import re
from itertools import product
from pathlib import Path

import pytest

from fluxbench.bench.asv import accuracy, samplers, solvers, training
from fluxbench.bench.trends.measurements import configuration
from tests.bench.trends.clone import REPOSITORY


def test_every_tracked_accuracy_has_a_threshold_of_its_own() -> None:
    thresholds = configuration(REPOSITORY / "asv.conf.json").regressions_thresholds
    for group in (accuracy.Table2, accuracy.Table2Mean, accuracy.Flux):
        for name in vars(group):
            if name.startswith("track_"):
                assert [pattern for pattern in thresholds if re.match(pattern, f"accuracy.{group.__name__}.{name}")]


def test_every_round_of_a_timing_takes_as_many_samples() -> None:
    for module in (samplers, solvers, training):
        for name, group in vars(module).items():
            if isinstance(group, type) and any(each.startswith("time_") for each in dir(group)):
                assert isinstance(group.repeat, int), name
                assert group.repeat >= 2


def test_tracked_numbers_are_those_of_the_tidy_table(tmp_path: Path) -> None:
    """Of a table in which each number tells where it stands."""
    names = ("metric", "problem", "noise", "formulation", "sampler", "seed", "wall", "value", "floor")
    rows = []
    for i, where in enumerate(product(*accuracy.Table2.params)):
        for metric, value in (("S1", 0.1 + i), ("W1", 0.2 + i)):
            rows.append((metric, where[0], "", *where[1:], "0", "", value, ""))
    metrics = ("error", "calibration error", "std ratio", "marginal W1", "sliced W1")
    for i, where in enumerate(product(*accuracy.Flux.params)):
        for j, metric in enumerate(metrics):
            rows.append((metric, "linear", *where, "0", "", 0.25 + i + j, 2.0 if metric == "error" else ""))
            rows.append((metric, "linear", *where, "1", "", 99.0, 99.0))  # another seed
            rows.append((metric, "linear", *where, "0", "upper", 99.0, 99.0))  # a segment
    folder = tmp_path / "results" / "accuracy"
    folder.mkdir(parents=True)
    lines = [",".join(map(str, row)) for row in (names, *rows)]
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    scores = accuracy.read(tmp_path)
    for i, where in enumerate(product(*accuracy.Table2.params)):
        assert accuracy.Table2().track_s1(scores, *where) == 0.1 + i
        assert accuracy.Table2().track_w1(scores, *where) == 0.2 + i
    assert accuracy.Table2Mean().track_s1(scores) == pytest.approx(0.1 + 5.5)
    assert accuracy.Table2Mean().track_w1(scores) == pytest.approx(0.2 + 5.5)
    flux = accuracy.Flux()
    for i, where in enumerate(product(*accuracy.Flux.params)):
        assert flux.track_error(scores, *where) == 0.25 + i
        assert flux.track_error_ratio(scores, *where) == (0.25 + i) / 2.0
        assert flux.track_calibration_error(scores, *where) == 1.25 + i
        assert flux.track_spread_ratio(scores, *where) == 2.25 + i
        assert flux.track_marginal_w1(scores, *where) == 3.25 + i
        assert flux.track_sliced_w1(scores, *where) == 4.25 + i
    assert (
        flux.track_spread_ratio(scores | {("std ratio", "linear", "0.1", "ve", "ODE"): 0.5}, "0.1", "ve", "ODE") == 2.0
    )
