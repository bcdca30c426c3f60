"""Keeps one copy of each staged event: defines copies, and which one is kept."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.dialect import key_hash
from pipeline.rules.items import READING, UNSTAGED
from pipeline.rules.revision import revision_order

DEDUP_KEY = ("item_key", "key_device_id", "item_uuid")
"""The columns that copies share. A reading's uuid needs its device; a command's id does not."""

CONTENT = (
    *("event_timestamp", "desired_state", "client", "user_id", "origin", "origin_id", "node_id"),
    *("result", "failure_string", "state_value", "state_unit", "state_percent", "device_id"),
)
"""The content columns of a staged event, in the order that breaks ties (contract, section 4)."""


def criteria(events: ir.Table) -> dict[str, list[ir.Value]]:
    """Return the criteria that choose between copies of an event, in order, by column.

    Each is a list of sort keys. The earlier `update_timestamp` wins, then the lower `map_revision`
    in hex order, then the lower `_source_file`, then the lower content; NULL comes last in each.
    Copies that still tie are equal in every model (contract, section 4).
    """
    return {
        "update_timestamp": _nulls_last(events.update_timestamp),
        "map_revision": revision_order(events.map_revision, nulls="last"),
        **{name: _nulls_last(events[name]) for name in ("_source_file", *CONTENT)},
    }


def _nulls_last(column: ir.Column) -> list[ir.Value]:
    # isnull() comes first, so the engine's own place for NULLs does not matter
    return [column.isnull(), column]


def earliest(events: ir.Table) -> list[ir.Value]:
    """Return the order of preference of an event's copies."""
    return [key for keys in criteria(events).values() for key in keys]


def keep_first(table: ir.Table, key: Sequence[str], order: Sequence[ir.Value]) -> ir.Table:
    """Keep the first row of each key in the given order. Same columns."""
    position = ibis.row_number().over(group_by=list(key), order_by=list(order))
    return table.mutate(_position=position).filter(_._position == 0).drop("_position")


def hash_of(table: ir.Table, key: Sequence[str]) -> ir.IntegerColumn:
    """Return a hash of each row's key: numbers group and join much faster than long texts."""
    return key_hash(*(table[column] for column in key))


def repeated_hashes(table: ir.Table, key: Sequence[str]) -> ir.Table:
    """Return the key hashes that occur more than once, as one column `key_hash`."""
    hashes = table.select(key_hash=hash_of(table, key))
    return hashes.group_by("key_hash").agg(copies=_.count()).filter(_.copies > 1).select("key_hash")


def with_key_device(events: ir.Table) -> ir.Table:
    """Add `key_device_id` for the dedup key: a reading's device, else empty."""
    return events.mutate(key_device_id=(_.staged_kind == READING).ifelse(_.device_id, ""))


def staged(stg_sync_events: ir.Table) -> ir.Table:
    """Return the staged events, including later copies, with the whole dedup key."""
    return with_key_device(stg_sync_events.filter(_.staged_kind != UNSTAGED))


def one_copy_each(stg_sync_events: ir.Table, stg_repeated_events: ir.Table, kind: str) -> ir.Table:
    """Return the staged events of a kind, one row a key (contract, section 4, dedup).

    It has the columns of stg_repeated_events without the number of copies. That model holds the
    kept copy of each event that came more than once.
    """
    # all kept copies, although only those of the kind can match: an engine may compute a filtered
    # table that is used twice as a whole, with columns that nobody needs
    once = staged(stg_sync_events.filter(_.staged_kind == kind)).anti_join(
        stg_repeated_events, DEDUP_KEY
    )
    kept = stg_repeated_events.filter(_.staged_kind == kind).drop("copies")
    return once.select(*kept.columns).union(kept)
