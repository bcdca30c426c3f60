"""The raw events with a command's id: which copy is kept, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir

from pipeline.explain.rows import Rows, Together
from pipeline.rules.dedup import CONTENT, DEDUP_KEY, criteria, earliest, with_key_device
from pipeline.rules.dispositions import EVENT_DISPOSITIONS, STAGED
from pipeline.rules.items import ACTIVE, COMMAND, RESULT

_REASONS = {each.name: each.reason for each in EVENT_DISPOSITIONS}
_LATER = {
    "update_timestamp": "was recorded later",
    "map_revision": "has a higher map_revision (in hex order)",
    "_source_file": "has a _source_file that sorts later",
    **{name: f"sorts later by {name}" for name in CONTENT},
}
_NO_TIME = datetime.min.replace(tzinfo=UTC)
_COLUMNS = (
    *("item_key", "staged_kind", "item_uuid", "event_type", "update_timestamp", "event_timestamp"),
    *("map_revision", "_source_file", "disposition", "item_data", "command"),
)
_NOT_SHOWN = ("update_timestamp", "event_timestamp", "desired_state")


@dataclass(frozen=True)
class Event:
    """A raw event: its content in words, whether it is kept, and the reason."""

    item_key: str | None
    event_type: str | None
    update_timestamp: datetime | None
    event_timestamp: datetime | None
    device_id: str | None
    map_revision: str | None
    source_file: str | None
    disposition: str
    copies: int
    is_kept: bool
    says: str
    reason: str
    item_data: str | None


def events_of(parts: Collection[ir.Table], rows: Rows, together: Together) -> tuple[Event, ...]:
    """Return all raw events that carry an id, by time; `parts` are tables that hold them.

    All copies of an event are in the same part.
    """
    asked = [partial(_events_of, part, rows) for part in parts]
    found = [event for events in together(asked) for event in events]
    return tuple(sorted(found, key=_order))


def _events_of(part: ir.Table, rows: Rows) -> list[Event]:
    carrying = with_key_device(part.select(*dict.fromkeys((*_COLUMNS, *CONTENT))))
    copies = [*DEDUP_KEY, "disposition"]
    ranks = {
        f"rank_{name}": ibis.dense_rank().over(group_by=copies, order_by=keys)
        for name, keys in criteria(carrying).items()
    }
    position = ibis.row_number().over(group_by=copies, order_by=earliest(carrying))
    found = rows(carrying.mutate(position=position, **ranks))
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in sorted(found, key=lambda row: row["position"]):
        groups.setdefault(tuple(row[name] for name in copies), []).append(row)
    return [_event(row, group) for group in groups.values() for row in group]


def _order(event: Event) -> tuple[bool, datetime, str, str]:
    time = event.update_timestamp
    return time is None, time or _NO_TIME, event.item_key or "", event.disposition


def _event(row: Mapping[str, Any], copies: list[dict[str, Any]]) -> Event:
    kept = copies[0]
    return Event(
        row["item_key"],
        row["event_type"],
        row["update_timestamp"],
        row["event_timestamp"],
        row["device_id"],
        row["map_revision"],
        row["_source_file"],
        row["disposition"],
        len(copies),
        row["disposition"] == STAGED and row is kept,
        _says(row),
        _reason(row, kept, len(copies)),
        row["item_data"],
    )


def _says(row: Mapping[str, Any]) -> str:
    node = f" (Z-Wave node {row['node_id']})" if row["node_id"] is not None else ""
    if row["item_key"] == COMMAND.key:
        return f"asks for {row['command'] or 'nothing that is known'}"
    if row["item_key"] == ACTIVE.key:
        return f"the hub picks the command up{node}"
    if row["item_key"] == RESULT.key:
        answer = "without a result" if row["result"] is None else f"`{row['result']}`"
        why = f": {row['failure_string']}" if row["failure_string"] else ""
        return f"the hub answers {answer}{why}{node}"
    return f"reports {'nothing' if row['state_value'] is None else row['state_value']}"


def _reason(row: Mapping[str, Any], kept: Mapping[str, Any], copies: int) -> str:
    if row["disposition"] != STAGED:
        return f"not used, {row['disposition']}: {_REASONS[row['disposition']]}"
    if row is kept:
        return f"kept, the first of {copies} copies" if copies > 1 else "kept, the only copy"
    for name, later in _LATER.items():
        if row[f"rank_{name}"] != kept[f"rank_{name}"]:
            return f"not kept: it {later} than the kept copy{_values(name, row, kept)}"
    return "not kept: it equals the kept copy"


def _values(name: str, row: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    if name in _NOT_SHOWN:
        return ""
    mine, other = ("NULL" if each[name] is None else each[name] for each in (row, kept))
    return f" ({mine}, kept {other})"
