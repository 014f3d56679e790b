"""Whether a commit is slower, larger or less accurate than another one, by asv's benchmarks.

Timings of the two take turns, round by round, so that what else the machine does strikes both. A benchmark is slower if
its samples exceed the other commit's by more than its threshold, by a one-sided Mann-Whitney test, and if they do so
again in a second run of those alone: once may be chance where many are compared. Tracked numbers are the same each time
that a commit is measured, and their threshold is what another training seed may change (``bench.track_noise``).
Thresholds, as shares, are those of ``regressions_thresholds`` in ``asv.conf.json``, by which asv's own pages tell
regressions.
"""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asv.config import Config
from scipy.stats import mannwhitneyu

from bench.trends.measure import EVERYTHING, commits_of, measure
from bench.trends.measurements import CONFIGURATION, Measurement, configuration
from solvers.errors import InputError
from solvers.storage import write_text

SIGNIFICANT = 0.01
"""Largest p-value of a regression, of each of two runs."""
ASV_THRESHOLD = 0.05
"""What asv takes where the configuration says nothing."""
ROUNDS = 3


@dataclass(frozen=True)
class Verdict:
    """One benchmark at two commits.

    Attributes:
        name: of the benchmark, with its parameters.
        kind: of measurement.
        base: what is compared with; None if it failed.
        new: what is judged; None if it failed.
        threshold: share by which ``new`` may exceed ``base``.
        worse: whether it exceeds that, or fails where the base did not.
    """

    name: str
    kind: str
    base: float | None
    new: float | None
    threshold: float
    worse: bool

    def __str__(self) -> str:
        """One line that names the benchmark, both values and what was allowed."""
        if self.base is None or self.new is None:
            return f"{self.name}: {'fails' if self.new is None else 'failed at the base'}"
        change = f"{self.new / self.base:.2f} times" if self.base > 0.0 else "from nothing"
        return f"{self.name}: {self.base:.4g} -> {self.new:.4g}, {change} (allowed: {1.0 + self.threshold:g})"


def compare(
    base: str,
    new: str,
    machine: str,
    pattern: str = EVERYTHING,
    rounds: int = ROUNDS,
    say: Callable[[str], None] = print,
) -> list[Verdict]:
    """Measure two commits and judge the second; every benchmark that both have.

    Args:
        base: commit to compare with.
        new: commit that is judged.
        machine: to file results under.
        pattern: regular expression of benchmarks to run.
        rounds: in which each timing is taken at both commits; the second run of those that look slower takes as many
            again.
        say: what is told while it goes on.

    Raises:
        InputError: if one of them is no commit, both are the same, or nothing was measured.
    """
    pair = commits_of([base, new])
    if len(pair) != 2:
        raise InputError(f"expected two commits, found {base} and {new}, which are the same")
    thresholds = configuration().regressions_thresholds
    verdicts = _judged(pair, machine, pattern, rounds, thresholds)
    suspects = [each for each in verdicts if each.worse and each.kind == "time"]
    if suspects:
        say(f"{len(suspects)} timing(s) look slower; they are measured again")
        again = "|".join(f"^{re.escape(each.name)}$" for each in suspects)
        confirmed = {each.name: each for each in _judged(pair, machine, again, rounds, thresholds)}
        verdicts = [confirmed.get(each.name, each) for each in verdicts]
    return verdicts


def _judged(
    pair: Sequence[str], machine: str, pattern: str, rounds: int, thresholds: dict[str, float]
) -> list[Verdict]:
    options = ["--interleave-rounds", "--record-samples", "--attribute", f"rounds={rounds}"]
    found = measure(pair, machine, pattern, options, _scratch(configuration()))
    before, after = ({each.name: each for each in found[commit]} for commit in pair)
    return [judge(before[name], after[name], threshold(thresholds, name)) for name in after if name in before]


def judge(base: Measurement, new: Measurement, allowed: float) -> Verdict:
    """Whether ``new`` is worse than ``base`` by more than a share ``allowed`` of it."""
    if base.value is None or new.value is None:
        worse = new.value is None and base.value is not None
    elif base.samples and new.samples:
        bar = [(1.0 + allowed) * sample for sample in base.samples]
        worse = bool(mannwhitneyu(new.samples, bar, alternative="greater").pvalue < SIGNIFICANT)
    else:
        worse = new.value > (1.0 + allowed) * base.value
    return Verdict(new.name, new.kind, base.value, new.value, allowed, worse)


def threshold(thresholds: dict[str, float], name: str) -> float:
    """The largest of those whose pattern a benchmark's name matches, as asv has it."""
    return max((share for pattern, share in thresholds.items() if re.match(pattern, name)), default=ASV_THRESHOLD)


def _scratch(config: Config) -> Path:
    """The configuration with other folders, empty ones: results of comparisons are no history."""
    folder = Path(config.env_dir).resolve().with_name("compare")
    shutil.rmtree(folder / "results", ignore_errors=True)
    content = json.loads(CONFIGURATION.read_text(encoding="utf-8"))
    content |= {name: str(Path(content[name]).resolve()) for name in ("repo", "benchmark_dir", "env_dir")}
    content |= {"results_dir": str(folder / "results"), "branches": ["HEAD"]}
    write_text(folder / CONFIGURATION.name, json.dumps(content, indent=4))
    return folder / CONFIGURATION.name
