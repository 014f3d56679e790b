"""The history of one machine: what asv's result files say of each commit, and pictures of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from statistics import geometric_mean

from asv.results import iter_results
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fluxbench.bench.report.pictures.style import CYCLE, GREY, Picture
from fluxbench.bench.trends.measurements import Measurement, benchmarks_in, unrolled

LEAST = 2
"""Number of commits that make a history."""


@dataclass(frozen=True)
class Commit:
    """One machine's measurements of a commit.

    Attributes:
        hash: full hash of the commit.
        time: time of the commit.
        measurements: measurements of every benchmark at every set of its parameters.
    """

    hash: str
    time: datetime
    measurements: list[Measurement]


def history(folder: Path) -> tuple[str, list[Commit]]:
    """Return the machine with most commits and these, the oldest first; no name and no commits without results.

    Args:
        folder: folder of asv's results.
    """
    if not (folder / "benchmarks.json").exists():
        return "", []
    known = benchmarks_in(folder)
    found: dict[str, dict[str, Commit]] = defaultdict(dict)
    for results in iter_results(str(folder)):
        time = datetime.fromtimestamp(results.date / 1e3, UTC)
        commit = found[results.params["machine"]].setdefault(results.commit_hash, Commit(results.commit_hash, time, []))
        commit.measurements.extend(unrolled(results, known))
    machine = max(found, key=lambda name: len(found[name]), default="")
    return machine, sorted(found[machine].values(), key=lambda commit: commit.time)


def pictures(folder: Path) -> list[Picture]:
    """Draw speed and memory relative to the first commit, and tracked accuracy; nothing if there is no history yet.

    Args:
        folder: folder of asv's results.
    """
    machine, commits = history(folder)
    if len(commits) < LEAST:
        return []
    return [_speed(machine, commits), _accuracy(machine, commits)]


def _speed(machine: str, commits: list[Commit]) -> Picture:
    kinds = {"time": "time", "peakmemory": "peak memory"}
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 5.4), layout="constrained")
    for axis, (kind, title) in zip(axes, kinds.items(), strict=True):
        _lines(axis, commits, lambda each: each.kind == kind, relative=True)  # noqa: B023 - called at once
        axis.set(title=f"{title}, relative to the first commit that has it")
        axis.axhline(1.0, color=GREY, lw=0.8, alpha=0.6, zorder=0)
    caption = (
        f"Speed and memory by commit on `{machine}`: each line is a benchmark, the geometric mean over its parameters. "
        "Lower is better."
    )
    return Picture("trends_speed", figure, caption)


def _accuracy(machine: str, commits: list[Commit]) -> Picture:
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 5.4), layout="constrained")
    for axis, group in zip(axes, ("accuracy.Table2", "accuracy.Flux"), strict=True):
        _lines(axis, commits, lambda each: each.benchmark.startswith(group), relative=False)  # noqa: B023
        axis.set(title=group.removeprefix("accuracy."))
    axes[0].set_ylim(bottom=0.0)
    axes[1].set_yscale("log")  # numbers of different kinds
    caption = (
        f"Accuracy of a small run (`bench/asv/accuracy.toml`) by commit on `{machine}`: each line is a tracked number, "
        "the geometric mean over problems or noise levels, formulations and samplers. Lower is better."
    )
    return Picture("trends_accuracy", figure, caption)


def _lines(axis: Axes, commits: list[Commit], chosen: Callable[[Measurement], bool], *, relative: bool) -> None:
    """Draw a line a benchmark."""
    series: dict[str, dict[int, float]] = defaultdict(dict)
    for i, commit in enumerate(commits):
        here = sorted(filter(chosen, commit.measurements), key=lambda each: each.benchmark)
        for name, those in groupby(here, key=lambda each: each.benchmark):
            value = _mean(those)
            if value is not None:
                series[name][i] = value
    for j, (name, values) in enumerate(sorted(series.items())):
        first = next(iter(values.values())) if relative else 1.0
        style = ("-", "--", ":")[j // len(CYCLE) % 3]
        axis.plot(
            list(values),
            [value / first for value in values.values()],
            style,
            marker="o",
            ms=3,
            color=CYCLE[j % len(CYCLE)],
            label=name.removeprefix("accuracy.").replace(".track_", ": "),
        )
    axis.set_xticks(range(len(commits)), [f"{commit.hash[:7]}\n{commit.time:%d %b}" for commit in commits], fontsize=7)
    if series:
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)  # beneath: lines go anywhere


def _mean(measurements: Iterable[Measurement]) -> float | None:
    """Geometric mean over parameters; None if one of them failed."""
    values = [each.value for each in measurements]
    known = [value for value in values if value is not None and value > 0.0]
    return geometric_mean(known) if len(known) == len(values) else None
