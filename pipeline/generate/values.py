"""What stands in raw values: ids, times in every format, what is asked for and what is reported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

START = datetime(2022, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EXPECTED = {
    "LockedState": "DoorLocked",
    "SwitchState": "Switch",
    "DimmerState": "Dimmer",
    "ThermostatMode": "ThermostatMode",
    "ThermostatHeatSetPoint": "ThermostatHeatSetpoint",
    "ThermostatCoolSetPoint": "ThermostatCoolSetpoint",
}
_ZONES = [timezone(timedelta(minutes=minutes)) for minutes in (-480, -300, 60, 330, 840)]
_MODES = ("off", "cool", "heat", "auto", "settocool", "settoheat", "operatingstate")

# each breaks one of the value checks: contract, section 6
MESSY = (
    ["LockedState", "jammed"],
    ["SwitchState", "blink"],
    ["SwitchState", None],
    ["ThermostatMode", "dry"],
    ["ThermostatCoolSetPoint", "cool"],
    ["ThermostatHeatSetPoint", 7],
    ["PinAssignment", "front", "1234"],
    ["PinAssignment", "2", "12"],
)


def uuid(rng: Random) -> str:
    """Return a random id in the form of a UUID, version 4."""
    bits = f"{rng.getrandbits(128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"


def time_at(micros: int) -> datetime:
    """Return the time so many microseconds after the start of all histories."""
    return START + micros * MICROSECOND


def item_time(micros: int, rng: Random) -> str | None:
    """Return an item's own time, nearly always in the usual format, at times in another one."""
    time = time_at(micros)
    chance = rng.random()
    if chance < 0.9:
        return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if chance < 0.92:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ")
    if chance < 0.94:
        return time.astimezone(rng.choice(_ZONES)).isoformat(timespec="milliseconds")
    if chance < 0.96:
        return time.strftime("%Y-%m-%d %H:%M:%S.%f")
    if chance < 0.98:
        return time.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{rng.randrange(1000):03d}Z"
    if chance < 0.99:
        return None
    return rng.choice(["", "just now", time.strftime("%d/%m/%Y %H:%M"), "2022-02-30T10:00:00Z"])


def desired_state(kind: str, rng: Random) -> list[Any]:
    """Return what a client may ask a device of this kind for."""
    if kind == "lock" and rng.random() < 0.25:
        slot: Any = rng.choice([rng.randrange(1, 30), str(rng.randrange(1, 30))])
        return ["PinAssignment", slot, rng.choice([f"{rng.randrange(10**4):04d}", "None", None])]
    if kind == "lock":
        return ["LockedState", rng.choice(["locked", "unlocked"])]
    if kind == "switch":
        return ["SwitchState", rng.choice(["on", "off"])]
    if kind == "dimmer":
        return _dimmer(rng)
    chance = rng.random()
    if chance < 0.3:
        return ["ThermostatMode", rng.choice(_MODES)]
    degrees = rng.choice([rng.randrange(60, 80), f"{rng.randrange(120, 160) / 2}"])
    return ["ThermostatHeatSetPoint" if chance < 0.65 else "ThermostatCoolSetPoint", degrees]


def _dimmer(rng: Random) -> list[Any]:
    if rng.random() < 0.3:
        return ["DimmerState", "Multilevel Off"]
    if rng.random() < 0.2:
        return ["DimmerState", "Multilevel On"]
    level = rng.choice([10, 25, 50, 75, 100])
    return ["DimmerState", "Multilevel On", rng.choice([level, str(level)])]


def reported_state(desired: list[Any], rng: Random) -> Any:
    """Return the `state` of a reading after the device did as asked."""
    command, asked = desired[0], desired[1]
    if command == "LockedState":
        locked = asked == "locked"
        return rng.choice([locked, str(locked).lower()])
    if command == "SwitchState":
        return {"value": str(asked).capitalize()}
    if command == "DimmerState":
        on = asked == "Multilevel On"
        level = float(desired[2]) if len(desired) > 2 else 60.0
        return {"value": "On", "percent": min(99, level)} if on else {"value": "Off", "percent": 0}
    if command == "ThermostatMode":
        return str(asked).removeprefix("setto")
    fahrenheit = float(asked)
    if rng.random() < 0.3:
        return {"value": round((fahrenheit - 32) * 5 / 9, 1), "unit": "C"}
    return {"value": rng.choice([fahrenheit, str(fahrenheit)]), "unit": "F"}


def other_state(item_key: str, rng: Random) -> Any:
    """Return the `state` of a reading that no command asked for."""
    if item_key == "DoorLocked":
        return rng.choice(["true", "false", True, False])
    if item_key in ("Switch", "Dimmer"):
        return {"value": rng.choice(["On", "Off"])}
    if item_key == "ThermostatMode":
        return rng.choice(["off", "cool", "heat"])
    return {"value": str(rng.randrange(60, 80)), "unit": "F"}


def as_json(item: dict[str, Any]) -> str:
    """Return an item as the hub writes it, absent members left out."""
    return json.dumps(
        {name: value for name, value in item.items() if value is not Ellipsis},
        separators=(",", ":"),
    )
