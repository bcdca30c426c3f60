"""The commands of residents and their apps."""

from __future__ import annotations

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import RowCheck, Within, accepted_values, matches, model
from pipeline.rules.columns import (
    COMMAND,
    COMMAND_DEVICE,
    COMMAND_ORIGIN,
    COMMAND_USER,
    COMMAND_UUID,
    EVENT_TIME,
    MAP_REVISION,
    RAW_DESIRED_STATE,
    SOURCE_FILE,
    UID,
)
from pipeline.rules.commands import ASKED, ELEMENTS, KINDS
from pipeline.rules.dedup import one_copy_each
from pipeline.rules.items import COMMAND as COMMAND_ITEM


def _value_checks() -> Iterator[RowCheck]:
    # only warnings, because the pipeline can't mend clients' values: contract, section 6
    for kind in KINDS:
        where = _.command == kind.name
        for parameter in kind.parameters:
            if parameter.accepted:
                yield accepted_values(
                    parameter.name, parameter.accepted, where=where, severity="warn"
                )
            if parameter.pattern:
                yield matches(
                    parameter.name,
                    parameter.pattern,
                    where=where,
                    severity="warn",
                    null_passes=parameter.may_be_null,
                )


@model(
    key=["command_uuid"],
    tags=["part_one"],
    materialized="view",
    locality=Within("command_uuid", stg_sync_events="item_uuid", stg_repeated_events="item_uuid"),
    columns=[
        COMMAND_UUID,
        *COMMAND,
        # the contract names lock_state last
        *sorted(ASKED, key=lambda column: column.name == "lock_state"),
        COMMAND_USER,
        *COMMAND_ORIGIN,
        *EVENT_TIME,
        COMMAND_DEVICE,
        MAP_REVISION,
        RAW_DESIRED_STATE,
        UID,
        SOURCE_FILE,
    ],
    checks=[*_value_checks()],
)
def stg_commands(stg_sync_events: ir.Table, stg_repeated_events: ir.Table) -> ir.Table:
    """One row per command, the earliest copy of its event.

    Contract: section 4, stg_commands.
    """
    commands = one_copy_each(stg_sync_events, stg_repeated_events, COMMAND_ITEM.key)
    return commands.select(
        "command",
        "user_id",
        "update_timestamp",
        "event_timestamp",
        "device_id",
        "map_revision",
        "_uid",
        "_source_file",
        command_uuid=_.item_uuid,
        command_client=_.client,
        command_origin=_.origin,
        command_origin_id=_.origin_id,
        _raw_command_desired_state=_.desired_state,
        **_asked(commands),
    )


def _asked(commands: ir.Table) -> dict[str, ir.Value]:
    return {
        parameter.name: (commands.command == kind.name).ifelse(
            commands[element].lower() if parameter.is_lower_case else commands[element],
            ibis.null("string"),
        )
        for kind in KINDS
        for element, parameter in zip(ELEMENTS, kind.parameters, strict=False)
    }
