"""The page: pictures beside it, or inside it where it stands alone."""

import re
from collections.abc import Iterator

import pytest
from matplotlib import pyplot as plt

from fluxbench.bench.report import page
from fluxbench.bench.report.pictures import style
from fluxbench.bench.report.pictures.style import Picture
from fluxbench.bench.report.sections import Section


@pytest.fixture
def picture() -> Iterator[Picture]:
    figure, axis = plt.subplots(figsize=(5.0, 2.5))
    for colour in style.COLOURS.values():
        axis.plot([0, 1], [0, 1], color=colour)
    axis.set(title="an increasing line")
    yield Picture("line", figure, "A *line*.")
    plt.close(figure)


def html(picture: Picture, standalone: bool) -> str:
    section = Section("## A heading (1)\n\n| x | y |\n|---|---|\n| 1 | **2** |\n", [picture])
    part = page.Part.of(section, [page.Figure.of(each, standalone) for each in section.pictures])
    return page.page("a title", [part], standalone)


def test_pictures_lie_beside_the_page(picture: Picture) -> None:
    text = html(picture, standalone=False)
    assert re.findall(r'<img src="([^"]+)" width="(\d+)" height="(\d+)"', text) == [("figures/line.png", "480", "240")]
    assert "<svg" not in text
    assert len(text) < 10_000
    assert re.search(r"\.picture img \{[^}]*background: #ffffff", text)  # its letters are dark, the page may be too


def test_a_page_that_stands_alone_loads_nothing(picture: Picture) -> None:
    text = html(picture, standalone=True)
    assert "an increasing line</text>" in text
    links = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert {link for link in links if not link.startswith(("#", "data:"))} == set()
    assert "@import" not in text
    assert "url(http" not in text


def test_its_pictures_follow_light_and_dark(picture: Picture) -> None:
    text = html(picture, standalone=True)
    svg = text[text.index("<svg") : text.index("</svg>")]
    assert "currentColor" in svg
    assert not [colour for colour in (style.INK, *style.COLOURS.values()) if colour in svg]
    assert set(re.findall(r"var\(--(\w+)\)", svg)) == set(style.COLOURS)
    for name in style.COLOURS:
        assert text.count(f"--{name}:") == 2  # light, dark


@pytest.mark.parametrize("standalone", [False, True])
def test_headings_can_be_linked_and_tables_scroll(picture: Picture, standalone: bool) -> None:
    text = html(picture, standalone)
    assert '<a href="#a-heading-1">A heading (1)</a>' in text
    assert '<h2 id="a-heading-1">A heading (1)</h2>' in text
    assert '<div class="wide"><table>' in text
    assert '<figure id="line">' in text
    assert "A <em>line</em>." in text
