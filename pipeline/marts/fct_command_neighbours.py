"""The device's commands before and after each command."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.contract import Column, Within, model
from pipeline.dialect import microseconds
from pipeline.rules.columns import COMMAND_DATE, COMMAND_DEVICE, COMMAND_UUID
from pipeline.rules.window import device_order

_MICROSECONDS = "microseconds since 1970 UTC, NULL if there is none"


@model(
    key=["command_uuid"],
    tags=["part_three"],
    columns=[
        COMMAND_UUID,
        COMMAND_DEVICE,
        COMMAND_DATE,
        Column("previous_at", "int64", f"time of the device's previous command, {_MICROSECONDS}"),
        Column("next_at", "int64", f"time of the device's next command, {_MICROSECONDS}"),
        Column("next_same_at", "int64", f"time of its next same `command`, {_MICROSECONDS}"),
    ],
    partition_by="command_date",
    cluster_by=["device_id", "command_uuid"],
    locality=Within("device_id"),
)
def fct_command_neighbours(fct_command_statuses: ir.Table) -> ir.Table:
    """One row per command, with the times of the commands next to it on its device.

    Contract: section 5, fct_command_readings, the order of a device's commands.
    """
    # only the columns that the window functions need: they move every column they get
    commands = fct_command_statuses.select(
        "command_uuid",
        "device_id",
        "command_date",
        "command",
        "command_map_revision",
        at=microseconds(fct_command_statuses.command_update_timestamp),
    )
    order = device_order(commands)
    any_command = ibis.window(group_by="device_id", order_by=order)
    same_command = ibis.window(group_by=["device_id", "command"], order_by=order)
    at = commands["at"]
    return commands.select(
        "command_uuid",
        "device_id",
        "command_date",
        previous_at=at.lag().over(any_command),
        next_at=at.lead().over(any_command),
        next_same_at=at.lead().over(same_command),
    )
