"""The readings that devices reported."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, Within, model
from pipeline.rules.columns import EVENT_TIME, ITEM_DEVICE, MAP_REVISION, SOURCE_FILE, STATE, UID
from pipeline.rules.dedup import one_copy_each
from pipeline.rules.items import READING


@model(
    key=["device_id", "reading_type", "reading_uuid"],
    tags=["part_three"],
    materialized="view",
    locality=Within("reading_uuid", stg_sync_events="item_uuid", stg_repeated_events="item_uuid"),
    columns=[
        Column("reading_uuid", "string", "the reading's uuid, else its _uid", nullable=False),
        ITEM_DEVICE,
        Column("reading_type", "string", "kind of reading, an ItemKey", nullable=False),
        *STATE,
        *EVENT_TIME,
        MAP_REVISION,
        UID,
        SOURCE_FILE,
    ],
)
def stg_readings(stg_sync_events: ir.Table, stg_repeated_events: ir.Table) -> ir.Table:
    """One row per reading that a device reported, the earliest copy of its event.

    Contract: section 4, stg_readings.
    """
    return one_copy_each(stg_sync_events, stg_repeated_events, READING).select(
        "device_id",
        "state_value",
        "state_unit",
        "state_percent",
        "update_timestamp",
        "event_timestamp",
        "map_revision",
        "_uid",
        "_source_file",
        reading_uuid=_.item_uuid,
        reading_type=_.item_key,
    )
