"""What a person sees of a grid that trains: a live table in a terminal, a line a network where there is none."""

import atexit
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fluxbench.training.planning import Job

PAUSE = 1.0
"""Seconds between two pictures of the table."""
ORDER = ("running", "failed", "waiting", "done")
"""Order of the states in the table."""


class Watch(tune.Callback):
    """Shows what Tune reports of the networks.

    Args:
        jobs: the networks.
        before: steps that earlier runs have done, by network.
        console: the terminal; by default that of stderr, if it is one.
    """

    def __init__(self, jobs: Sequence[Job], before: Mapping[str, int], console: Console | None = None) -> None:
        self._steps = {job.cell.name: job.steps for job in jobs}
        self._before = before
        self._states = dict.fromkeys(self._steps, "waiting")
        self._last: dict[str, dict[str, Any]] = {}
        self._began, self._drawn = time.monotonic(), 0.0
        self._console = console
        self._quiet = not (console.is_terminal if console else sys.stderr.isatty())
        self._live: Live | None = None  # Tune pickles its callbacks before it starts, which nothing that draws survives

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Note that a network has done a tick, or has failed."""
        name = str(result["network"])
        self._last[name] = result
        if "failed" in result:
            self._end(name, "failed", result["failed"])
        elif result["step"] >= result["steps"]:
            self._end(name, "done", f"loss {result['loss']:.4g}")
        else:
            self._states[name] = "running"
        if not self._quiet and time.monotonic() - self._drawn >= PAUSE:
            self._draw()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Draw the table for the last time."""
        if not self._quiet:
            self._draw().stop()

    def _end(self, name: str, state: str, what: str) -> None:
        if self._states[name] != state:
            self._states[name] = state
            ended = sum(each in {"done", "failed"} for each in self._states.values())
            if self._quiet:
                print(f"train: {name} {state} ({ended} of {len(self._steps)}), {what}", flush=True)

    def _draw(self) -> Live:
        if self._live is None:
            console = self._console or Console(stderr=True, force_terminal=True)
            # What is printed appears above the table; not so what goes to a file.
            self._live = Live(console=console, auto_refresh=False, redirect_stdout=sys.stdout.isatty())
            self._live.start()
            atexit.register(self._live.stop)  # which gives the cursor back, also after an interrupt
        self._drawn = time.monotonic()
        rows = Table.grid(padding=(0, 2))
        for name in sorted(self._states, key=lambda name: ORDER.index(self._states[name])):
            cells = (f"  {self._states[name]}", name, self._of(name))
            rows.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells))
        self._live.update(Group(Text(self._summary()), rows), refresh=True)
        return self._live

    def _summary(self) -> str:
        steps = sum(self._steps.values())
        before = sum(self._before.values())
        done = sum(self._last.get(name, {}).get("step", self._before.get(name, 0)) for name in self._steps)
        rate = (done - before) / max(time.monotonic() - self._began, 1e-9)
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
            return str(last["failed"])
        progress = f"step {last['step']:,.0f} of {last['steps']:,.0f}, loss {last['loss']:.4g}"
        if self._states[name] == "done":
            return progress
        left = (last["steps"] - last["step"]) / max(last["steps_per_second"], 1e-9)
        return f"{progress}, {last['steps_per_second']:.0f} steps/s, {left:.0f} s left"
