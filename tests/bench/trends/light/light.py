"""A timing, memory, a value of the commit that is measured, and a benchmark that fails."""

import subprocess
import sys

from fluxbench.bench import trends


def time_sum() -> None:
    sum(range(20_000))


def peakmem_list() -> None:
    list(range(100_000))


def track_value(where: str) -> float:
    """The commit's, as this process finds it or one that it starts, as benchmarks call the command line."""
    if where == "here":
        return trends.VALUE
    command = "from fluxbench.bench import trends; print(trends.VALUE)"
    return float(subprocess.run([sys.executable, "-P", "-c", command], check=True, capture_output=True).stdout)


def time_absent() -> None:
    absent()  # noqa: F821 - the fault


time_sum.repeat = 5
track_value.params = ("here", "elsewhere")
