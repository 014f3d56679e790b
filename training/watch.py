"""What a person sees of a grid that trains: a live table in a terminal, a line a network where there is none."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from training.planning import Work
from training.trainer import Statistics

PAUSE = 1.0
"""Seconds between two pictures of the table."""


class Watch(tune.Callback):
    """Told by Tune what happens.

    Args:
        works: the networks.
        before: steps of these that were done before.
    """

    def __init__(self, works: Sequence[Work], before: int) -> None:
        self._steps = {work.cell.network_name: work.steps for work in works}
        self._before = before
        self._last: dict[str, Statistics] = {}
        self._done: set[str] = set()
        self._failed: set[str] = set()
        self._began, self._drawn, self._height = time.monotonic(), 0.0, 0
        self._live = sys.stderr.isatty()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A tick of a network is done."""
        if "failed" in result:
            return
        name = str(result["network"])
        self._last[name] = {key: result[key] for key in ("step", "steps", "loss", "steps_per_second")}
        if result["step"] >= result["steps"] and name not in self._done:
            self._done.add(name)
            if not self._live:
                print(f"train: {name} ({len(self._done)} of {len(self._steps)}), loss {result['loss']:.4g}", flush=True)
        self._draw()

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed."""
        self._failed.add(str(trial))
        self._draw()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has begun, perhaps again."""
        self._failed.discard(str(trial))
        self._draw()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """All have ended."""
        self._drawn = 0.0
        self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._live or now - self._drawn < PAUSE:
            return
        self._drawn = now
        lines = [self._summary(now)]
        lines += [f"  {name}: {_of(last)}" for name, last in self._last.items() if name not in self._done]
        size = shutil.get_terminal_size()
        back = f"\x1b[{self._height}F" if self._height else ""
        lines = lines[: size.lines - 1]  # what has left the screen cannot be drawn over
        sys.stderr.write(back + "\x1b[J" + "".join(line[: size.columns - 1] + "\n" for line in lines))
        sys.stderr.flush()
        self._height = len(lines)

    def _summary(self, now: float) -> str:
        done = max(self._before, int(sum(last["step"] for last in self._last.values())))
        rate = (done - self._before) / max(now - self._began, 1e-9)
        steps = sum(self._steps.values())
        left = f"{(steps - done) / rate / 60.0:.1f} min left" if rate > 0.0 else "starting"
        running = sum(name not in self._done for name in self._last)
        failed = f", {len(self._failed)} failed" if self._failed else ""
        return (
            f"train: {len(self._done)} of {len(self._steps)} networks done{failed}, {running} under way; "
            f"{done:,} of {steps:,} steps, {rate:,.0f} steps/s, {left}"
        )


def _of(last: Statistics) -> str:
    left = (last["steps"] - last["step"]) / max(last["steps_per_second"], 1e-9)
    return (
        f"step {last['step']:,.0f} of {last['steps']:,.0f}, loss {last['loss']:.4g}, "
        f"{last['steps_per_second']:.0f} steps/s, {left:.0f} s left"
    )
