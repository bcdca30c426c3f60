"""Which copy of an event is kept, and which keys have copies at all."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.dialect import key_hash
from pipeline.rules.revision import revision_order


def _nulls_last(column: ir.StringColumn) -> list[ir.Value]:
    return [column.isnull(), column.fill_null("")]


def criteria(events: ir.Table) -> dict[str, list[ir.Value]]:
    """Return what decides between copies of an event, first criterion first, by column.

    Each is a list of sort keys: the earlier `update_timestamp` wins, then the lower `map_revision`
    in hex order, `_source_file`, `item_data` and `device_id`, NULL last in each (contract,
    section 4).
    """
    return {
        "update_timestamp": [events.update_timestamp.isnull(), events.update_timestamp],
        "map_revision": revision_order(events.map_revision, nulls="last"),
        "_source_file": _nulls_last(events._source_file),
        "item_data": _nulls_last(events.item_data),
        "device_id": _nulls_last(events.device_id),
    }


def earliest(events: ir.Table) -> list[ir.Value]:
    """Return the order in which copies of an event are preferred; it is total."""
    return [key for keys in criteria(events).values() for key in keys]


def keep_first(table: ir.Table, key: Sequence[str], order: Sequence[ir.Value]) -> ir.Table:
    """Keep the first row of each key in the given order. Same columns."""
    position = ibis.row_number().over(group_by=list(key), order_by=list(order))
    return table.mutate(_position=position).filter(_._position == 0).drop("_position")


def hash_of(table: ir.Table, key: Sequence[str]) -> ir.IntegerColumn:
    """Return a number for each row's key: numbers group and join much faster than long texts."""
    return key_hash(*(table[column] for column in key))


def repeated_hashes(table: ir.Table, key: Sequence[str]) -> ir.Table:
    """Return the key hashes that occur more than once, as one column `key_hash`."""
    hashes = table.select(key_hash=hash_of(table, key))
    return hashes.group_by("key_hash").agg(copies=_.count()).filter(_.copies > 1).select("key_hash")
