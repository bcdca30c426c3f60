"""Histories of devices: bursts of commands, hubs' answers, what devices reported, and noise."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pipeline.generate import values
from pipeline.generate.devices import FIRST_USER, Device, make_devices

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NOISE_PER_COMMAND = 5.6
"""Readings that nobody asked for, so that there are about ten events a command."""

_TELEMETRY = {
    "lock": ("BatteryLevel", "DoorLocked", "BatteryLevel"),
    "switch": ("Switch", "BatteryLevel"),
    "dimmer": ("Dimmer", "BatteryLevel"),
    "thermostat": ("Temperature", "Humidity", "Temperature", "ThermostatOperatingState"),
}
_STRANGE_KEYS = ("FirmwareVersion", "ZWaveStatus", "doorlocked", None)
_CLIENTS = ("ios", "android", "googlehome", "alexa", "web")
_FAILURES = ("device did not answer", "Z-Wave timeout", "node is dead")


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One row of raw_sync_events; times are microseconds after the start of the history."""

    created: int | None
    loaded: int
    revision: str
    item_revision: str
    event_id: int
    event_type: str
    item_key: str | None
    item_data: str | None
    device_id: str | None
    map_sid: str
    endpoint: str


def events(
    *, commands: int, devices: int, days: int, seed: int, messy_values: bool
) -> Iterator[RawEvent]:
    """Yield the raw events of a history, roughly in the order in which they were loaded.

    What is held at a time is what happens within the hours that an event may be late.
    """
    rng = Random(seed)
    yield from _by_load(_by_time(_happenings(commands, devices, days, rng, messy_values)), rng)


Happening = tuple[int, int, Device, str | None, str | None, str]
"""When, a running number, the device, ItemKey, ItemData, EventType."""


def _happenings(
    commands: int, devices: int, days: int, rng: Random, messy_values: bool
) -> Iterator[tuple[int, list[Happening]]]:
    """Yield, time by time, what is set off then; later times come later."""
    homes = make_devices(devices, rng)
    span, issued, noise, number = days * DAY, 0, 0.0, 0
    while issued < commands:
        now = int(span * issued / commands) + rng.randrange(SECOND)
        device = homes[rng.randrange(len(homes))]
        size = min(commands - issued, _burst_size(rng))
        made: list[tuple[int, Device, str | None, str | None, str]] = []
        for at, desired in _burst(device, size, now, rng):
            asked = desired
            if messy_values and rng.random() < 0.02:
                asked = list(values.MESSY[rng.randrange(len(values.MESSY))])
            made += _one_command(device, asked, desired, at, rng)
        issued += size
        noise += NOISE_PER_COMMAND * size
        room = max(SECOND, int(span * size / commands))
        while noise >= 1:
            noise -= 1
            made.append(
                _telemetry(homes[rng.randrange(len(homes))], now + rng.randrange(room), rng)
            )
        yield now, [(at, number + i, *rest) for i, (at, *rest) in enumerate(made)]  # type: ignore[misc]
        number += len(made)


def _burst_size(rng: Random) -> int:
    return rng.choices((1, 2, 3, 5), weights=(80, 12, 6, 2))[0]


