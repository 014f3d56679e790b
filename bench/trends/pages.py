"""The history as web pages: asv's own, with the scripts that they need beside them.

asv's pages load scripts from servers of others. Copies of the same files (``vendor/``, whose ``README.md`` says what
they are) are put beside the pages, so that they open without the internet.
"""

import re
import shutil
from pathlib import Path

from fluxbench.bench.trends.measure import asv
from fluxbench.bench.trends.measurements import CONFIGURATION, benchmarks_in, configuration
from fluxbench.errors import InputError
from fluxbench.storage import write_text

VENDOR = Path(__file__).parent / "vendor"
_LINK = re.compile(r'(src|href)="(https://[^"]+\.(?:js|css))"([^>]*)>')


def publish() -> Path:
    """Make the pages of all results and return their folder.

    Raises:
        InputError: if there are no results, asv fails, or its pages ask for a script of which there is no copy.
    """
    config = configuration()
    benchmarks_in(Path(config.results_dir))  # there are some
    status = asv(CONFIGURATION, "publish", "--no-pull")
    if status != 0:
        raise InputError(f"asv publish ended with status {status}, see above")
    folder = Path(config.html_dir)
    shutil.copytree(VENDOR, folder / "vendor", dirs_exist_ok=True)
    for page in folder.glob("*.html"):
        write_text(page, localised(page.read_text(encoding="utf-8")))
    return folder


def localised(page: str) -> str:
    """A page of asv's whose scripts and styles lie in ``vendor``.

    Raises:
        InputError: if one of them has no copy there.
    """

    def local(link: re.Match[str]) -> str:
        attribute, address, rest = link.groups()
        name = address.rsplit("/", 1)[1]
        here = next((copy for copy in (name, name.replace(".min", "")) if (VENDOR / copy).exists()), None)
        if here is None:
            raise InputError(f"asv's pages ask for {name}, of which there is no copy in {VENDOR}")
        rest = re.sub(r' (integrity|crossorigin|referrerpolicy)="[^"]*"', "", rest)
        return f'{attribute}="vendor/{here}"{rest}>'

    return _LINK.sub(local, page)


def preview() -> None:
    """Serve the pages on this machine until it is interrupted, and say where.

    Raises:
        InputError: if there are none.
    """
    folder = Path(configuration().html_dir)
    if not (folder / "index.html").exists():
        raise InputError(f"{folder}: expected pages; `fluxbench bench publish` makes them")
    asv(CONFIGURATION, "preview")
