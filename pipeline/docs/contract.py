"""The data contract as a page, and the links of other pages to its sections."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

from markdown_it import MarkdownIt
from markupsafe import Markup

PATH = "contract.html"

_REFERENCE = re.compile(r"[Cc]ontract[:,] section (\d+)")
_SECTION = re.compile(r"(\d+)\. ")


def page() -> Markup:
    """Return the contract as HTML; section N has the id `section-N`."""
    text = (files("pipeline.docs") / "contract.md").read_text(encoding="utf-8")
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    for opening, heading in itertools.pairwise(tokens):
        if opening.type == "heading_open" and (numbered := _SECTION.match(heading.content)):
            opening.attrSet("id", f"section-{numbered[1]}")
    return Markup(reader.renderer.render(tokens, reader.options, {}))


def linked(html: str, root: str) -> str:
    """Return HTML where each reference to a section of the contract is a link to it."""
    return _REFERENCE.sub(rf'<a href="{root}{PATH}#section-\1">\g<0></a>', html)
