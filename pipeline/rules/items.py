"""The kinds of map items, and which reading a command is expected to cause."""

from __future__ import annotations

from pipeline.rules.item_data import ACTIVE, COMMAND, READINGS, RESULT

COMMAND_ITEM = COMMAND.key
ACTIVE_ITEM = ACTIVE.key
RESULT_ITEM = RESULT.key
COMMAND_ITEMS = (COMMAND_ITEM, ACTIVE_ITEM, RESULT_ITEM)
"""Items that carry a command's id (contract, section 2)."""

READING_ITEMS = tuple(reading.key for reading in READINGS)
"""Items by which a device reports its state (contract, section 2)."""

EXPECTED_READING = {
    "LockedState": "DoorLocked",
    "SwitchState": "Switch",
    "DimmerState": "Dimmer",
    "ThermostatMode": "ThermostatMode",
    "ThermostatHeatSetPoint": "ThermostatHeatSetpoint",
    "ThermostatCoolSetPoint": "ThermostatCoolSetpoint",
}
"""By command, the type of the reading that shows its effect (contract, section 5)."""

ALL_COMMANDS = "(all)"
"""The reserved word that stands for all commands in met_command_outcomes."""

STAGED = "staged"
QUARANTINED_EVENTS = (
    "malformed_json",
    "missing_device_id",
    "missing_update_timestamp",
    "missing_command_uuid",
    "missing_desired_state",
    "missing_state",
)
"""The dispositions of quarantined_events (contract, section 3)."""

QUARANTINED_USERS = (
    "missing_user_id",
    "missing_username",
    "invalid_date_registered",
    "invalid_last_modified",
)
"""The dispositions of quarantined_users (contract, section 3)."""
