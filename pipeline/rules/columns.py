"""Columns that several models carry, described once."""

from __future__ import annotations

from pipeline.contract import TIMESTAMP, Column
from pipeline.rules.commands import ELEMENTS, is_sensitive_at

COMMAND_UUID = Column("command_uuid", "string", "the command's id", nullable=False)
COMMAND = (
    Column("command", "string", "kind of command, such as LockedState", nullable=False),
    Column("command_client", "string", "client that sent the command"),
)
USERNAME = Column("username", "string", "the user's name", nullable=False)

EVENT = (
    Column("event_type", "string", "kind of change of the map item"),
    Column("update_timestamp", TIMESTAMP, "when the change was recorded (UTC): the clock"),
    Column("map_revision", "string", "revision of the device's map, hex"),
    Column("item_key", "string", "kind of telemetry"),
    Column("item_revision", "string", "revision of the map item, hex"),
    Column("twilio_sync_endpoint_id", "string", "endpoint that pushed the change"),
    Column(
        "item_data",
        "string",
        "ItemData as it came, kept where the row is quarantined, else NULL",
        sensitive=True,
    ),
    Column("device_id", "string", "the device, which names its map"),
    Column("_source_file", "string", "object that the raw event was stored in"),
)
"""The raw columns in use, under their names from staging on."""

RAW_DATE_CREATED = Column(
    "_raw_date_created", "string", "DateCreated as it came, where it gave no update_timestamp"
)

STATE = (
    Column("state_value", "string", "state.value of the reading, else its scalar state"),
    Column("state_unit", "string", "state.unit of a reading"),
    Column("state_percent", "float64", "state.percent of a reading, 0 to 100"),
)
"""The values of a reading."""

PARSED = (
    Column("item_uuid", "string", "the command's id, or the reading's own (else its _uid)"),
    Column("command", "string", "kind of command: desired_state[0]"),
    *(
        Column(name, "string", f"desired_state[{i}]", sensitive=is_sensitive_at(i))
        for i, name in enumerate(ELEMENTS, 1)
    ),
    Column("desired_state", "string", "desired_state as compact JSON text", sensitive=True),
    Column("client", "string", "client that sent the command"),
    Column("user_id", "string", "user who sent the command"),
    Column("origin", "string", "origin of the command"),
    Column("origin_id", "string", "id at the origin of the command"),
    Column("node_id", "string", "Z-Wave node of a CommandActive or CommandResult"),
    Column("result", "string", "result of a CommandResult as the hub wrote it"),
    Column("failure_string", "string", "why a command failed"),
    *STATE,
)
"""The scalars parsed out of ItemData."""

EVENT_TIME = (
    Column("update_timestamp", TIMESTAMP, "when the change was recorded (UTC)", nullable=False),
    Column("event_timestamp", TIMESTAMP, "time that the item itself states (UTC)"),
)

MAP_REVISION = Column("map_revision", "string", "revision of the device's map, hex")
UID = Column("_uid", "string", "device, map revision and update_timestamp", nullable=False)
SOURCE_FILE = Column("_source_file", "string", "object that the raw event was stored in")

COMMAND_USER = Column("user_id", "string", "user who sent the command")
COMMAND_ORIGIN = (
    Column("command_origin", "string", "origin of the command"),
    Column("command_origin_id", "string", "id at the origin of the command"),
)
ITEM_DEVICE = Column("device_id", "string", "device that it came from", nullable=False)
COMMAND_DEVICE = Column("device_id", "string", "device that the command is for", nullable=False)

RAW_DESIRED_STATE = Column(
    "_raw_command_desired_state",
    "string",
    "desired_state as compact JSON text",
    nullable=False,
    sensitive=True,
)

USER = (
    Column("user_id", "string", "the user's id, decimal text", nullable=False),
    USERNAME,
    Column("date_registered", TIMESTAMP, "when the user registered (UTC)", nullable=False),
    Column("last_modified", TIMESTAMP, "when the user's row last changed (UTC)", nullable=False),
)

COMMAND_DATE = Column("command_date", "date", "UTC day of command_update_timestamp", nullable=False)
