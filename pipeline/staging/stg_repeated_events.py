"""The kept copy of each event that came more than once."""

from __future__ import annotations

from dataclasses import replace

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, Within, model, names_of
from pipeline.rules.columns import EVENT_TIME, MAP_REVISION, PARSED, SOURCE_FILE, UID
from pipeline.rules.dedup import (
    DEDUP_KEY,
    earliest,
    hash_of,
    repeated_hashes,
    staged,
)
from pipeline.rules.items import STAGED_KIND
from pipeline.rules.source_values import uid_of

COLUMNS = (
    Column("item_key", "string", "kind of telemetry", nullable=False),
    Column("key_device_id", "string", "a reading's device, else empty", nullable=False),
    Column("device_id", "string", "the device, which names its map", nullable=False),
    *EVENT_TIME,
    MAP_REVISION,
    UID,
    SOURCE_FILE,
    STAGED_KIND,
    *(replace(each, nullable=each.name != "item_uuid") for each in PARSED),
    Column("copies", "int64", "how often it came, the kept copy counted", nullable=False),
)


@model(
    key=DEDUP_KEY,
    tags=["part_three"],
    columns=COLUMNS,
    cluster_by=["staged_kind", "device_id", "item_uuid"],
    locality=Within("item_uuid"),
)
def stg_repeated_events(stg_sync_events: ir.Table) -> ir.Table:
    """One row per staged event that came more than once: the copy that is kept.

    Few events come twice, and only these must be sorted. Contract: section 4, dedup.
    """
    # only the keys: an engine may store a wide table as a whole if a query reads it twice
    keys = staged(stg_sync_events.select("staged_kind", "item_key", "device_id", "item_uuid"))
    events = staged(stg_sync_events.drop("_uid"))
    # Each hash comes once, so an inner join keeps rows like a semi join. An engine may run a semi
    # join as a subquery for each row.
    copies = events.mutate(key_hash=hash_of(events, DEDUP_KEY)).join(
        repeated_hashes(keys, DEDUP_KEY), "key_hash"
    )
    # both in one window, so an engine sorts the copies once
    order = earliest(copies)
    position = ibis.row_number().over(group_by=DEDUP_KEY, order_by=order)
    number = copies.count().over(group_by=DEDUP_KEY, order_by=order, rows=(None, None))
    kept = copies.mutate(position=position, copies=number).filter(_.position == 0)
    # written again for the few, not read for all: it is one of the widest columns
    return kept.mutate(_uid=uid_of(kept)).select(*names_of(COLUMNS))
