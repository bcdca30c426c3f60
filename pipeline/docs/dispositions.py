"""The disposition of every raw row, as bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.rules.dispositions import (
    DUPLICATE,
    QUARANTINED_EVENTS,
    QUARANTINED_USERS,
    STAGED,
)
from pipeline.sources import SOURCES, Source

OTHER = "any other"
"""The label of all undeclared item keys, because the site shows no raw text."""

SCALE = 1000
"""The width of a whole bar."""

KINDS = (STAGED, DUPLICATE, "quarantined", "aside")
"""The kinds of dispositions, in the order in which a bar shows them."""


@dataclass(frozen=True)
class Segment:
    """A part of a bar: the rows of one disposition, from `x` on, `width` wide."""

    disposition: str
    kind: str
    rows: int
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """The rows of a source, or those with one item key."""

    label: str
    rows: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class SourceChart:
    """The bars of a source: of all its rows, then of each declared item key, longest first."""

    source: Source
    whole: Bar
    by_item_key: tuple[Bar, ...]


def charts(audit: Sequence[Mapping[str, Any]]) -> list[SourceChart]:
    """Return a chart for each source that has rows in audit_dispositions."""
    made = (_chart(source, audit) for source in SOURCES.values())
    return [chart for chart in made if chart.whole.rows]


def kind(disposition: str) -> str:
    """Return what kind of disposition this is, one of KINDS."""
    if disposition in (STAGED, DUPLICATE):
        return disposition
    is_quarantined = disposition in QUARANTINED_EVENTS + QUARANTINED_USERS
    return "quarantined" if is_quarantined else "aside"


def _chart(source: Source, audit: Sequence[Mapping[str, Any]]) -> SourceChart:
    declared = {item.key for item in source.items}
    whole: Counter[str] = Counter()
    by_key: dict[str, Counter[str]] = {}
    for row in audit:
        if row["source"] == source.name:
            label = row["item_key"] if row["item_key"] in declared else OTHER
            counted = Counter({row["disposition"]: row["number_of_rows"]})
            whole += counted
            by_key[label] = by_key.get(label, Counter()) + counted
    longest = max((rows.total() for rows in by_key.values()), default=0)
    bars = [_bar(label, rows, longest) for label, rows in by_key.items() if declared]
    in_order = sorted(bars, key=lambda bar: (bar.label == OTHER, -bar.rows, bar.label))
    return SourceChart(source, _bar(source.name, whole, whole.total()), tuple(in_order))


def _bar(label: str, rows: Counter[str], longest: int) -> Bar:
    segments: list[Segment] = []
    x = 0.0
    for name in sorted(rows, key=lambda name: (KINDS.index(kind(name)), -rows[name], name)):
        width = SCALE * rows[name] / longest
        segments.append(Segment(name, kind(name), rows[name], round(x, 1), round(width, 1)))
        x += width
    return Bar(label, rows.total(), tuple(segments))
