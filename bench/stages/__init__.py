"""The stages of a run, each from files to files, one file each: solve, reference, train, sample, score, report.

A stage takes what the one before it wrote under ``runs/<name>``, does what is not yet done, and can be killed and
repeated at any time. Libraries load in the stage that needs them, so that a solver node runs without torch and a GPU
node without FEniCS.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any

from fluxbench.bench.run import Run
from fluxbench.storage import exclusive

HELD = {"train": "cells", "sample": "samples", "score": "scores", "report": "scores"}
"""Folder of a run that a stage has for itself; the MPI jobs of the other stages hold theirs by themselves."""


def _stage(name: str, run: Run, **options: Any) -> None:
    import_module(f"{__name__}.{name}").act(run, **options)


STAGES: dict[str, Callable[..., None]] = {
    name: partial(_stage, name) for name in ("solve", "reference", "train", "sample", "score", "report")
}
"""The stages in their order, each loaded when it is called."""


def held(run: Run, stage: str) -> AbstractContextManager[None]:
    """Hold the files of a stage for one command at a time.

    Raises:
        InputError: if another command holds them.
    """
    return exclusive(run.folder / HELD[stage]) if stage in HELD else nullcontext()


def finish() -> None:
    """Stop the Ray cluster that a stage has started, if one has."""
    if "fluxbench.training.cluster" in sys.modules:
        from fluxbench.training import cluster  # noqa: PLC0415 - Ray

        cluster.disconnect()


def say(line: str) -> None:
    """Print one line to the user, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
