"""The commands that hubs picked up."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, Within, model
from pipeline.rules.columns import (
    COMMAND_UUID,
    EVENT_TIME,
    ITEM_DEVICE,
    MAP_REVISION,
    SOURCE_FILE,
    UID,
)
from pipeline.rules.dedup import one_copy_each
from pipeline.rules.items import ACTIVE


@model(
    key=["command_uuid"],
    tags=["part_one"],
    materialized="view",
    locality=Within("command_uuid", stg_sync_events="item_uuid", stg_repeated_events="item_uuid"),
    columns=[
        COMMAND_UUID,
        Column("command_node_id", "string", "Z-Wave node that the command is for"),
        *EVENT_TIME,
        ITEM_DEVICE,
        MAP_REVISION,
        UID,
        SOURCE_FILE,
    ],
)
def stg_command_actives(stg_sync_events: ir.Table, stg_repeated_events: ir.Table) -> ir.Table:
    """One row per command that a hub picked up, the earliest copy of its event.

    Contract: section 4, stg_command_actives.
    """
    return one_copy_each(stg_sync_events, stg_repeated_events, ACTIVE.key).select(
        "update_timestamp",
        "event_timestamp",
        "device_id",
        "map_revision",
        "_uid",
        "_source_file",
        command_uuid=_.item_uuid,
        command_node_id=_.node_id,
    )
