"""Commits compared by asv: what is slower or less accurate is named, and nothing else is."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.trends.compare import judge, threshold
from bench.trends.measurements import Measurement

REPOSITORY = Path(__file__).parents[3]
SMALL = """
name = "accuracy"
[densities]
problems = ["tanh"]
train_samples = 10_000
test_samples = 20_000
epochs = 20
generated = 500
[flux]
problems = []
[training]
formulations = ["ve", "vp-k2"]
[sampling]
costs = 0
"""
STEP = "training.Step.time_step"
PATTERN = rf"{re.escape(STEP)}\('paper, densities', 250\)|Table2.track_(s1|w1)\('tanh'"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, changes: dict[str, tuple[str, str]], message: str) -> str:
    """Replace a text in each of some files, commit, and return the commit's hash."""
    for name, (old, new) in changes.items():
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    git(folder, "commit", "--quiet", "--all", "--message", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose accuracy is tracked by a smaller run, so that commits can be spoilt."""
    folder = tmp_path_factory.mktemp("clone") / "fluxbench"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, folder], check=True)
    (folder / "bench" / "asv" / "accuracy.toml").write_text(SMALL)
    git(folder, "commit", "--quiet", "--all", "--message", "A smaller run")
    return folder


@pytest.fixture
def checkout(clone: Path) -> Iterator[Path]:
    """The same, spoilt by one test alone."""
    base = git(clone, "rev-parse", "HEAD")
    yield clone
    git(clone, "reset", "--quiet", "--hard", base)


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("fluxbench"), "bench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_slowdown_and_a_bug_are_named_and_an_equal_commit_passes(checkout: Path) -> None:
    base = git(checkout, "rev-parse", "HEAD")
    loss, samplers = (
        "    error = (network.noise_prediction(",
        "return Samples(grid.denoise(score, x, steps - 1, rows), ",
    )
    same = commit(checkout, {"diffusion/losses.py": (loss, f"    # no change\n{loss}")}, "Nothing that counts")
    done = bench(checkout, "compare", base, "--new", same, "--rounds", "2", "--bench", PATTERN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 benchmarks compared, 0 worse" in done.stdout
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
    assert STEP in worse
    assert worse.count("accuracy.Table2.track_w1") == 4


def test_a_benchmark_that_fails_is_named_and_one_that_is_not_there_is_no_measurement(checkout: Path) -> None:
    commit(checkout, {"bench/asv/training.py": ("    def time_step(", "    def time_other(")}, "A broken benchmark")
    done = bench(checkout, "run", "--quick", "--bench", r"Step.peakmem_step\('paper, densities', 250\)")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing was measured, see above" in done.stderr
    assert "has no attribute 'time_step'" in done.stdout + done.stderr
    done = bench(checkout, "run", "--bench", "no_such_benchmark")
    assert done.returncode == 2
    assert "nothing was measured" in done.stderr
    done = bench(checkout, "run", "no-such-commit")
    assert "no-such-commit: expected a commit of this checkout" in done.stderr
    done = bench(checkout, "compare", "HEAD")
    assert "expected two commits, found HEAD and HEAD, which are the same" in done.stderr
    assert bench(checkout / "bench", "run").stderr.count("asv.conf.json: not found") == 1


def test_results_name_machine_and_environment_and_no_path(checkout: Path) -> None:
    done = bench(
        checkout, "run", "--quick", "--bench", r"Step.time_step\('paper, densities', 250\)", "--machine", "mine"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in (checkout / "results" / "asv" / "mine").glob("*.json") if path.name != "machine.json"]
    head = git(checkout, "rev-parse", "HEAD")
    assert f"{head[:8]}-commit-py3.12.json" in {path.name for path in files}
    for path in (checkout / "results" / "asv").rglob("*.json"):
        assert str(checkout) not in path.read_text()
        assert sys.prefix not in path.read_text()
    done = bench(checkout, "publish")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = checkout / "runs" / "asv" / "html"
    index = (pages / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css)"', index)
    for name in re.findall(r'(?:src|href)="([^"#:]+\.(?:js|css))"', index):
        assert (pages / name).stat().st_size > 100


def timing(name: str, samples: np.ndarray) -> Measurement:
    return Measurement(name, "time", (), float(np.median(samples)), list(samples))


def test_noise_raises_few_alarms_and_a_slowdown_beyond_the_threshold_one() -> None:
    """Machines whose speed wanders by a tenth: both commits are measured on the same ones, in turns."""
    random = np.random.default_rng(0)

    def pair(slower: float) -> tuple[Measurement, Measurement]:
        speed = np.exp(0.1 * random.standard_normal(6)).repeat(5)
        base, new = (speed * np.exp(0.05 * random.standard_normal(30)) for _ in range(2))
        return timing("a", base), timing("a", slower * new)

    assert sum(judge(*pair(1.0), 0.1).worse for _ in range(200)) <= 1
    assert sum(judge(*pair(1.1), 0.1).worse for _ in range(200)) <= 6
    assert sum(judge(*pair(1.5), 0.1).worse for _ in range(200)) == 200


def test_tracked_numbers_may_grow_by_their_threshold() -> None:
    def track(value: float | None) -> Measurement:
        return Measurement("accuracy.Flux.track_error", "track", ("0.1",), value, None)

    assert not judge(track(1.0), track(1.19), 0.2).worse
    assert judge(track(1.0), track(1.21), 0.2).worse
    assert judge(track(1.0), track(None), 0.2).worse
    assert not judge(track(None), track(1.0), 0.2).worse
    assert str(judge(track(1.0), track(None), 0.2)) == "accuracy.Flux.track_error(0.1): fails"


def test_the_largest_threshold_that_matches_counts() -> None:
    thresholds = {r".*\.time_": 0.15, r"solvers\.": 0.3}
    assert threshold(thresholds, "solvers.Measure.time_measure(1)") == 0.3
    assert threshold(thresholds, "training.Step.time_step") == 0.15
    assert threshold(thresholds, "accuracy.Flux.track_error") == 0.05
