"""A report as one file of HTML: words and tables from Markdown, pictures as SVG, nothing to load from elsewhere."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from bench.pictures.style import Picture, svg
from bench.report.sections import Section

PIXELS = 96.0
"""An inch has so many."""


def page(title: str, parts: list[Section]) -> str:
    """The whole document."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    shown = [
        {
            "anchor": _anchor(part.title),
            "title": part.title,
            "html": _html(part.text),
            "pictures": [_picture(each) for each in part.pictures],
        }
        for part in parts
    ]
    return environment.get_template("page.html").render(title=title, sections=shown)


def _picture(picture: Picture) -> dict[str, object]:
    width = picture.figure.get_size_inches()[0] * PIXELS
    caption = MarkdownIt("commonmark").renderInline(picture.caption)
    return {"name": picture.name, "width": round(width), "svg": Markup(svg(picture.figure)), "caption": Markup(caption)}  # noqa: S704 - ours


def _html(text: str) -> Markup:
    """Markdown with tables, each in a box of its own that scrolls where the screen is narrow."""
    found = MarkdownIt("commonmark").enable("table").render(text)
    found = re.sub(r"<h2>(.*?)</h2>", lambda match: f'<h2 id="{_anchor(match[1])}">{match[1]}</h2>', found)
    return Markup(found.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))  # noqa: S704 - ours


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
