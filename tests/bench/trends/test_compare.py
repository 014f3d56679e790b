"""Commits compared by asv: what is slower or less accurate is named, and nothing else is."""

import re
from pathlib import Path

import numpy as np

from bench.trends.compare import judge, threshold
from bench.trends.measurements import Measurement
from tests.bench.trends.clone import bench, commit, git

STEP = "training.Step.time_step"
PATTERN = rf"{re.escape(STEP)}\('paper, densities', 250\)|Table2.track_(s1|w1)\('tanh', 've', 'ODE'\)"


def test_a_slowdown_and_a_bug_are_named_and_an_equal_commit_passes(checkout: Path) -> None:
    base = git(checkout, "rev-parse", "HEAD")
    loss, samplers = (
        "    error = (network.noise_prediction(",
        "return Samples(grid.denoise(score, x, steps - 1, rows), ",
    )
    same = commit(checkout, {"diffusion/losses.py": (loss, f"    # no change\n{loss}")}, "Nothing that counts")
    done = bench(checkout, "compare", base, "--new", same, "--rounds", "2", "--bench", PATTERN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 benchmarks compared, 0 worse" in done.stdout
    more = "    for _ in range(4):\n        network.noise_prediction(m * x0 + sigma * z, y, t)\n"
    spoilt = commit(
        checkout,
        {
            "diffusion/losses.py": (loss, f"{more}{loss}"),
            "diffusion/samplers.py": (samplers, samplers.replace("Samples(", "Samples(1.5 * ")),
        },
        "A slowdown and a bug",
    )
    done = bench(checkout, "compare", same, "--new", spoilt, "--rounds", "2", "--bench", PATTERN)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 timing(s) look slower; they are measured again" in done.stdout
    worse = re.findall(r"^WORSE\s+([\w.]+)\(", done.stdout, re.MULTILINE)
    assert {STEP, "accuracy.Table2.track_w1"} <= set(worse)


def timing(samples: np.ndarray) -> Measurement:
    return Measurement("a.time_a", "time", (), float(np.median(samples)), list(samples))


def test_noise_raises_few_alarms_and_a_slowdown_beyond_the_threshold_one() -> None:
    """Three turns of five samples; each turn of each commit finds the machine in another mood."""
    random = np.random.default_rng(0)

    def turns(slower: float) -> Measurement:
        mood = np.exp(0.05 * random.standard_normal(3)).repeat(5)
        return timing(slower * mood * np.exp(0.05 * random.standard_normal(15)))

    def alarms(slower: float) -> int:
        """Of two runs each, as a comparison makes them."""
        return sum(all(judge(turns(1.0), turns(slower), 0.15).worse for _ in range(2)) for _ in range(500))

    assert alarms(1.0) == 0
    assert alarms(1.15) <= 50
    assert alarms(1.5) >= 490


def test_too_few_samples_must_all_be_slower() -> None:
    assert judge(timing(np.array([1.0, 1.1])), timing(np.array([1.4, 1.5])), 0.15).worse
    assert not judge(timing(np.array([1.0, 1.3])), timing(np.array([1.4, 1.5])), 0.15).worse


def test_tracked_numbers_may_grow_by_their_threshold() -> None:
    def track(value: float | None) -> Measurement:
        return Measurement("accuracy.Flux.track_error", "track", ("0.1",), value)

    assert not judge(track(1.0), track(1.19), 0.2).worse
    assert judge(track(1.0), track(1.21), 0.2).worse
    assert judge(track(1.0), track(None), 0.2).worse
    assert not judge(track(None), track(1.0), 0.2).worse
    assert str(judge(track(1.0), track(None), 0.2)) == "accuracy.Flux.track_error(0.1): 1 -> fails"
    assert str(judge(track(None), track(None), 0.2)) == "accuracy.Flux.track_error(0.1): failed at the base too"


def test_the_largest_threshold_that_matches_counts() -> None:
    thresholds = {r".*\.time_": 0.15, r"solvers\.": 0.3}
    assert threshold(thresholds, "solvers.Measure.time_measure(1)") == 0.3
    assert threshold(thresholds, "training.Step.time_step") == 0.15
    assert threshold(thresholds, "other") == 0.05
