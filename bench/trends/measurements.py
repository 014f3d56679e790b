"""What asv has found out about commits: values, and how sure they are."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asv.benchmarks import Benchmarks
from asv.config import Config
from asv.results import Results, iter_results_for_machine_and_hash

from solvers.errors import InputError

CONFIGURATION = Path("asv.conf.json")


@dataclass(frozen=True)
class Measurement:
    """One benchmark at one set of its parameters, at one commit.

    Attributes:
        benchmark: its name.
        parameters: as asv writes them, in order.
        value: seconds, bytes or a tracked number, of which less is better; None if it failed.
        statistics: asv's, of a timing; None where a value is all there is.
        samples: the timing's samples, where they were kept.
    """

    benchmark: str
    parameters: tuple[str, ...]
    value: float | None
    statistics: dict[str, Any] | None
    samples: list[float] | None

    @property
    def name(self) -> str:
        """The benchmark's name and its parameters, as asv's patterns and thresholds see them."""
        return f"{self.benchmark}({', '.join(self.parameters)})" if self.parameters else self.benchmark


def configuration(path: Path = CONFIGURATION) -> Config:
    """The configuration of asv in the checkout that one works in.

    Raises:
        InputError: if there is none.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; `fluxbench bench` measures a checkout, and works in its top directory")
    return Config.load(str(path))


def benchmarks(config: Config) -> Benchmarks:
    """All benchmarks that were ever found.

    Raises:
        InputError: if nothing was measured yet.
    """
    if not (Path(config.results_dir) / "benchmarks.json").exists():
        raise InputError(f"{config.results_dir}: expected results; `fluxbench bench run` makes them")
    return Benchmarks.load(config)


def of_commit(config: Config, machine: str, commit: str) -> list[Measurement]:
    """All that is known of a commit on a machine, in the order of names."""
    known, found = benchmarks(config), list[Measurement]()
    for results in iter_results_for_machine_and_hash(config.results_dir, machine, commit):
        for benchmark in sorted(results.get_result_keys(known)):
            found += _unrolled(results, benchmark, known[benchmark]["params"])
    return found


def _unrolled(results: Results, benchmark: str, params: list[list[str]]) -> list[Measurement]:
    """One measurement for each set of parameters; skipped ones are left out."""
    values = results.get_result_value(benchmark, params)
    statistics = results.get_result_stats(benchmark, params)
    samples = results.get_result_samples(benchmark, params)
    rows = zip(itertools.product(*params), values, statistics, samples, strict=True)
    return [
        Measurement(benchmark, each, value, stats, kept)
        for each, value, stats, kept in rows
        if value is None or not math.isnan(value)
    ]
