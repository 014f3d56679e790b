"""What a run consists of, stage by stage: how much of it is there, and how much is to be done.

It looks at names of files and at the last line of each network's statistics alone, so that it is quick on a login node,
also while jobs are at work. Whether files are whole and of this configuration, the stages find out.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from fluxbench.bench.run import Run


def describe(run: Run) -> str:
    """Return one line a stage, after the run's name and folders; each line's first word says what it is."""
    config = run.config
    lines = [("run", config.name), ("folder", str(run.folder)), ("results", str(run.results.resolve()))]
    data = {problem: run.data_path(problem) for problem in run.problems}
    samples = [_samples(run, problem) for problem, path in data.items() if not path.exists()]
    lines.append(("solve", _line("data sets", data.values(), sum(samples), "samples")))
    references = [run.reference_path(*each) for each in run.referenced]
    posteriors = config.flux.measurements * sum(not path.exists() for path in references)
    lines.append(("reference", _line("references", references, posteriors, "posteriors")))
    lines.append(("train", _training(run)))
    lines.append(("sample", _sampling(run)))
    scores = [run.scores_path(each) for each in run.sample_sets]
    lines.append(("score", _line("sets of samples", scores, sum(not path.exists() for path in scores), "sets")))
    return "\n".join(f"{name:<10} {text}" for name, text in lines)


def _samples(run: Run, problem: str) -> int:
    sizes = run.config.sizes(problem)
    return sizes.train_samples + sizes.test_samples


def _line(what: str, paths: Iterable[Path], left: int, unit: str) -> str:
    paths = list(paths)
    done = sum(path.exists() for path in paths)
    return f"{done} of {len(paths)} {what} there" + (f", {left:,} {unit} to go" if left else "")


def _sampling(run: Run) -> str:
    """Ladders count among the samples that are left, but not among the sets."""
    sets = {run.samples_path(each): run.config.sizes(each.problem) for each in run.sample_sets}
    left = sum(sizes.measurements * sizes.generated for path, sizes in sets.items() if not path.exists())
    ladders = sum(not run.ladder_path(each).exists() for each in run.studied)
    return _line("sets of samples", sets, left, "samples") + (f"; {ladders} ladders to go" if ladders else "")


def _training(run: Run) -> str:
    done, left = 0, 0
    for cell in run.cells:
        steps, path = cell.steps(run.config.sizes(cell.problem).train_samples), run.checkpoint_path(cell)
        remaining = steps - (_step(path.with_suffix(".jsonl")) if path.exists() else 0)
        done += remaining == 0
        left += remaining
    return f"{done} of {len(run.cells)} networks there" + (f", {left:,} steps to go" if left else "")


def _step(statistics: Path) -> int:
    """The last step that a network's statistics tell of; 0 if there are none."""
    lines = statistics.read_text(encoding="utf-8").splitlines() if statistics.exists() else []
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (json.JSONDecodeError, KeyError):  # cut short
            continue
    return 0
