"""What a person sees of a grid that trains: a live table in a terminal, a line a network where there is none."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from fluxbench.training.planning import Work

PAUSE = 1.0
"""Seconds between two pictures of the table."""
ORDER = ("running", "failed", "waiting", "done")
"""Of the states in the table."""


class Watch(tune.Callback):
    """Told by Tune what happens.

    Args:
        works: the networks.
        before: their steps that earlier runs have done, by name.
    """

    def __init__(self, works: Sequence[Work], before: Mapping[str, int]) -> None:
        self._steps = {work.cell.network_name: work.steps for work in works}
        self._before = before
        self._states = dict.fromkeys(self._steps, "waiting")
        self._last: dict[str, dict[str, Any]] = {}
        self._began, self._drawn, self._height = time.monotonic(), 0.0, 0
        self._live = sys.stderr.isatty()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A tick of a network is done, or it has failed."""
        name = str(result["network"])
        self._last[name] = result
        if "failed" in result:
            self._end(name, "failed", result["failed"])
        elif result["step"] >= result["steps"]:
            self._end(name, "done", f"loss {result['loss']:.4g}")
        else:
            self._states[name] = "running"
        self._draw()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """All have ended."""
        self._drawn = 0.0
        self._draw()

    def _end(self, name: str, state: str, what: str) -> None:
        if self._states[name] != state:
            self._states[name] = state
            ended = sum(each in {"done", "failed"} for each in self._states.values())
            if not self._live:
                print(f"train: {name} {state} ({ended} of {len(self._steps)}), {what}", flush=True)

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._live or now - self._drawn < PAUSE:
            return
        self._drawn = now
        names = sorted(self._states, key=lambda name: ORDER.index(self._states[name]))
        lines = [self._summary(now), *(f"  {self._states[name]:8}{name}{self._of(name)}" for name in names)]
        size = shutil.get_terminal_size()
        back = f"\x1b[{self._height}F" if self._height else ""
        lines = lines[: size.lines - 1]  # what has left the screen cannot be drawn over
        sys.stderr.write(back + "\x1b[J" + "".join(line[: size.columns - 1] + "\n" for line in lines))
        sys.stderr.flush()
        self._height = len(lines)

    def _summary(self, now: float) -> str:
        steps = sum(self._steps.values())
        before = sum(self._before.values())
        done = sum(self._last.get(name, {}).get("step", self._before.get(name, 0)) for name in self._steps)
        rate = (done - before) / max(now - self._began, 1e-9)
        left = f"{(steps - done) / rate / 60.0:.1f} min left" if rate > 0.0 else "starting"
        count = Counter(self._states.values())
        states = ", ".join(f"{count[state]} {state}" for state in ORDER if count[state])
        return f"train: {states}; {done:,} of {steps:,} steps, {rate:,.0f} steps/s, {left}"

    def _of(self, name: str) -> str:
        """What there is to say of a network that has been heard of."""
        last = self._last.get(name)
        if last is None:
            return ""
        if "failed" in last:
            return f": {last['failed']}"
        told = f": step {last['step']:,.0f} of {last['steps']:,.0f}, loss {last['loss']:.4g}"
        if self._states[name] == "done":
            return told
        left = (last["steps"] - last["step"]) / max(last["steps_per_second"], 1e-9)
        return f"{told}, {last['steps_per_second']:.0f} steps/s, {left:.0f} s left"
