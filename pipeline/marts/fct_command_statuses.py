"""Commands with the hub's pick-up and answer."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import TIMESTAMP, Column, TableCheck, Within, model, names_of
from pipeline.dialect import day
from pipeline.rules.columns import (
    COMMAND,
    COMMAND_DATE,
    COMMAND_DEVICE,
    COMMAND_ORIGIN,
    COMMAND_USER,
    COMMAND_UUID,
    RAW_DESIRED_STATE,
)
from pipeline.rules.commands import ASKED
from pipeline.rules.reconciliation import differing_counts, without_partner

COLUMNS = (
    COMMAND_UUID,
    COMMAND_DEVICE,
    *COMMAND,
    *ASKED,
    COMMAND_USER,
    Column("command_timestamp", TIMESTAMP, "time that the command itself states (UTC)"),
    Column("active_timestamp", TIMESTAMP, "time that the CommandActive states (UTC)"),
    Column("result_timestamp", TIMESTAMP, "time that the CommandResult states (UTC)"),
    Column("command_active_node_id", "string", "Z-Wave node of the CommandActive"),
    Column("command_result_node_id", "string", "Z-Wave node of the CommandResult"),
    Column("is_hub_success", "boolean", "the hub answered with success", nullable=False),
    Column("has_hub_response", "boolean", "the hub answered at all", nullable=False),
    Column("command_failure_string", "string", "why the command failed, by the hub"),
    Column(
        "command_update_timestamp",
        TIMESTAMP,
        "when the command was recorded (UTC): the clock of its window",
        nullable=False,
    ),
    Column("command_map_revision", "string", "map revision of the command, hex"),
    Column("active_update_timestamp", TIMESTAMP, "when the CommandActive was recorded (UTC)"),
    Column("result_update_timestamp", TIMESTAMP, "when the CommandResult was recorded (UTC)"),
    *COMMAND_ORIGIN,
    RAW_DESIRED_STATE,
    Column("_command_uid", "string", "_uid of the Command", nullable=False),
    Column("_command_active_uid", "string", "_uid of the CommandActive"),
    Column("_command_result_uid", "string", "_uid of the CommandResult"),
    COMMAND_DATE,
)


def every_command_has_a_status(stg_commands: int, fct_command_statuses: int) -> ir.Table:
    """fct_command_statuses has as many rows as stg_commands."""
    return differing_counts(stg_commands, fct_command_statuses)


def every_active_has_its_command(
    stg_command_actives: ir.Table, fct_command_statuses: ir.Table
) -> ir.Table:
    """Every CommandActive has its Command."""
    actives = stg_command_actives.select("command_uuid", "device_id", "update_timestamp")
    return without_partner(actives, fct_command_statuses, "command_uuid")


def every_result_has_its_command(
    stg_command_results: ir.Table, fct_command_statuses: ir.Table
) -> ir.Table:
    """Every CommandResult has its Command."""
    results = stg_command_results.select("command_uuid", "device_id", "update_timestamp")
    return without_partner(results, fct_command_statuses, "command_uuid")


def every_user_is_known(fct_command_statuses: ir.Table, dim_users: ir.Table) -> ir.Table:
    """Every user id of a command is in dim_users."""
    users = fct_command_statuses.select("command_uuid", "device_id", "command_date", "user_id")
    return without_partner(users, dim_users, "user_id")


@model(
    key=["command_uuid"],
    tags=["part_one"],
    columns=COLUMNS,
    partition_by="command_date",
    cluster_by=["device_id", "command_uuid"],
    locality=Within("command_uuid"),
    checks=[
        TableCheck(every_command_has_a_status),
        TableCheck(every_user_is_known, severity="warn", within="command_uuid"),
        TableCheck(every_active_has_its_command, severity="warn", within="command_uuid"),
        TableCheck(every_result_has_its_command, severity="warn", within="command_uuid"),
    ],
)
def fct_command_statuses(
    stg_commands: ir.Table, stg_command_actives: ir.Table, stg_command_results: ir.Table
) -> ir.Table:
    """One row per command, with the hub's pick-up and answer if there are any.

    Contract: section 5, fct_command_statuses.
    """
    actives = stg_command_actives.select(
        "command_uuid",
        active_timestamp=_.event_timestamp,
        active_update_timestamp=_.update_timestamp,
        command_active_node_id=_.command_node_id,
        _command_active_uid=_._uid,
    )
    results = stg_command_results.select(
        "command_uuid",
        "is_hub_success",
        "command_failure_string",
        result_timestamp=_.event_timestamp,
        result_update_timestamp=_.update_timestamp,
        command_result_node_id=_.command_node_id,
        _command_result_uid=_._uid,
    )
    commands = stg_commands.rename(
        command_timestamp="event_timestamp",
        command_update_timestamp="update_timestamp",
        command_map_revision="map_revision",
        _command_uid="_uid",
    )
    joined = commands.left_join(actives, "command_uuid").left_join(
        results, "command_uuid", rname="result_{name}"
    )
    return joined.mutate(
        is_hub_success=_.is_hub_success.fill_null(False),
        has_hub_response=_._command_result_uid.notnull(),
        command_date=day(joined.command_update_timestamp),
    ).select(*names_of(COLUMNS))
