"""The events at the devices: bursts of commands, hubs' answers, devices' readings, noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.generate import items
from pipeline.generate.catalogue import GAUGES, MESSY_WISHES, SPELLINGS, STRANGE, WISHES
from pipeline.generate.devices import KINDS, Devices
from pipeline.generate.texts import (
    DAY,
    MINUTE,
    SECOND,
    Bools,
    Ints,
    Rng,
    rewritten,
    some_rows,
    uuids,
)

COMMANDS_A_WINDOW = 10_000
NOISE_A_COMMAND = 6.05
"""Events without a command, for each command: together about ten events a command."""
MESSY_SHARE = 0.02

_BURST_SIZES = ((1, 0.72), (2, 0.16), (3, 0.08), (6, 0.04))
_REPEATED = 0.45  # of the later commands of a burst, so many ask for the same again
_REPORTED_LATE = 0.04

HAPPENING = pa.schema(
    {
        "at": pa.int64(),
        "device": pa.int64(),
        "event_type": pa.string(),
        "item_key": pa.string(),
        "item": pa.string(),
    }
)
"""The events about an item of a device, with their times."""


@dataclass(frozen=True)
class Window:
    """A span of time, and the number of commands in it."""

    start: int
    end: int
    commands: int


@dataclass(frozen=True)
class _Catalogue:
    """The entries of all kinds of devices in one list; `first` and `count` say where a kind is."""

    first: Ints
    count: Ints

    @classmethod
    def of(cls, sizes: list[int]) -> _Catalogue:
        count = np.array(sizes, np.int64)
        return cls(np.cumsum(count) - count, count)

    def draw(self, rng: Rng, kinds: Ints) -> Ints:
        share = rng.random(len(kinds))
        return self.first[kinds] + (share * self.count[kinds]).astype(np.int64)


_WISHES = [wish for kind in KINDS for wish in WISHES[kind]]
_WISHED = _Catalogue.of([len(WISHES[kind]) for kind in KINDS])
_DESIRED = pa.array([wish.desired for wish in _WISHES])
_REPORTS = pa.array(
    [state for wish in _WISHES for state in wish.reported or SPELLINGS * (None,)], pa.string()
)
_WISH_READINGS = pa.array([wish.reading for wish in _WISHES], pa.string())
_IS_REPORTED = np.array([wish.reading is not None for wish in _WISHES])
_MESSY = pa.array([desired for kind in KINDS for desired in MESSY_WISHES[kind]])
_MESSED = _Catalogue.of([len(MESSY_WISHES[kind]) for kind in KINDS])

_GAUGES = [gauge for kind in KINDS for gauge in GAUGES[kind]]
_GAUGED = _Catalogue.of([len(GAUGES[kind]) for kind in KINDS])
_STATES = pa.array([state for gauge in _GAUGES for state in gauge.states])
_STEPS = _Catalogue.of([len(gauge.states) for gauge in _GAUGES])
_GAUGE_READINGS = pa.array([gauge.reading for gauge in _GAUGES])
_IS_BATTERY = np.array([gauge.reading == "BatteryLevel" for gauge in _GAUGES])


def windows(commands: int, days: int) -> Iterator[Window]:
    """Yield spans of time that follow each other, with a bounded number of commands in each."""
    span = days * DAY - 5 * MINUTE  # the last burst ends before midnight
    for issued in range(0, commands, COMMANDS_A_WINDOW):
        after = min(issued + COMMANDS_A_WINDOW, commands)
        yield Window(span * issued // commands, span * after // commands, after - issued)


def happenings(
    rng: Rng, devices: Devices, window: Window, *, messy_values: bool, readings: int
) -> pa.Table:
    """Return all events that a window causes, including later ones, unordered.

    So many extra `readings`, of any kind, follow each command within 15 seconds.
    """
    commands = [*_commands(rng, devices, window, messy_values)]
    parts = [*commands, *_telemetry(rng, devices, window)]
    if readings:
        parts.append(_chatter(rng, devices, commands[0], readings))
    return _with_repeats(rng, pa.concat_tables(parts).combine_chunks())


def _commands(rng: Rng, devices: Devices, window: Window, messy_values: bool) -> Iterator[pa.Table]:
    at, device, wish = _issued(rng, devices, window)
    uuid = uuids(rng, len(at))
    desired = _DESIRED.take(wish)
    if messy_values:
        messy = _MESSY.take(_MESSED.draw(rng, devices.kinds[device])).to_pylist()
        rows = some_rows(rng, len(at), MESSY_SHARE)
        desired = rewritten(desired, rows, lambda _, row: messy[row])
    item = items.command_items(rng, uuid, at, devices.users[device], desired)
    yield _table(at, device, "Command", item)

    is_answered = rng.random(len(at)) < 0.94
    is_success = is_answered & (rng.random(len(at)) < 0.93)
    yield from _hub_events(rng, devices, at, device, uuid, is_answered, is_success)
    yield _confirmations(rng, at, device, wish, is_answered, is_success)


def _issued(rng: Rng, devices: Devices, window: Window) -> tuple[Ints, Ints, Ints]:
    """Return the time, device and wish of each command of a window."""
    sizes, weights = zip(*_BURST_SIZES, strict=True)
    burst = np.repeat(np.arange(window.commands), rng.choice(sizes, window.commands, p=weights))
    burst = burst[: window.commands]
    is_first = np.diff(burst, prepend=-1) > 0
    # some homes are busier than others
    chosen = (len(devices.kinds) * rng.random(window.commands) ** 1.3).astype(np.int64)
    device = chosen[burst]
    start = rng.integers(window.start, window.end, size=window.commands)[burst]
    at = start + _since_first(is_first, _gaps(rng, is_first))
    rows = np.arange(window.commands)
    is_new = is_first | (rng.random(window.commands) >= _REPEATED)
    asked = _WISHED.draw(rng, devices.kinds[device])
    return at, device, asked[np.maximum.accumulate(np.where(is_new, rows, 0))]


def _gaps(rng: Rng, is_first: Bools) -> Ints:
    count = len(is_first)
    seconds = np.where(
        rng.random(count) < 0.9, rng.uniform(0.3, 14.5, count), rng.uniform(15, 45, count)
    )
    seconds[some_rows(rng, count, 0.02)] = 15  # exactly as long as a window lasts
    return np.where(is_first, 0, seconds * SECOND).astype(np.int64)


def _since_first(is_first: Bools, gaps: Ints) -> Ints:
    total = np.cumsum(gaps)
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(gaps)), 0))
    return total - total[first]


def _hub_events(
    rng: Rng,
    devices: Devices,
    at: Ints,
    device: Ints,
    uuid: pa.Array,
    is_answered: Bools,
    is_success: Bools,
) -> Iterator[pa.Table]:
    picked = np.flatnonzero(rng.random(len(at)) < np.where(is_answered, 0.97, 0.3))
    when = at[picked] + _seconds(rng.uniform(0.2, 2, len(picked)))
    node = devices.nodes.take(device[picked])
    item = items.active_items(rng, uuid.take(picked), when, node)
    yield _table(when, device[picked], "CommandActive", item)

    answered = np.flatnonzero(is_answered)
    when = at[answered] + _seconds(rng.uniform(0.5, 6, len(answered)))
    node = devices.nodes.take(device[answered])
    item = items.result_items(rng, uuid.take(answered), when, node, is_success[answered])
    yield _table(when, device[answered], "CommandResult", item)


def _confirmations(
    rng: Rng, at: Ints, device: Ints, wish: Ints, is_answered: Bools, is_success: Bools
) -> pa.Table:
    """Return the readings of the devices that obeyed, whatever their hub said."""
    chance = np.where(is_success, 0.93, np.where(is_answered, 0.2, 0.4))
    done = np.flatnonzero(_IS_REPORTED[wish] & (rng.random(len(at)) < chance))
    seconds = np.minimum(0.5 + rng.gamma(2.5, 1.6, len(done)), 15)
    late = some_rows(rng, len(done), _REPORTED_LATE)
    seconds[late] = rng.uniform(15.5, 90, len(late))
    when = at[done] + _seconds(seconds)
    state = _REPORTS.take(wish[done] * SPELLINGS + rng.integers(SPELLINGS, size=len(done)))
    item = items.reading_items(rng, state, when)
    return _table(when, device[done], _WISH_READINGS.take(wish[done]), item)


def _telemetry(rng: Rng, devices: Devices, window: Window) -> Iterator[pa.Table]:
    count = round(window.commands * NOISE_A_COMMAND)
    at = rng.integers(window.start, window.end, size=count)
    device = rng.integers(len(devices.kinds), size=count)
    yield _gauged(rng, devices, at, device)

    count = round(count * 0.02)
    at = rng.integers(window.start, window.end, size=count)
    kinds, keys, texts = zip(*STRANGE, strict=True)
    which = rng.integers(len(STRANGE), size=count)
    keys_then, texts_then = pa.array(keys).take(which), pa.array(texts).take(which)
    kinds_then = pa.array(kinds).take(which)
    yield _table(
        at, rng.integers(len(devices.kinds), size=count), keys_then, texts_then, kinds_then
    )


def _chatter(rng: Rng, devices: Devices, commands: pa.Table, readings: int) -> pa.Table:
    at = np.repeat(commands["at"].to_numpy(), readings)
    at = at + _seconds(rng.uniform(0, 15, len(at)))
    return _gauged(rng, devices, at, np.repeat(commands["device"].to_numpy(), readings))


def _gauged(rng: Rng, devices: Devices, at: Ints, device: Ints) -> pa.Table:
    """Return the devices' measurements at these times."""
    count = len(at)
    gauge = _GAUGED.draw(rng, devices.kinds[device])
    level = _level(rng, at, device, _IS_BATTERY[gauge])
    step = (level * (_STEPS.count[gauge] // SPELLINGS)).astype(np.int64)
    spelling = rng.integers(SPELLINGS, size=count)
    state = _STATES.take(_STEPS.first[gauge] + step * SPELLINGS + spelling)
    item = items.reading_items(rng, state, at)
    return _table(at, device, _GAUGE_READINGS.take(gauge), item)


def _level(rng: Rng, at: Ints, device: Ints, is_battery: Bools) -> npt.NDArray[np.float64]:
    """Return levels from 0 to below 1: a wave over the day, for batteries a slow fall."""
    share = (device % 17) / 17
    wave = 0.5 + 0.3 * np.sin(2 * np.pi * (at / DAY + share)) + rng.uniform(-0.2, 0.2, len(at))
    charge = 1 - (at / (90 * DAY) + share) % 1
    return np.clip(np.where(is_battery, charge, wave), 0, 0.999)


def _with_repeats(rng: Rng, happened: pa.Table) -> pa.Table:
    """Add the events that hubs write again, seconds later, as a new revision of the map."""
    rows = some_rows(rng, len(happened), 0.008)
    again = happened.take(rows)
    later = again["at"].to_numpy() + _seconds(rng.uniform(1, 20, len(rows)))
    again = again.set_column(0, HAPPENING.field("at"), pa.array(later))
    return pa.concat_tables([happened, again]).combine_chunks()


def _seconds(seconds: npt.NDArray[np.float64]) -> Ints:
    return (seconds * SECOND).astype(np.int64)


def _table(
    at: Ints,
    device: Ints,
    key: pa.Array | str,
    item: pa.Array,
    event_type: pa.Array | str = "map_item_updated",
) -> pa.Table:
    columns = [
        pa.array(at),
        pa.array(device),
        pa.repeat(event_type, len(at)) if isinstance(event_type, str) else event_type,
        pa.repeat(key, len(at)) if isinstance(key, str) else key,
        item,
    ]
    return pa.table(columns, schema=HAPPENING)
