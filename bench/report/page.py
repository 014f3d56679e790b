"""A report as a page of HTML: words and tables from Markdown, pictures as PNG files beside the page or inside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from fluxbench.bench.report.pictures.style import Picture, svg
from fluxbench.bench.report.sections import Section

PIXELS = 96.0
"""Pixels of a page in an inch."""


@dataclass(frozen=True)
class Figure:
    """What the page shows of a picture.

    Attributes:
        name: of its file, without suffix.
        width: in pixels, where the screen is wide enough.
        height: in pixels, likewise.
        caption: HTML.
        svg: the picture itself, for a page that stands alone; None for one that refers to ``figures/<name>.png``.
    """

    name: str
    width: int
    height: int
    caption: Markup
    svg: Markup | None

    @classmethod
    def of(cls, picture: Picture, standalone: bool) -> "Figure":
        """Make it from a picture that is still open."""
        width, height = (round(PIXELS * inches) for inches in picture.figure.get_size_inches())
        caption = Markup(MarkdownIt("commonmark").renderInline(picture.caption))  # noqa: S704 - ours
        return cls(picture.name, width, height, caption, Markup(svg(picture.figure)) if standalone else None)  # noqa: S704


@dataclass(frozen=True)
class Part:
    """What the page shows of a section.

    Attributes:
        anchor: the heading's name in links.
        title: the heading.
        html: words and tables.
        figures: beneath them.
    """

    anchor: str
    title: str
    html: Markup
    figures: Sequence[Figure]

    @classmethod
    def of(cls, section: Section, figures: Sequence[Figure]) -> "Part":
        """Make it from a section and its figures."""
        return cls(_anchor(section.title), section.title, _html(section.text), figures)


def page(title: str, parts: Sequence[Part], standalone: bool) -> str:
    """Return the whole document, whose figures are all inside it if it stands alone."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html").render(title=title, parts=parts, standalone=standalone)


def _html(text: str) -> Markup:
    """Return HTML of Markdown, each table in a box of its own that scrolls where the screen is narrow."""
    html = MarkdownIt("commonmark").enable("table").render(text)
    html = re.sub(r"<h2>(.*?)</h2>", lambda match: f'<h2 id="{_anchor(match[1])}">{match[1]}</h2>', html)
    return Markup(html.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))  # noqa: S704 - ours


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
