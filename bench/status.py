"""What a run consists of, stage by stage: how much of it is there, and how much is to be done.

It looks at names of files and at the last line of each network's statistics alone, so that it is quick on a login node,
also while jobs are at work. Whether files are whole and of this configuration, the stages find out.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from fluxbench.bench import layout
from fluxbench.bench.config import Config


def describe(config: Config) -> str:
    """One line a stage, after the run's name and folder; each line's first word says what it is."""
    lines = [("run", config.name), ("folder", str(config.runs)), ("results", str(config.results.resolve()))]
    data = {problem: layout.data_path(config, problem) for problem in config.problems}
    samples = [_samples(config, problem) for problem, path in data.items() if not path.exists()]
    lines.append(("solve", _line("data sets", data.values(), sum(samples), "samples")))
    references = [layout.reference_path(config, *each) for each in layout.referenced(config)]
    posteriors = config.flux.measurements * sum(not path.exists() for path in references)
    lines.append(("reference", _line("references", references, posteriors, "posteriors")))
    lines.append(("train", _training(config)))
    drawn = {layout.sample_path(config, *each): config.sizes(each[0].problem) for each in layout.sampled(config)}
    left = sum(sizes.measurements * sizes.generated for path, sizes in drawn.items() if not path.exists())
    lines.append(("sample", _line("sets of samples", drawn, left, "samples")))
    scores = [layout.score_path(config, *each) for each in layout.sampled(config)]
    lines.append(("score", _line("sets of samples", scores, sum(not path.exists() for path in scores), "sets")))
    return "\n".join(f"{name:<10} {text}" for name, text in lines)


def _samples(config: Config, problem: str) -> int:
    sizes = config.sizes(problem)
    return sizes.train_samples + sizes.test_samples


def _line(what: str, paths: Iterable[Path], left: int, unit: str) -> str:
    paths = list(paths)
    there = sum(path.exists() for path in paths)
    return f"{there} of {len(paths)} {what} there" + (f", {left:,} {unit} to go" if left else "")


def _training(config: Config) -> str:
    networks, done, left = config.networks(), 0, 0
    for cell in networks:
        steps, path = cell.steps(config.sizes(cell.problem).train_samples), layout.checkpoint_path(config, cell)
        remaining = steps - (_step(path.with_suffix(".jsonl")) if path.exists() else 0)
        done += remaining == 0
        left += remaining
    return f"{done} of {len(networks)} networks there" + (f", {left:,} steps to go" if left else "")


def _step(statistics: Path) -> int:
    """The last that a network's statistics tell of; 0 if there are none."""
    lines = statistics.read_text(encoding="utf-8").splitlines() if statistics.exists() else []
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (json.JSONDecodeError, KeyError):  # cut short
            continue
    return 0
