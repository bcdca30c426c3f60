"""From all parsed events to one copy each of the staged ones of some kind."""

from __future__ import annotations

from collections.abc import Sequence

import ibis.expr.types as ir
from ibis import _

from pipeline.rules.items import READING_ITEMS, STAGED

DEDUP_KEY = ("item_key", "key_device_id", "item_uuid")
"""What copies of an event agree in: a reading's uuid is its device's own, a command's id is not."""


def staged(stg_sync_events: ir.Table, items: Sequence[str]) -> ir.Table:
    """Return the staged events of the given kinds, later copies included.

    One more column, `key_device_id`: a reading's device, empty for the items of a command.
    """
    is_reading = _.item_key.isin(READING_ITEMS)
    return stg_sync_events.filter(_.disposition == STAGED, _.item_key.isin(items)).mutate(
        key_device_id=is_reading.ifelse(_.device_id, "")
    )


def one_copy_each(
    stg_sync_events: ir.Table, stg_repeated_events: ir.Table, items: Sequence[str]
) -> ir.Table:
    """Return the staged events of the given kinds, one row a key (contract, section 4, dedup).

    The columns of stg_repeated_events, which holds the kept copy of what came more than once.
    """
    once = staged(stg_sync_events, items).anti_join(stg_repeated_events, DEDUP_KEY)
    kept = stg_repeated_events.filter(_.item_key.isin(items))
    return once.select(*kept.columns).union(kept)
