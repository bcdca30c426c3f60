"""The answers of hubs to commands."""

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
from pipeline.rules.items import RESULT

# whole words: `unsuccessful` is no success
_SUCCESS = r"\b(true|success)\b"


@model(
    key=["command_uuid"],
    tags=["part_one"],
    materialized="view",
    locality=Within("command_uuid", stg_sync_events="item_uuid", stg_repeated_events="item_uuid"),
    columns=[
        COMMAND_UUID,
        Column("is_hub_success", "boolean", "the hub answered with success", nullable=False),
        Column("command_failure_string", "string", "why the command failed, by the hub"),
        Column("command_node_id", "string", "Z-Wave node that the command was for"),
        *EVENT_TIME,
        ITEM_DEVICE,
        MAP_REVISION,
        UID,
        SOURCE_FILE,
    ],
)
def stg_command_results(stg_sync_events: ir.Table, stg_repeated_events: ir.Table) -> ir.Table:
    """One row per command that a hub answered, the earliest copy of its event.

    Contract: section 4, stg_command_results.
    """
    return one_copy_each(stg_sync_events, stg_repeated_events, RESULT.key).select(
        "update_timestamp",
        "event_timestamp",
        "device_id",
        "map_revision",
        "_uid",
        "_source_file",
        command_uuid=_.item_uuid,
        is_hub_success=_.result.lower().re_search(_SUCCESS).fill_null(False),
        command_failure_string=_.failure_string,
        command_node_id=_.node_id,
    )
