"""A report as one file of HTML: words and tables from Markdown, pictures as SVG, nothing to load from elsewhere."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from fluxbench.bench.report.pictures.style import Picture, svg
from fluxbench.bench.report.sections import Section

PIXELS = 96.0
"""An inch has so many."""


def page(title: str, parts: list[dict[str, object]]) -> str:
    """The whole document, of sections from :func:`section`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html").render(title=title, sections=parts)


def section(part: Section, pictures: list[dict[str, object]]) -> dict[str, object]:
    """What the page shows of a section, with pictures from :func:`picture`."""
    return {"anchor": _anchor(part.title), "title": part.title, "html": _html(part.text), "pictures": pictures}


def picture(drawn: Picture) -> dict[str, object]:
    """What the page shows of a picture."""
    width = drawn.figure.get_size_inches()[0] * PIXELS
    caption = MarkdownIt("commonmark").renderInline(drawn.caption)
    return {"name": drawn.name, "width": round(width), "svg": Markup(svg(drawn.figure)), "caption": Markup(caption)}  # noqa: S704 - ours


def _html(text: str) -> Markup:
    """Markdown with tables, each in a box of its own that scrolls where the screen is narrow."""
    found = MarkdownIt("commonmark").enable("table").render(text)
    found = re.sub(r"<h2>(.*?)</h2>", lambda match: f'<h2 id="{_anchor(match[1])}">{match[1]}</h2>', found)
    return Markup(found.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))  # noqa: S704 - ours


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
