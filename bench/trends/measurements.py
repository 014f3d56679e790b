"""Results of asv: its configuration, and the measurements of a commit."""

import itertools
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asv import util
from asv.config import Config
from asv.results import Results, iter_results_for_machine_and_hash

from fluxbench.errors import InputError
from fluxbench.storage import write_text

CONFIGURATION = Path("asv.conf.json")
"""File of asv's configuration, in the top directory of a checkout."""


@dataclass(frozen=True)
class Measurement:
    """Result of one benchmark at one set of its parameters, at one commit.

    Attributes:
        benchmark: name of the benchmark.
        kind: ``"time"``, ``"peakmemory"`` or ``"track"``.
        parameters: values of the parameters as asv writes them, in order.
        value: seconds, bytes or a tracked number, of which less is better; None if it failed.
        samples: samples of a timing in seconds, where they were kept.
    """

    benchmark: str
    kind: str
    parameters: tuple[str, ...]
    value: float | None = None
    samples: list[float] | None = None

    @property
    def name(self) -> str:
        """Name of the benchmark with its parameters, as asv's patterns and thresholds see it."""
        return f"{self.benchmark}({', '.join(self.parameters)})" if self.parameters else self.benchmark

    @classmethod
    def all_of(cls, benchmark: str, known: dict[str, Any]) -> "list[Measurement]":
        """Return a measurement without a value for every set of a benchmark's parameters.

        Args:
            benchmark: name of the benchmark.
            known: entry of ``benchmarks.json`` about it.
        """
        return [cls(benchmark, known["type"], each) for each in itertools.product(*known["params"])]


def configuration(path: Path = CONFIGURATION) -> Config:
    """Read the configuration of asv in the checkout that one works in.

    Raises:
        InputError: if there is none, or asv cannot read it.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench bench` measures a checkout, and works in its top directory")
    try:
        return Config.load(str(path))
    except (util.UserError, ValueError) as error:
        raise InputError(f"{path}: expected asv's configuration: {error}") from error


def scratch(folder: Path) -> Path:
    """Write a copy of the configuration whose results go to a folder, as they are no history, and return its path.

    Args:
        folder: folder for the copy and the results, which is emptied.

    Raises:
        InputError: if there is no configuration of asv, or asv cannot read it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    content = dict(vars(configuration()))
    content |= {name: str(Path(content[name]).resolve()) for name in ("repo", "benchmark_dir", "env_dir")}
    content |= {"version": 1, "results_dir": str(folder.resolve() / "results")}
    write_text(folder / CONFIGURATION.name, json.dumps(content, indent=4))
    return folder / CONFIGURATION.name


def benchmarks_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what asv knows of every benchmark that it ever discovered, by name.

    Args:
        folder: folder of asv's results.

    Raises:
        InputError: if nothing was measured yet.
    """
    path = folder / "benchmarks.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected results of asv; `fluxbench bench run` makes them") from error
    return {name: benchmark for name, benchmark in found.items() if name != "version"}


def of_commit(folder: Path, machine: str, commit: str) -> list[Measurement]:
    """Return all measurements of a commit on a machine, in the order of names.

    Args:
        folder: folder of asv's results.
        machine: name that results are filed under.
        commit: full hash.

    Raises:
        InputError: if nothing was measured yet.
    """
    known = benchmarks_in(folder)
    results = iter_results_for_machine_and_hash(str(folder), machine, commit)
    return [measurement for each in results for measurement in unrolled(each, known)]


def unrolled(results: Results, known: dict[str, dict[str, Any]]) -> Iterator[Measurement]:
    """Yield the measurements in one of asv's result files, without skipped ones and those of another version.

    Args:
        results: content of the file.
        known: entries of ``benchmarks.json``, by name; a benchmark that was changed since is another one.
    """
    for name in sorted(results.get_result_keys(known)):
        params = known[name]["params"]
        values, samples = results.get_result_value(name, params), results.get_result_samples(name, params)
        for empty, value, kept in zip(Measurement.all_of(name, known[name]), values, samples, strict=True):
            if value is None or not math.isnan(value):
                yield Measurement(name, empty.kind, empty.parameters, value, kept)
