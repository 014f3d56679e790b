"""Commits compared by asv: what is slower or less accurate is named, and nothing else is."""

import re
from pathlib import Path

import numpy as np

from fluxbench.bench.trends.compare import judge, threshold
from fluxbench.bench.trends.measurements import Measurement
from tests.bench.trends.clone import bench, commit, git

STEP = "training.Step.time_step"
PATTERN = rf"{re.escape(STEP)}\('paper, densities', 250\)|Table2.track_(s1|w1)\('tanh', 've', 'SDE'\)"


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
    """Each round of each commit finds the machine in another mood, as slow as a virtual one may be."""
    random = np.random.default_rng(0)

    def measured(slower: float, rounds: int) -> Measurement:
        mood = np.exp(0.17 * random.standard_normal(rounds)).repeat(5)
        return timing(slower * mood * (1.0 + random.exponential(0.2, 5 * rounds)))

    def alarms(slower: float, rounds: int = 5) -> int:
        """Of two runs each, as a comparison makes them."""
        pairs = [[(measured(1.0, rounds), measured(slower, rounds)) for _ in range(2)] for _ in range(500)]
        return sum(all(judge(base, new, 0.15, rounds).worse for base, new in two) for two in pairs)

    assert alarms(1.0) == 0
    assert alarms(1.0, rounds=2) <= 10
    assert alarms(1.15) <= 5
    assert alarms(2.0) >= 475
    assert alarms(1.5, rounds=12) >= 440


def test_a_round_counts_by_its_best_time() -> None:
    base, new = np.array([[1.0, 9.0], [1.1, 9.0], [1.2, 9.0]]), np.array([[9.0, 1.4], [1.5, 9.0], [9.0, 1.6]])
    found = judge(timing(base.ravel()), timing(new.ravel()), 0.15, 3)
    assert (found.base, found.new, found.worse) == (1.1, 1.5, True)
    assert not judge(timing(base.ravel()), timing(new.ravel()), 0.2, 3).worse  # 1.4 is below 1.2 * 1.2


def test_tracked_numbers_may_grow_by_their_threshold() -> None:
    def track(value: float | None) -> Measurement:
        return Measurement("accuracy.Flux.track_error", "track", ("0.1",), value)

    assert not judge(track(1.0), track(1.19), 0.2, 1).worse
    assert judge(track(1.0), track(1.21), 0.2, 1).worse
    assert judge(track(1.0), track(None), 0.2, 1).worse
    assert not judge(track(None), track(1.0), 0.2, 1).worse
    assert str(judge(track(1.0), track(None), 0.2, 1)) == "accuracy.Flux.track_error(0.1): 1 -> fails"
    assert str(judge(track(None), track(None), 0.2, 1)) == "accuracy.Flux.track_error(0.1): failed at the base too"


def test_the_largest_threshold_that_matches_counts() -> None:
    thresholds = {r".*\.time_": 0.15, r"solvers\.": 0.3}
    assert threshold(thresholds, "solvers.Measure.time_measure(1)") == 0.3
    assert threshold(thresholds, "training.Step.time_step") == 0.15
    assert threshold(thresholds, "other") == 0.05
