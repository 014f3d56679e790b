"""asv's pages, with scripts of their own."""

import re
from pathlib import Path

import asv
import pytest

from fluxbench.bench.trends.pages import VENDOR, localised
from fluxbench.errors import InputError


def test_every_script_that_asv_asks_for_is_there() -> None:
    page = (Path(asv.__file__).parent / "www" / "index.html").read_text()
    assert len(re.findall(r'="https://[^"]+\.(?:js|css)"', page)) >= 9
    local = localised(page)
    assert not re.findall(r'="https://[^"]+\.(?:js|css)"', local)
    assert "integrity" not in local
    copies = re.findall(r'="vendor/([^"]+)"', local)
    assert len(copies) == len(re.findall(r'="https://[^"]+\.(?:js|css)"', page))
    assert all((VENDOR / name).stat().st_size > 1000 for name in copies)


def test_a_script_without_a_copy_is_named() -> None:
    with pytest.raises(InputError, match=r"asv's pages ask for other-1\.0\.min\.js, of which there is no copy"):
        localised('<script src="https://example.org/other-1.0.min.js"></script>')
