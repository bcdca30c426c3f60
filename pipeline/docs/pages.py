"""Renders the site's files: HTML pages, an index for the search, style and script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from pipeline.contract import Column
from pipeline.docs import contract
from pipeline.docs.highlight import highlighted
from pipeline.docs.site import Page, Site
from pipeline.lineage.columns import Edge
from pipeline.rules.commands import Parameter
from pipeline.rules.items import Item, Member
from pipeline.rules.outcomes import OUTCOMES

ENGINES = {"duckdb": "DuckDB", "bigquery": "BigQuery"}
GENERATOR = "hub-events-pipeline docs"
"""The mark of our pages: a later run removes only old pages that have it."""

STATIC = ("style.css", "site.js")
Entry = dict[str, str | bool]


def render(site: Site) -> dict[str, str]:
    """Return the text of each file by its path; the same site gives the same text."""
    found = {name: _static(name) for name in STATIC}
    found["columns.js"] = _script(_entries(site)) + _lineage_script(site.edges)

    def add(path: str, template: str, root: str, **given: object) -> None:
        made = _templates().get_template(template)
        found[path] = made.render(site=site, root=root, **given)

    add("index.html", "index.html", "")
    add(contract.PATH, "contract.html", "", contract=contract.page())
    for page in site.models:
        add(page.path, "model.html", "../", page=page, model=page.model)
    for source in site.sources:
        add(source.path, "source.html", "../", page=source, source=source.source)
    return found


def _static(name: str) -> str:
    return (files("pipeline.docs") / "static" / name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.docs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        highlighted=highlighted,
        inline=_inline,
        measure=_measure,
        moment=_moment,
        prose=_prose,
        share=_share,
        took=_took,
        type_=_type,
    )
    environment.globals.update(engines=ENGINES, generator=GENERATOR, outcomes=OUTCOMES)
    return environment


def _script(entries: Iterable[Entry]) -> str:
    # a script, because a page that is opened from a file may not read other files
    lines = ",\n".join(map(json.dumps, entries))
    return f"const COLUMNS = [\n{lines}\n];\n"


def _lineage_script(edges: Iterable[Edge]) -> str:
    """Return, for each column, its origins: those that give its values, and those that decide."""
    made: dict[str, tuple[list[str], list[str]]] = {}
    for edge in edges:
        value, decides = made.setdefault(edge.column, ([], []))
        (value if edge.how == "value" else decides).append(edge.made_of)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(of)}" for name, of in made.items())
    return f"const LINEAGE = {{\n{lines}\n}};\n"


def _entries(site: Site) -> Iterator[Entry]:
    """Return the entries of the search: each page, column, and member of a JSON column."""
    for page in site.pages.values():
        yield _entry(page, "", page.name, page.layer, page.summary)
        for column in page.columns:
            yield _column_entry(page, column)
    for source in site.sources:
        for item in source.source.items:
            yield from _item_entries(source, item)


def _item_entries(page: Page, item: Item) -> Iterator[Entry]:
    anchor = f"item-{item.key}"
    yield _entry(page, anchor, item.key, "item", item.description)
    for member in item.members:
        yield _member_entry(page, anchor, item.key, member)
    for state in item.desired_states:
        yield _entry(page, anchor, state.name, "desired_state", state.description)
        for parameter in state.parameters:
            yield _member_entry(page, anchor, state.name, parameter)


def _member_entry(page: Page, anchor: str, of: str, member: Member | Parameter) -> Entry:
    name = f"{of}.{member.name}"
    return _entry(page, anchor, name, member.type, member.description, member.sensitive)


def _column_entry(page: Page, column: Column) -> Entry:
    return _entry(
        page,
        f"column-{column.name}",
        column.name,
        column.type.split("<")[0],
        column.description,
        column.sensitive,
    )


def _entry(
    page: Page, anchor: str, name: str, type_: str, description: str, sensitive: bool = False
) -> Entry:
    return {
        "page": page.name,
        "path": page.path,
        "anchor": anchor,
        "name": name,
        "type": type_,
        "description": description.replace("`", ""),
        "sensitive": sensitive,
    }


def _moment(time: datetime | str) -> str:
    at = datetime.fromisoformat(time) if isinstance(time, str) else time
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def _took(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def _measure(value: float, unit: str) -> str:
    if unit == "seconds":
        return _took(value)
    if unit == "share":
        return "0%" if value == 0 else _share(value)
    return f"{value:,.0f}"


def _share(part: float) -> str:
    return f"{part:.1%}" if part >= 0.001 else "< 0.1%"


@pass_context
def _prose(context: Context, text: str) -> Markup:
    """Return a docstring as paragraphs."""
    paragraphs = [_inline(context, each) for each in text.split("\n\n")]
    return Markup("\n").join(Markup("<p>{}</p>").format(each) for each in paragraphs)


@pass_context
def _inline(context: Context, text: str) -> Markup:
    """Return a text on one line: backticks mark code, references to the contract are links."""
    line = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(" ".join(text.split()))))
    return Markup(contract.linked(line, context["root"]))


def _type(text: str) -> str:
    """Return a type with each field of a struct on a line of its own."""
    return re.sub(r"(?<=struct<)|(?<=, )(?=\w+: )", "\n  ", text).replace(">>", "\n>>")
