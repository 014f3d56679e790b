"""What a person sees of a grid that trains, in a terminal and where there is none."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fluxbench.training import watch
from fluxbench.training.cells import Cell
from fluxbench.training.planning import Job
from fluxbench.training.recipes import RECIPES

JOBS = [
    Job(Cell("flux", "vp-k2", 0.1, "tuned", seed, RECIPES["tuned"]["flux"]), Path(), Path(), 1_000) for seed in range(4)
]
NAMES = [job.cell.name for job in JOBS]


def tick(number: int, step: int, **more: Any) -> dict[str, Any]:
    return {"network": NAMES[number], "step": step, "steps": 1_000, "loss": 0.25, "steps_per_second": 50.0} | more


def report(watcher: watch.Watch) -> None:
    """One network runs, one fails, one is done, and nothing is heard of the last."""
    for result in (tick(0, 400), tick(1, 0, failed="loss is nan [odd]"), tick(2, 1_000)):
        watcher.on_trial_result(1, [], None, result)
    watcher.on_experiment_end([])


def test_tune_can_pickle_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal too, before anything is drawn."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    pickle.dumps(watch.Watch(JOBS, {}))


def test_where_there_is_no_terminal_each_end_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(watch.Watch(JOBS, {}))
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"train: {NAMES[1]} failed (1 of 4), loss is nan [odd]",
        f"train: {NAMES[2]} done (2 of 4), loss 0.25",
    ]
    assert captured.err == ""


def test_in_a_terminal_there_is_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(watch, "PAUSE", 0.0)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, height=30, color_system=None)
    report(watch.Watch(JOBS, {NAMES[0]: 100}, console))
    assert capsys.readouterr().out == ""
    last = screen.getvalue().rpartition("train: ")[2].splitlines()
    assert last[0].startswith("1 running, 1 failed, 1 waiting, 1 done; 1,400 of 4,000 steps, ")
    rows = [" ".join(line.split()) for line in last[1:5]]
    assert rows == [
        f"running {NAMES[0]} step 400 of 1,000, loss 0.25, 50 steps/s, 12 s left",
        f"failed {NAMES[1]} loss is nan [odd]",
        f"waiting {NAMES[3]}",
        f"done {NAMES[2]} step 1,000 of 1,000, loss 0.25",
    ]
    assert screen.getvalue().endswith("\x1b[?25h")  # the cursor is there again


def test_a_long_table_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSE", 0.0)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=40, height=3, color_system=None)
    watch.Watch(JOBS, {}, console).on_trial_result(1, [], None, tick(0, 400))
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 50