def _burst(device: Device, size: int, now: int, rng: Random) -> Iterator[tuple[int, list[Any]]]:
    """Yield a burst's commands: others, the same again, or the opposite, seconds apart."""
    desired = values.desired_state(device.kind, rng)
    for _ in range(size):
        yield now, desired
        now += rng.randrange(SECOND // 2, 14 * SECOND) if rng.random() < 0.95 else 15 * SECOND
        if rng.random() < 0.6:
            desired = values.desired_state(device.kind, rng)


def _one_command(
    device: Device, asked: list[Any], done: list[Any], at: int, rng: Random
) -> Iterator[tuple[int, Device, str | None, str | None, str]]:
    uuid = values.uuid(rng)
    updated = "map_item_updated"
    yield at, device, "Command", _command_item(device, uuid, asked, at, rng), updated
    answer = rng.choices(("success", "failure", "none"), weights=(87, 7, 6))[0]
    changed = {"success": 0.93, "failure": 0.2, "none": 0.4}[answer]
    if answer != "none" or rng.random() < 0.3:
        active = at + rng.randrange(SECOND // 5, 2 * SECOND)
        item = {"uuid": uuid, "timestamp": values.item_time(active, rng), "node_id": device.node}
        yield active, device, "CommandActive", _faulty(values.as_json(item), rng), updated
    if answer != "none":
        answered = at + rng.randrange(SECOND // 2, 6 * SECOND)
        yield (
            answered,
            device,
            "CommandResult",
            _result_item(device, uuid, answer, answered, rng),
            updated,
        )
    if rng.random() < changed and done[0] in values.EXPECTED:
        late = rng.random() < 0.04
        reported = at + (
            rng.randrange(16 * SECOND, 90 * SECOND)
            if late
            else min(15 * SECOND, int(rng.gammavariate(2.5, 1.6) * SECOND) + SECOND // 2)
        )
        state = values.reported_state(done, rng)
        yield (
            reported,
            device,
            values.EXPECTED[done[0]],
            _reading_item(state, reported, rng),
            updated,
        )


def _command_item(device: Device, uuid: str, asked: list[Any], at: int, rng: Random) -> str | None:
    item: dict[str, Any] = {
        "uuid": uuid,
        "timestamp": values.item_time(at, rng),
        "client": rng.choice(_CLIENTS),
        "user": _user(device, rng),
        "origin": "app",
        "origin_id": f"{rng.getrandbits(32):08x}",
        "desired_state": asked,
    }
    chance = rng.random()
    if chance < 0.02:
        item["command_id"] = item.pop("uuid")
    elif chance < 0.024:
        item["uuid"] = rng.choice(["", None])
    elif chance < 0.028:
        item["desired_state"] = rng.choice([[], {"LockedState": "locked"}, [None], ..., ["(all)"]])
    return _faulty(values.as_json(item), rng)


def _user(device: Device, rng: Random) -> Any:
    chance = rng.random()
    if chance < 0.75:
        return str(device.user)
    if chance < 0.95:
        return device.user
    if chance < 0.997:
        return rng.choice([..., "", None])
    return str(FIRST_USER - 1 - rng.randrange(5))


def _result_item(device: Device, uuid: str, answer: str, at: int, rng: Random) -> str | None:
    success = answer == "success"
    spelled = rng.choice([success, str(success).lower(), "success" if success else "unsuccessful"])
    item = {
        "uuid": uuid,
        "timestamp": values.item_time(at, rng),
        "node_id": device.node,
        "result": spelled,
        "failure_string": ... if success else rng.choice(_FAILURES),
    }
    return _faulty(values.as_json(item), rng)


def _reading_item(state: Any, at: int, rng: Random) -> str | None:
    item = {"uuid": values.uuid(rng), "timestamp": values.item_time(at, rng), "state": state}
    chance = rng.random()
    if chance < 0.01:
        item["uuid"] = rng.choice([..., "", None])
    elif chance < 0.013:
        item["state"] = rng.choice([..., None, {}, {"value": None}, []])
    return _faulty(values.as_json(item), rng)


def _faulty(text: str, rng: Random) -> str | None:
    if rng.random() > 0.003:
        return text
    return rng.choice([text[: rng.randrange(len(text))], text + "}", f"[{text}]", "", None])


def _telemetry(
    device: Device, at: int, rng: Random
) -> tuple[int, Device, str | None, str | None, str]:
    chance = rng.random()
    if chance < 0.01:
        key = _STRANGE_KEYS[rng.randrange(len(_STRANGE_KEYS))]
        return at, device, key, values.as_json({"value": rng.randrange(100)}), "map_item_updated"
    if chance < 0.015:
        kind = rng.choice(["map_item_removed", "map_item_added", "map_created"])
        return at, device, "BatteryLevel", _reading_item(device.battery, at, rng), kind
    keys = _TELEMETRY[device.kind]
    key = keys[rng.randrange(len(keys))]
    return at, device, key, _reading_item(_measured(device, key, rng), at, rng), "map_item_updated"


def _measured(device: Device, key: str, rng: Random) -> Any:
    if key == "Temperature":
        device.temperature += rng.uniform(-0.5, 0.5) + (70 - device.temperature) / 50
        return {"value": round(device.temperature, 1), "unit": "F"}
    if key == "Humidity":
        return {"value": rng.randrange(20, 60)}
    if key == "ThermostatOperatingState":
        return rng.choice(["idle", "cooling", "heating", "fan only"])
    if key == "BatteryLevel":
        device.battery = device.battery - 1 if rng.random() < 0.01 else device.battery
        device.battery = device.battery if device.battery > 5 else 100
        return device.battery if rng.random() < 0.5 else {"value": str(device.battery)}
    return values.other_state(key, rng)


def _by_time(happenings: Iterator[tuple[int, list[Happening]]]) -> Iterator[Happening]:
    """Put what happens in the order of time, each as soon as nothing earlier can come."""
    waiting: list[Happening] = []
    for now, made in happenings:
        while waiting and waiting[0][0] < now:
            yield heapq.heappop(waiting)
        for happening in made:
            heapq.heappush(waiting, happening)
    while waiting:
        yield heapq.heappop(waiting)


def _by_load(happenings: Iterator[Happening], rng: Random) -> Iterator[RawEvent]:
    """Give each its revision, copies and lateness, and yield them in the order of loading."""
    waiting: list[tuple[int, int, RawEvent]] = []
    number = 0
    for at, _, device, key, data, kind in happenings:
        while waiting and waiting[0][0] < at:
            yield heapq.heappop(waiting)[2]
        for event in _copies(_raw(at, device, key, data, kind, rng), at, rng):
            heapq.heappush(waiting, (event.loaded, number, event))
            number += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def _raw(
    at: int, device: Device, key: str | None, data: str | None, kind: str, rng: Random
) -> RawEvent:
    device.revision += 1
    chance = rng.random()
    return RawEvent(
        created=None if chance < 0.001 else at,
        loaded=at + _lateness(rng),
        revision=f"{device.revision:x}",
        item_revision=f"{device.revision // 3:x}",
        event_id=device.revision,
        event_type=kind,
        item_key=key,
        item_data=data,
        device_id=rng.choice(["", None]) if 0.001 <= chance < 0.002 else device.id,
        map_sid=device.map_sid,
        endpoint=device.endpoint,
    )


def _lateness(rng: Random) -> int:
    if rng.random() < 0.99:
        return rng.randrange(5 * SECOND, 60 * SECOND)
    return rng.randrange(60 * SECOND, 6 * HOUR)


def _copies(event: RawEvent, at: int, rng: Random) -> Iterator[RawEvent]:
    yield event
    chance = rng.random()
    if chance < 0.005:
        yield event  # the webhook was delivered twice
    elif chance < 0.02:
        again = at + rng.randrange(SECOND, 20 * SECOND)
        yield replace(
            event,
            created=again if event.created is not None else None,
            loaded=event.loaded + rng.randrange(60 * SECOND, 2 * HOUR),
            revision=f"{int(event.revision, 16) + 1:x}",
            event_id=event.event_id + 1,
        )
