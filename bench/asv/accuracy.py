"""Accuracy of a small run, ``accuracy.toml``: every entry of Table 2, and the linear flux problem by noise level.

Networks are trained once a commit. Lower is better everywhere, and nothing is near zero, so that a share of a number is
a fair threshold: ratios to what exact samples get rather than differences.
"""

import csv
import subprocess
import sys
from itertools import product
from pathlib import Path
from statistics import fmean

from fluxbench.errors import InputError

PROFILE = Path(__file__).with_name("accuracy.toml")
FORMULATIONS = ("ve", "vp-k2")
SAMPLERS = ("ODE", "SDE")

Scores = dict[tuple[str, ...], float]
"""By metric, problem, noise level, formulation and sampler."""

STAGES = ("solve", "reference", "train", "sample", "score")


def setup_cache() -> Scores:
    """Solve, train, sample and score, and read the tidy table."""
    run(Path.cwd())
    return read(Path.cwd())


def run(root: Path, *changes: str) -> None:
    """Make the small run through the command line, which seldom changes.

    Args:
        root: where runs/ and results/ lie.
        changes: of its configuration, as ``--set`` takes them.

    Raises:
        InputError: if a stage fails.
    """
    options = [text for change in (f"root={root}", "address=none", *changes) for text in ("--set", change)]
    for stage in STAGES:
        command = [sys.executable, "-m", "fluxbench.bench.cli", stage, "--profile", str(PROFILE), *options]
        status = subprocess.run(command, check=False).returncode
        if status != 0:
            raise InputError(f"the small run: stage {stage} ended with status {status}, see above")


def read(root: Path, seed: str = "0") -> Scores:
    """Read what networks of a training seed have reached."""
    with (root / "results" / "accuracy" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["wall"] and row["seed"] == seed]
    scores: Scores = {}
    for row in rows:
        where = tuple(row[name] for name in ("problem", "noise", "formulation", "sampler"))
        scores[row["metric"], *where] = float(row["value"])
        if row["floor"]:
            scores[f"floor of {row['metric']}", *where] = float(row["floor"])
    return scores


setup_cache.timeout = 3600  # type: ignore[attr-defined]


class Table2:
    """An entry of Table 2, in one reading of its metric, and in the exact distance."""

    params = (("tanh", "bimodal", "spiral"), FORMULATIONS, SAMPLERS)
    param_names = ("problem", "formulation", "sampler")
    unit = "x"

    def track_s1(self, scores: Scores, problem: str, formulation: str, sampler: str) -> float:
        """Entropic transport cost to the test samples in a band of y."""
        return scores["S1", problem, "", formulation, sampler]

    def track_w1(self, scores: Scores, problem: str, formulation: str, sampler: str) -> float:
        """1-Wasserstein distance to the exact conditional."""
        return scores["W1", problem, "", formulation, sampler]


class Table2Mean:
    """The mean over all entries, which training seeds change less."""

    unit = "x"

    def track_s1(self, scores: Scores) -> float:
        """Return the mean over entries of the entropic transport cost to the test samples in a band of y."""
        return fmean(scores["S1", problem, "", *which] for problem, *which in product(*Table2.params))

    def track_w1(self, scores: Scores) -> float:
        """Return the mean over entries of the 1-Wasserstein distance to the exact conditional."""
        return fmean(scores["W1", problem, "", *which] for problem, *which in product(*Table2.params))


class Flux:
    """The linear flux problem at a noise level, against truths and reference posteriors."""

    params = (("0.01", "0.1", "0.3"), FORMULATIONS, SAMPLERS)
    param_names = ("noise", "formulation", "sampler")
    unit = "1"

    def track_error(self, scores: Scores, noise: str, formulation: str, sampler: str) -> float:
        """Error of the posterior mean, in mean fluxes."""
        return scores["error", "linear", noise, formulation, sampler]

    def track_error_ratio(self, scores: Scores, noise: str, formulation: str, sampler: str) -> float:
        """Error of the posterior mean over that of exact samples."""
        error = scores["error", "linear", noise, formulation, sampler]
        return error / scores["floor of error", "linear", noise, formulation, sampler]

    def track_spread_ratio(self, scores: Scores, noise: str, formulation: str, sampler: str) -> float:
        """Standard deviation over the reference posterior's, or the inverse of that if it is below 1."""
        ratio = scores["std ratio", "linear", noise, formulation, sampler]
        return max(ratio, 1.0 / ratio)

    def track_calibration_error(self, scores: Scores, noise: str, formulation: str, sampler: str) -> float:
        """Mean distance of credible intervals' coverage from their level."""
        return scores["calibration error", "linear", noise, formulation, sampler]

    def track_marginal_w1(self, scores: Scores, noise: str, formulation: str, sampler: str) -> float:
        """1-Wasserstein distance to the reference posterior, segment by segment, in its standard deviations."""
        return scores["marginal W1", "linear", noise, formulation, sampler]

    def track_sliced_w1(self, scores: Scores, noise: str, formulation: str, sampler: str) -> float:
        """1-Wasserstein distance to the reference posterior along random directions, whitened."""
        return scores["sliced W1", "linear", noise, formulation, sampler]
