"""Commits compared by asv: what is slower or less accurate is named, and nothing else is."""

import re
from pathlib import Path

import numpy as np

from fluxbench.bench.trends import before_package
from fluxbench.bench.trends.compare import judge, threshold
from fluxbench.bench.trends.measurements import Measurement
from tests.bench.trends.clone import bench, commit, git

BEFORE_THE_PACKAGE = "64f343d"
STEP, JACOBIAN, TRACKED = "training.Step.time_step", "solvers.Jacobian.time_jacobian", "accuracy.Table2.track_w1"
PATTERN = rf"{STEP}\('paper, densities', 250\)|{JACOBIAN}|{TRACKED}\('tanh', 've'"
FAULTS = {
    "diffusion/losses.py": """
_loss = denoising_score_matching


def denoising_score_matching(*arguments):
    for _ in range(4):
        _loss(*arguments)
    return _loss(*arguments)
""",
    "diffusion/integrators/exponential.py": """
_integrate = Exponential.integrate


def _wrong(self, *arguments):
    found = _integrate(self, *arguments)
    return Samples((1.0 + 0.5 * self.alpha) * found.x, found.evaluations)


Exponential.integrate = _wrong
""",
}
"""A slowdown of every step, and a bug of the SDE: what is written to the ends of files."""


def test_a_slowdown_and_a_bug_are_named_beside_a_commit_from_before_the_package(clone: Path) -> None:
    """Whose solver, training and whole small run, by the old command line, today's benchmarks measure too."""
    for name, fault in FAULTS.items():
        with (clone / name).open("a") as file:
            file.write(fault)
    git(clone, "commit", "--quiet", "--all", "--message", "A slowdown and a bug")
    done = bench(clone, "compare", BEFORE_THE_PACKAGE, "--rounds", "2", "--bench", PATTERN)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "look slower; they are measured again" in said
    verdicts = re.findall(r"^(WORSE|ok) +(\S.*): \S+ -> \S+, \S+ times", done.stdout, re.MULTILINE)
    found = {name: verdict for verdict, name in verdicts}
    assert found.pop(JACOBIAN, None) is not None, said  # measured twice; another test's equal timings pass
    assert found == {
        f"{TRACKED}('tanh', 've', 'ODE')": "ok",
        f"{TRACKED}('tanh', 've', 'SDE')": "WORSE",
        f"{STEP}('paper, densities', 250)": "WORSE",
    }, said
    assert "4 benchmarks compared" in said


def test_an_equal_commit_passes_and_one_with_another_value_does_not(checkout: Path) -> None:
    """The value is the commit's, not that of the code that runs asv, in which there is none."""
    base = git(checkout, "rev-parse", "HEAD")
    value = {"bench/trends/__init__.py": ("VALUE = 1.0", "VALUE = 1.0  # no change")}
    same = commit(checkout, value, "Nothing that counts")
    pattern = "sum|list|value"
    done = bench(checkout, "compare", base, "--new", same, "--rounds", "2", "--bench", pattern)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 benchmarks compared, 0 worse" in done.stdout
    commit(checkout, {"bench/trends/__init__.py": ("VALUE = 1.0", "VALUE = 2.0")}, "Another value")
    done = bench(checkout, "compare", same, "--bench", "track")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.findall(r"^WORSE +(.*)$", done.stdout, re.MULTILINE) == [
        f"light.track_value('{where}'): 1 -> 2, 2.00 times (allowed: 1.05)" for where in ("elsewhere", "here")
    ]


def test_a_commit_with_the_package_gets_no_aliases(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    before_package.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "src"]
    assert before_package.folders(tmp_path) == [tmp_path / "src"]


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
