"""From all parsed events to one copy each of the staged ones of some kind."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.rules.item_kind import READING

DEDUP_KEY = ("item_key", "key_device_id", "item_uuid")
"""What copies of an event agree in: a reading's uuid is its device's own, a command's id is not."""


def with_key_device(events: ir.Table) -> ir.Table:
    """Add what completes the dedup key: `key_device_id`, a reading's device, else empty."""
    return events.mutate(key_device_id=(_.staged_kind == READING).ifelse(_.device_id, ""))


def staged(stg_sync_events: ir.Table) -> ir.Table:
    """Return the staged events, later copies included, with the whole dedup key."""
    return with_key_device(stg_sync_events.filter(_.staged_kind.notnull()))


def one_copy_each(stg_sync_events: ir.Table, stg_repeated_events: ir.Table, kind: str) -> ir.Table:
    """Return the staged events of a kind, one row a key (contract, section 4, dedup).

    The columns of stg_repeated_events, which holds the kept copy of what came more than once, less
    the number of copies.
    """
    # all kept copies, though only those of the kind can match: a filtered table that is used twice
    # may be computed whole, with columns that nobody asks for
    once = staged(stg_sync_events.filter(_.staged_kind == kind)).anti_join(
        stg_repeated_events, DEDUP_KEY
    )
    kept = stg_repeated_events.filter(_.staged_kind == kind).drop("copies")
    return once.select(*kept.columns).union(kept)
