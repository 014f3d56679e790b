"""Whether a commit is slower, larger or less accurate than another one, by asv's benchmarks.

Timings of the two take turns, round by round, so that what else the machine does strikes both. A round is a process of
its own, whose best time counts: what disturbs it only ever makes it slower. A benchmark is slower if the best times of
the rounds exceed the other commit's by more than its threshold, by a one-sided Mann-Whitney test, and if they do so
again in a second run of those alone: once may be chance where many are compared. Tracked numbers are the same each time
that a commit is measured, and their threshold is what another training seed may change (`track_noise`).
Thresholds, as shares, are those of ``regressions_thresholds`` in ``asv.conf.json``, by which asv's own pages tell
regressions.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fluxbench.arrays import Floats
from fluxbench.bench.trends.measure import NothingSelectedError, commits_of, measure
from fluxbench.bench.trends.measurements import Measurement, configuration, scratch
from fluxbench.errors import InputError

SIGNIFICANT = 0.05
"""Largest p-value of a regression, in each of two runs: together one in 400."""
ASV_THRESHOLD = 0.05
"""Threshold that asv takes where the configuration says nothing."""
TIMING = r"\.time_"
"""Pattern of the names of timings."""


@dataclass(frozen=True)
class Verdict:
    """Judgement of one benchmark at two commits.

    Attributes:
        name: name of the benchmark, with its parameters.
        base: value at the commit that is compared with, of timings the median over rounds; None if it failed.
        new: value at the commit that is judged, of timings the median over rounds; None if it failed or is not there.
        threshold: share by which ``new`` may exceed ``base``.
        worse: whether ``new`` exceeds that, or fails where the base did not.
    """

    name: str
    base: float | None
    new: float | None
    threshold: float
    worse: bool

    def __str__(self) -> str:
        """Name the benchmark, both values and what was allowed, in one line."""
        if self.base is None:
            return f"{self.name}: failed at the base{' too' if self.new is None else ''}"
        if self.new is None:
            return f"{self.name}: {self.base:.4g} -> fails"
        change = f"{self.new / self.base:.2f} times" if self.base > 0.0 else "from nothing"
        return f"{self.name}: {self.base:.4g} -> {self.new:.4g}, {change} (allowed: {1.0 + self.threshold:g})"


def compare(
    base: str, new: str, machine: str, pattern: str, rounds: int, folder: Path, say: Callable[[str], None]
) -> list[Verdict]:
    """Measure two commits and judge the second by every benchmark that the first has.

    Args:
        base: commit to compare with.
        new: commit that is judged.
        machine: name to file results under.
        pattern: regular expression of benchmarks to run.
        rounds: number of rounds, in each of which a timing is taken at both commits; the second run of those that look
            slower takes as many again.
        folder: folder for results, which is emptied.
        say: called with each line about how it goes on.

    Raises:
        InputError: if one of them is no commit, both are the same, or nothing was measured at the base.
    """
    pair = commits_of([base, new])
    if len(pair) != 2:
        raise InputError(f"expected two commits, found {base} and {new}, which are the same")
    in_turns = ["--interleave-rounds", "--record-samples", "--attribute", f"rounds={rounds}"]
    timings = _judged(pair, machine, rf"^(?=.*{TIMING})(?=.*?(?:{pattern}))", in_turns, folder, rounds)
    others = _judged(pair, machine, rf"^(?!.*{TIMING})(?=.*?(?:{pattern}))", ["--no-interleave-rounds"], folder)
    if all(verdict.base is None for verdict in [*timings, *others]):
        raise InputError(f"commit {pair[0][:8]}: nothing was measured, see above; --bench was {pattern!r}")
    suspects = [each.name for each in timings if each.worse and each.new is not None]
    if suspects:
        say(f"{len(suspects)} timing(s) look slower; they are measured again")
        again = "|".join(f"^{re.escape(name)}$" for name in suspects)
        confirmed = {each.name: each for each in _judged(pair, machine, again, in_turns, folder, rounds)}
        timings = [confirmed.get(each.name, each) for each in timings]
    return sorted([*timings, *others], key=lambda verdict: verdict.name)


def _judged(
    pair: Sequence[str], machine: str, pattern: str, options: list[str], folder: Path, rounds: int = 1
) -> list[Verdict]:
    thresholds = configuration().regressions_thresholds
    try:
        found = measure(pair, machine, pattern, options, scratch(folder))
    except NothingSelectedError:
        return []
    before, after = ({each.name: each for each in found[commit]} for commit in pair)
    gone = {name: Measurement(each.benchmark, each.kind, each.parameters) for name, each in before.items()}
    return [
        judge(each, after.get(name, gone[name]), threshold(thresholds, name), rounds) for name, each in before.items()
    ]


def judge(base: Measurement, new: Measurement, allowed: float, rounds: int) -> Verdict:
    """Judge whether a benchmark's value is worse at a commit than at its base.

    Args:
        base: measurement at the commit that is compared with; a timing's samples lie round by round.
        new: measurement at the commit that is judged.
        allowed: share of the base's value by which the new one may exceed it.
        rounds: number of rounds in which a timing was taken.
    """
    if base.value is None or new.value is None:
        worse = new.value is None and base.value is not None
    elif base.samples and new.samples:
        before, after = (np.array(each.samples).reshape(rounds, -1).min(axis=1) for each in (base, new))
        worse = _greater(after, (1.0 + allowed) * before)
        return Verdict(new.name, float(np.median(before)), float(np.median(after)), allowed, worse)
    else:
        worse = new.value > (1.0 + allowed) * base.value
    return Verdict(new.name, base.value, new.value, allowed, worse)


def _greater(samples: Floats, others: Floats) -> bool:
    """By the Mann-Whitney test; where they are too few for it, all of them must be greater than all others."""
    if math.comb(len(samples) + len(others), len(samples)) * SIGNIFICANT <= 1.0:
        return bool(samples.min() > others.max())
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - two seconds, which no other command should wait for

    return bool(mannwhitneyu(samples, others, alternative="greater").pvalue < SIGNIFICANT)


def threshold(thresholds: dict[str, float], name: str) -> float:
    """Return the largest of the thresholds whose pattern a benchmark's name matches, as asv does."""
    return max((share for pattern, share in thresholds.items() if re.match(pattern, name)), default=ASV_THRESHOLD)
