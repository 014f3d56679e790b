"""What a person sees of a grid that trains: a live table in a terminal, a line a cell where there is none."""

import shutil
import sys
import time
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from training.trainer import Statistics

PAUSE = 1.0
"""Seconds between two pictures of the table."""


class Watch(tune.Callback):
    """Told by Tune what happens.

    Args:
        cells: in all.
        steps: of all of them together.
        before: of those, done before.
    """

    def __init__(self, cells: int, steps: int, before: int) -> None:
        self._cells, self._steps, self._before = cells, steps, before
        self._running: dict[str, Statistics] = {}
        self._done: dict[str, int] = {}
        self._failed: list[str] = []
        self._began, self._drawn, self._height = time.monotonic(), 0.0, 0
        self._live = sys.stderr.isatty()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A cell has begun."""
        self._running[str(trial)] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A tick of a cell is done."""
        self._running[str(trial)] = {key: result[key] for key in ("step", "steps", "loss", "steps_per_second")}
        self._draw()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A cell is done."""
        last = self._running.pop(str(trial), {})
        self._done[str(trial)] = int(last.get("steps", 0))
        if not self._live:
            loss = f", loss {last['loss']:.4g}" if last else ""
            print(f"train: {trial} ({len(self._done)} of {self._cells}){loss}", flush=True)
        self._draw()

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A cell has failed."""
        self._running.pop(str(trial), None)
        self._failed.append(str(trial))
        self._draw()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """All are done."""
        self._drawn = 0.0
        self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._live or now - self._drawn < PAUSE:
            return
        self._drawn = now
        lines = [self._summary(now)]
        for name, last in self._running.items():
            lines.append(f"  {name}: " + (self._of_cell(last) if last else "starting"))
        columns = shutil.get_terminal_size().columns
        back = f"\x1b[{self._height}F" if self._height else ""
        sys.stderr.write(back + "\x1b[J" + "".join(line[: columns - 1] + "\n" for line in lines))
        sys.stderr.flush()
        self._height = len(lines)

    def _summary(self, now: float) -> str:
        running = sum(int(last.get("step", 0)) for last in self._running.values())
        done = self._before + sum(self._done.values()) + running
        rate = max(done - self._before, 0) / max(now - self._began, 1e-9)
        left = (self._steps - done) / rate if rate > 0.0 else 0.0
        failed = f", {len(self._failed)} failed" if self._failed else ""
        return (
            f"train: {len(self._done)} of {self._cells} cells done{failed}, {len(self._running)} running; "
            f"{done:,} of {self._steps:,} steps, {rate:,.0f} steps/s, {left / 60:.1f} min left"
        )

    @staticmethod
    def _of_cell(last: Statistics) -> str:
        left = (last["steps"] - last["step"]) / max(last["steps_per_second"], 1e-9)
        return (
            f"step {last['step']:,.0f} of {last['steps']:,.0f}, loss {last['loss']:.4g}, "
            f"{last['steps_per_second']:.0f} steps/s, {left:.0f} s left"
        )
