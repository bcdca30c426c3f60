"""The kinds of map items, and the members of each kind's ItemData (contract, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from pipeline.contract import Column
from pipeline.rules.commands import KINDS, CommandKind, is_sensitive_at


@dataclass(frozen=True)
class Member:
    """One member of an item's JSON: its path, its JSON types, its meaning."""

    name: str
    type: str
    description: str
    sensitive: bool = False


@dataclass(frozen=True)
class Item:
    """One kind of map item: its ItemKey, its meaning, and the members of its JSON."""

    key: str
    description: str
    members: tuple[Member, ...]
    desired_states: tuple[CommandKind, ...] = ()


_TIMESTAMP = Member(
    "timestamp", "string", "the time that the item itself states, ISO-8601, UTC unless it says"
)
_COMMAND_ID = (
    Member("command_id", "string", "the command's id, where it is given under this name"),
    Member("uuid", "string", "the command's id, where there is no command_id"),
)
_NODE = Member("node_id", "string or number", "Z-Wave node that the command is for")
_READING = (Member("uuid", "string", "the reading's own id; it names no command"), _TIMESTAMP)

COMMAND = Item(
    "Command",
    "A request from the cloud to a device.",
    (
        *_COMMAND_ID,
        _TIMESTAMP,
        Member("client", "string", "client that sent it: ios, android, googlehome, …"),
        Member("user", "string or number", "user who sent it, may be absent"),
        Member("origin", "string", "origin of the command"),
        Member("origin_id", "string", "id at that origin"),
        Member("desired_state", "array", "kind of command, then its values", True),
    ),
    KINDS,
)
ACTIVE = Item(
    "CommandActive", "The hub has picked a command up.", (*_COMMAND_ID, _TIMESTAMP, _NODE)
)
RESULT = Item(
    "CommandResult",
    "The hub has sent a command to its device, or failed to.",
    (
        *_COMMAND_ID,
        _TIMESTAMP,
        _NODE,
        Member("result", "boolean or string", "whether it went well: true, or success from older"),
        Member("failure_string", "string", "why it failed"),
    ),
)


def _scalar(key: str, description: str, type_: str, state: str) -> Item:
    return Item(key, description, (*_READING, Member("state", type_, state)))


def _valued(key: str, description: str, type_: str, value: str, *more: Member) -> Item:
    return Item(key, description, (*_READING, Member("state.value", type_, value), *more))


_UNIT = Member("state.unit", "string", "F or C, mostly given")
_NUMBER = "number or string"

READINGS = (
    _scalar("ThermostatMode", "A thermostat's mode.", "string", "off, cool, heat, auto, …"),
    _scalar("ThermostatOperatingState", "The activity of a thermostat.", "string", "its activity"),
    _scalar("DoorLocked", "Whether a door is locked.", "boolean or string", "true is locked"),
    _valued("Switch", "Whether a switch is on.", "string", "On or Off"),
    _valued(
        "Dimmer",
        "Whether a light is on, and how bright.",
        "string",
        "On or Off",
        Member("state.percent", _NUMBER, "brightness from 0 to 100; full is reported as 99"),
    ),
    _valued("ThermostatHeatSetpoint", "Heat up to this.", _NUMBER, "the temperature", _UNIT),
    _valued("ThermostatCoolSetpoint", "Cool down to this.", _NUMBER, "the temperature", _UNIT),
    _valued("Temperature", "Temperature of a room.", _NUMBER, "the temperature", _UNIT),
    _valued(
        "Humidity",
        "Humidity of a room.",
        _NUMBER,
        "the humidity",
        Member("state.unit", "string", "its unit, mostly given"),
    ),
    Item(
        "BatteryLevel",
        "Charge of a device's battery.",
        (
            *_READING,
            Member("state.value", _NUMBER, "the charge"),
            Member("state", _NUMBER, "the charge, where state is not an object"),
        ),
    ),
)

ITEM_DATA = (COMMAND, ACTIVE, RESULT, *READINGS)
"""All kinds of items that the models read."""

COMMAND_ITEMS = (COMMAND.key, ACTIVE.key, RESULT.key)
"""The keys of the items that carry a command's id."""

READING_ITEMS = tuple(reading.key for reading in READINGS)
"""The keys of the items by which a device reports its state."""

READING = "Reading"
"""The kind of all items by which a device reports its state."""

UNSTAGED = "Unstaged"
"""The kind of a row that no model stages: a value, because engines skip blocks by values."""

STAGED_KIND = Column(
    "staged_kind",
    "string",
    f"{', '.join(COMMAND_ITEMS)} or {READING} of a staged row, else {UNSTAGED}",
)
"""Whether a row is staged and by which model, in one column: cheap to filter by."""


def kind_of(item_key: ir.StringColumn) -> ir.StringColumn:
    """Return the kind of an ItemKey: itself if it carries a command's id, NULL if out of scope.

    One model stages all items of a kind.
    """
    return ibis.cases(
        (item_key.isin(READING_ITEMS), READING),
        (item_key.isin(COMMAND_ITEMS), item_key),
    )


def is_sensitive(path: Sequence[str]) -> bool:
    """Tell whether a path in ItemData may lead to a value that opens doors; an undeclared one may.

    The path's steps are members' names and positions in arrays, such as `desired_state`, `[2]`.
    """
    *_, last = path
    if path[0] == "desired_state" and len(path) > 1 and last.startswith("["):
        return is_sensitive_at(int(last[1:-1]))
    name = ".".join(path)
    found = [
        member.sensitive
        for item in ITEM_DATA
        for member in item.members
        if member.name == name or member.name.startswith(f"{name}.")
    ]
    return not found or any(found)
