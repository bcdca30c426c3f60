"""What residents and their apps asked devices to do."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Within, accepted_values, matches, model
from pipeline.rules.columns import (
    COMMAND,
    COMMAND_DEVICE,
    COMMAND_ORIGIN,
    COMMAND_USER,
    COMMAND_UUID,
    DIMMER,
    EVENT_TIME,
    LOCK_STATE,
    MAP_REVISION,
    PIN,
    RAW_DESIRED_STATE,
    SOURCE_FILE,
    SWITCH_STATE,
    THERMOSTAT,
    UID,
)
from pipeline.rules.items import COMMAND_ITEM
from pipeline.rules.staged import one_copy_each

_SET_POINT = r"^([0-9]{1,3}\.?[0-9]{1,3})$"
_MODES = ["off", "cool", "heat", "auto", "settocool", "settoheat", "operatingstate"]


@model(
    key=["command_uuid"],
    tags=["part_one"],
    materialized="view",
    locality=Within("command_uuid", stg_sync_events="item_uuid", stg_repeated_events="item_uuid"),
    columns=[
        COMMAND_UUID,
        *COMMAND,
        *THERMOSTAT,
        *PIN,
        SWITCH_STATE,
        *DIMMER,
        LOCK_STATE,
        COMMAND_USER,
        *COMMAND_ORIGIN,
        *EVENT_TIME,
        COMMAND_DEVICE,
        MAP_REVISION,
        RAW_DESIRED_STATE,
        UID,
        SOURCE_FILE,
    ],
    # what clients send, the pipeline can't mend: contract, section 6
    checks=[
        accepted_values(
            "lock_state",
            ["locked", "unlocked"],
            where=_.command == "LockedState",
            severity="warn",
        ),
        accepted_values(
            "switch_state", ["on", "off"], where=_.command == "SwitchState", severity="warn"
        ),
        accepted_values(
            "thermostat_mode", _MODES, where=_.command == "ThermostatMode", severity="warn"
        ),
        matches(
            "thermostat_cool_set_point",
            _SET_POINT,
            where=_.command == "ThermostatCoolSetPoint",
            severity="warn",
        ),
        matches(
            "thermostat_heat_set_point",
            _SET_POINT,
            where=_.command == "ThermostatHeatSetPoint",
            severity="warn",
        ),
        matches("slot", "^([0-9]{1,3}|None)$", where=_.command == "PinAssignment", severity="warn"),
        matches(
            "pin",
            "^([0-9]{3,6}|None)$",
            where=_.command == "PinAssignment",
            severity="warn",
            null_passes=True,
        ),
    ],
)
def stg_commands(stg_sync_events: ir.Table, stg_repeated_events: ir.Table) -> ir.Table:
    """One row per command, the earliest copy of its event.

    Contract: section 4, stg_commands.
    """
    commands = one_copy_each(stg_sync_events, stg_repeated_events, COMMAND_ITEM)

    def where(command: str, value: ir.StringColumn) -> ir.StringColumn:
        return (commands.command == command).ifelse(value, ibis.null("string"))

    first, second = commands.desired_state_1, commands.desired_state_2
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
        thermostat_heat_set_point=where("ThermostatHeatSetPoint", first),
        thermostat_cool_set_point=where("ThermostatCoolSetPoint", first),
        thermostat_mode=where("ThermostatMode", first.lower()),
        slot=where("PinAssignment", first),
        pin=where("PinAssignment", second),
        switch_state=where("SwitchState", first.lower()),
        dimmer_state=where("DimmerState", first),
        dimmer_level=where("DimmerState", second),
        lock_state=where("LockedState", first.lower()),
        command_origin=_.origin,
        command_origin_id=_.origin_id,
        _raw_command_desired_state=_.desired_state,
    )
