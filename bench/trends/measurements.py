"""What asv has found out about commits."""

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


@dataclass(frozen=True)
class Measurement:
    """One benchmark at one set of its parameters, at one commit.

    Attributes:
        benchmark: its name.
        kind: ``"time"``, ``"peakmemory"`` or ``"track"``.
        parameters: as asv writes them, in order.
        value: seconds, bytes or a tracked number, of which less is better; None if it failed.
        samples: the timing's samples, where they were kept.
    """

    benchmark: str
    kind: str
    parameters: tuple[str, ...]
    value: float | None = None
    samples: list[float] | None = None

    @property
    def name(self) -> str:
        """The benchmark's name and its parameters, as asv's patterns and thresholds see them."""
        return f"{self.benchmark}({', '.join(self.parameters)})" if self.parameters else self.benchmark

    @classmethod
    def all_of(cls, benchmark: str, known: dict[str, Any]) -> "list[Measurement]":
        """Every set of a benchmark's parameters, nothing measured yet."""
        return [cls(benchmark, known["type"], each) for each in itertools.product(*known["params"])]


def configuration(path: Path = CONFIGURATION) -> Config:
    """The configuration of asv in the checkout that one works in.

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
    """A copy of the configuration whose results are put into a folder, which is emptied: they are no history.

    Raises:
        InputError: as :func:`configuration`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    content = dict(vars(configuration()))
    content |= {name: str(Path(content[name]).resolve()) for name in ("repo", "benchmark_dir", "env_dir")}
    content |= {"version": 1, "results_dir": str(folder.resolve() / "results")}
    write_text(folder / CONFIGURATION.name, json.dumps(content, indent=4))
    return folder / CONFIGURATION.name


def benchmarks_in(folder: Path) -> dict[str, dict[str, Any]]:
    """What is known of every benchmark that was ever found, by name.

    Args:
        folder: of asv's results.

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
    """All that is known of a commit on a machine, in the order of names."""
    known = benchmarks_in(folder)
    results = iter_results_for_machine_and_hash(str(folder), machine, commit)
    return [measurement for each in results for measurement in unrolled(each, known)]


def unrolled(results: Results, known: dict[str, dict[str, Any]]) -> Iterator[Measurement]:
    """One measurement for each benchmark and set of its parameters; skipped ones are left out, and those of a benchmark
    that has become another one since.
    """
    for name in sorted(results.get_result_keys(known)):
        params = known[name]["params"]
        values, samples = results.get_result_value(name, params), results.get_result_samples(name, params)
        for empty, value, kept in zip(Measurement.all_of(name, known[name]), values, samples, strict=True):
            if value is None or not math.isnan(value):
                yield Measurement(name, empty.kind, empty.parameters, value, kept)
