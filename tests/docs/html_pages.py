"""Parses pages like a browser: elements, ids, links, text."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

VOID = {"meta", "link", "input"}
ADDRESSES = ("href", "src", "action", "data", "srcset", "poster", "xlink:href")


class Page(HTMLParser):
    """One parsed page; an element that is closed out of turn fails at once."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **having: str) -> list[dict[str, str]]:
        """The attributes of all elements of a kind that have these attributes."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and having.items() <= attributes.items()
        ]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    @property
    def addresses(self) -> Iterator[str]:
        for _, attributes in self.elements:
            yield from (attributes[name] for name in ADDRESSES if name in attributes)


def parse(files: Mapping[str, str]) -> dict[str, Page]:
    """All HTML pages of a site, by their paths."""
    return {path: Page(text) for path, text in files.items() if path.endswith(".html")}


def searchable(files: Mapping[str, str]) -> list[dict[str, Any]]:
    """The entries of columns.js."""
    text = files["columns.js"].partition("const LINEAGE")[0]
    return json.loads(text[text.index("[") : text.rindex("]") + 1])


def dead_links(files: Mapping[str, str]) -> list[tuple[str, str]]:
    """The pages and addresses of links that lead to no file of the site or to no id in it."""
    pages = parse(files)
    links = [(path, link) for path, page in pages.items() for link in page.addresses]
    links += [
        ("index.html", entry["path"] + (f"#{entry['anchor']}" if entry["anchor"] else ""))
        for entry in searchable(files)
    ]
    return [(path, link) for path, link in links if not _is_alive(path, link, files, pages)]


def _is_alive(path: str, link: str, files: Mapping[str, str], pages: Mapping[str, Page]) -> bool:
    parts = urlsplit(link)
    if link == "data:,":
        return True
    if parts.scheme or parts.netloc:
        return False
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
    target = target if parts.path else path
    if target not in files:
        return False
    return not parts.fragment or unquote(parts.fragment) in pages[target].ids
