"""The states that clients ask for and that devices report, in the spellings of clients and hubs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

SPELLINGS = 4
"""The number of spellings of a reported state."""


@dataclass(frozen=True)
class Wish:
    """A desired state, and the states that a device may report once it has done it.

    All are JSON text. If `reading` is None, no reading shows the effect.
    """

    command: str
    desired: str
    reading: str | None
    reported: tuple[str, ...]


@dataclass(frozen=True)
class Gauge:
    """A reading that comes without a command: its states from the lowest to the highest.

    The spellings of a state follow each other.
    """

    reading: str
    states: tuple[str, ...]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _spelled(*states: Any) -> tuple[str, ...]:
    return tuple(_json(state) for state in islice(cycle(states), SPELLINGS))


def _wish(reading: str | None, states: tuple[Any, ...], *desired: Any) -> Wish:
    return Wish(desired[0], _json(desired), reading, _spelled(*states) if reading else ())


def _lock(word: str) -> Wish:
    locked = word.lower() == "locked"
    states = (_json(locked), locked, _json(locked), _json(locked).capitalize())
    return _wish("DoorLocked", states, "LockedState", word)


def _switch(word: str) -> Wish:
    value = word.capitalize()
    states = ({"value": value}, {"value": value}, {"value": value.upper()})
    return _wish("Switch", states, "SwitchState", word)


def _pins() -> list[Wish]:
    pins: list[Any] = [
        f"{number * 7919 % 10**digits:0{digits}d}" for number in range(40) for digits in (4, 6)
    ]
    pins += ["None", "None", None, None, "123", 4711]
    slots = [slot for number in range(1, 31) for slot in (number, str(number))] + ["None", 100]
    return [
        _wish(None, (), "PinAssignment", slots[number * 7 % len(slots)], pin)
        for number, pin in enumerate(pins)
    ]


def _dimmed(*level: Any) -> Wish:
    percent = min(99, float(level[0])) if level and level[0] is not None else 60
    states = (
        {"value": "On", "percent": int(percent)},
        {"value": "On", "percent": percent},
        {"value": "on", "percent": str(int(percent))},
        {"value": "On"},
    )
    return _wish("Dimmer", states, "DimmerState", "Multilevel On", *level)


def _mode(word: str) -> Wish:
    done = {"operatingstate": "auto"}.get(word.lower(), word.lower().removeprefix("setto"))
    return _wish("ThermostatMode", (done, done.capitalize(), word), "ThermostatMode", word)


def _set_point(which: str, degrees: float, spelled: Any) -> Wish:
    celsius = round((degrees - 32) * 5 / 9, 1)
    states = (
        {"value": degrees, "unit": "F"},
        {"value": str(degrees), "unit": "F"},
        {"value": celsius, "unit": "C"},
        {"value": degrees},
    )
    return _wish(f"Thermostat{which}point", states, f"Thermostat{which}Point", spelled)


def _set_points(which: str) -> list[Wish]:
    halves = [number / 2 for number in range(120, 160)]
    return [
        _set_point(which, degrees, spelled)
        for degrees in halves
        for spelled in (degrees, str(degrees), int(degrees) if degrees % 1 == 0 else degrees)
    ]


_DIM_OFF = _wish(
    "Dimmer",
    ({"value": "Off", "percent": 0}, {"value": "Off"}),
    "DimmerState",
    "Multilevel Off",
)
_MODES = ("off", "cool", "heat", "auto", "settocool", "settoheat", "operatingstate", "Cool")

WISHES: dict[str, list[Wish]] = {
    "lock": 100 * [_lock("locked"), _lock("unlocked")] + [_lock("Locked")] + _pins(),
    "switch": 20 * [_switch("on"), _switch("off")] + [_switch("On"), _switch("OFF")],
    "dimmer": [
        *6 * [_DIM_OFF, _dimmed()],
        *[_dimmed(level) for level in (10, 25, 40, 50, 75, 100, "20", "50", "100", 33.5, None)],
    ],
    "thermostat": [
        *15 * [_mode(word) for word in _MODES],
        *_set_points("HeatSet"),
        *_set_points("CoolSet"),
    ],
}
"""The wishes by kind of device; clients ask more often for a wish that is listed more often."""

MESSY_WISHES: dict[str, list[str]] = {
    "lock": [
        '["LockedState","jammed"]',
        '["LockedState",null]',
        '["LockedState"]',
        '["PinAssignment",null,"1234"]',
        '["PinAssignment","front","1234"]',
        '["PinAssignment",1000,"1234"]',
        '["PinAssignment",3,"12"]',
        '["PinAssignment","4","1234567"]',
        '["PinAssignment","5","12a4"]',
    ],
    "switch": ['["SwitchState","blink"]', '["SwitchState",null]', '["SwitchState"]'],
    "dimmer": ['["SwitchState","dim"]'],
    "thermostat": [
        '["ThermostatMode","dry"]',
        '["ThermostatMode",null]',
        '["ThermostatHeatSetPoint",7]',
        '["ThermostatHeatSetPoint",null]',
        '["ThermostatHeatSetPoint","68F"]',
        '["ThermostatCoolSetPoint","cool"]',
        '["ThermostatCoolSetPoint",""]',
        '["ThermostatCoolSetPoint",null]',
        '["ThermostatCoolSetPoint",-5.5]',
    ],
}
"""Desired states that each break one of the value checks (contract, section 6)."""


def _gauge(reading: str, *spellings: tuple[Any, ...]) -> Gauge:
    return Gauge(reading, tuple(text for states in spellings for text in _spelled(*states)))


def _temperature(tenths: int) -> tuple[Any, ...]:
    degrees = tenths / 10
    celsius = round((degrees - 32) * 5 / 9, 1)
    return (
        {"value": degrees, "unit": "F"},
        {"value": str(degrees), "unit": "F"},
        {"value": celsius, "unit": "C"},
        {"value": degrees},
    )


def _humidity(percent: int) -> tuple[Any, ...]:
    return ({"value": percent, "unit": "%"}, {"value": percent}, {"value": str(percent)})


def _battery(percent: int) -> tuple[Any, ...]:
    return (percent, {"value": percent}, str(percent), {"value": str(percent), "unit": "%"})


_TEMPERATURE = _gauge("Temperature", *map(_temperature, range(640, 780)))
_HUMIDITY = _gauge("Humidity", *map(_humidity, range(20, 70)))
_BATTERY = _gauge("BatteryLevel", *map(_battery, range(5, 101)))
_OPERATING = _gauge(
    "ThermostatOperatingState", ("heating",), ("idle",), ("fan only",), ("cooling",)
)
_DOOR = _gauge("DoorLocked", ("true", True, "true", "True"), ("false", False))
_LIGHT = _gauge("Switch", ({"value": "Off"},), ({"value": "On"},))
_DIMMER = _gauge(
    "Dimmer",
    ({"value": "Off", "percent": 0}, {"value": "Off"}),
    ({"value": "On", "percent": 40}, {"value": "On"}),
    ({"value": "On", "percent": 99}, {"value": "On", "percent": 99.0}),
)
_MODE = _gauge("ThermostatMode", ("heat", "Heat"), ("off",), ("auto",), ("cool", "Cool"))
_HEAT = _gauge("ThermostatHeatSetpoint", *map(_temperature, (660, 680, 705)))
_COOL = _gauge("ThermostatCoolSetpoint", *map(_temperature, (720, 745, 760)))

GAUGES: dict[str, list[Gauge]] = {
    "lock": [_BATTERY, _BATTERY, _TEMPERATURE, _DOOR],
    "switch": [_LIGHT, _TEMPERATURE, _HUMIDITY],
    "dimmer": [_DIMMER, _LIGHT, _TEMPERATURE],
    "thermostat": [
        *3 * [_TEMPERATURE, _HUMIDITY, _OPERATING],
        *[_BATTERY, _MODE, _HEAT, _COOL],
    ],
}
"""The readings that a kind of device sends on its own; those listed more often come more often."""

STRANGE: list[tuple[str, str | None, str | None]] = [
    ("map_created", None, None),
    ("map_item_removed", "BatteryLevel", None),
    ("map_item_removed", "DoorLocked", "{}"),
    ("map_item_removed", "Command", '{"desired_state":["LockedState","locked"]}'),
    ("map_item_added", "Temperature", '{"state":{"value":70.0,"unit":"F"}}'),
    ("map_item_added", "FirmwareVersion", '{"value":"3.1.7"}'),
    ("map_item_updated", "ZWaveStatus", '{"state":"ok"}'),
    ("map_item_updated", "doorlocked", '{"state":"true"}'),
    ("map_item_updated", "HubHeartbeat", "alive"),
    ("map_item_updated", "", '{"state":1}'),
    ("map_item_updated", None, '{"state":1}'),
]
"""Events that are neither reading nor command: EventType, ItemKey, ItemData."""
