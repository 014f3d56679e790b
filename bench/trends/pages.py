"""The history as web pages, as asv makes them; they load their scripts from elsewhere."""

from pathlib import Path

from fluxbench.bench.trends.measure import asv
from fluxbench.bench.trends.measurements import CONFIGURATION, benchmarks_in, configuration
from fluxbench.errors import InputError


def publish() -> Path:
    """Make the pages of all results and return their folder.

    Raises:
        InputError: if there are no results, or asv fails.
    """
    config = configuration()
    benchmarks_in(Path(config.results_dir))  # there are some
    status = asv(CONFIGURATION, "publish", "--no-pull")
    if status != 0:
        raise InputError(f"asv publish ended with status {status}, see above")
    return Path(config.html_dir)


def preview() -> None:
    """Serve the pages on this machine until it is interrupted, and say where.

    Raises:
        InputError: if there are none.
    """
    folder = Path(configuration().html_dir)
    if not (folder / "index.html").exists():
        raise InputError(f"{folder}: expected pages; `fluxbench bench publish` makes them")
    asv(CONFIGURATION, "preview")
