"""Raw rows at their worst: strategies that hit the contract's clauses, and collide.

Rows come in small histories (a command, the hub's answer, the readings after it) around few times,
devices and ids, so copies, ties and shared windows are common. They leave out values that the
contract leaves to the engine, such as numbers that it may write in its own way.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
ABSENT = object()

# ten seconds before a midnight that ends a month, a day on, and after a gap of days
START = dt.datetime(2022, 1, 31, 23, 59, 50, tzinfo=dt.UTC)
BASES = (START, START, START, START + dt.timedelta(days=1), START + dt.timedelta(days=4))
COMMAND_SECONDS = (0, 0, 0.000001, 1, 7, 14.999999, 15, 15.000001, 16, 30, 30.000001)
READING_SECONDS = (0, 0.000001, 0.5, 2, 2, 7, 14.999999, 15, 15.000001, 20, -0.000001, -1)
COPY_SECONDS = (0, 0, 0, 0, 1, -1, 0.000001)
ANSWER_SECONDS = (0.5, 1, 1, 2, 0, 40, -3)


def _mostly(usual: Iterable[Any], odd: Iterable[Any], to_one: int) -> tuple[Any, ...]:
    """Values to pick from: usual ones, and one odd one in about so many."""
    usual, odd = tuple(usual), tuple(odd)
    return usual * max(1, to_one * len(odd) // len(usual)) + odd


# One draw makes all rows: with many draws, Hypothesis spends five of six examples on near-copies.
# The first bytes are the seed of the rows, each of the others is a row's place.
SEED_BYTES = 8
ENTROPY_BYTES = SEED_BYTES + 120


def _entropy_of(parts: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=parts * ENTROPY_BYTES, max_size=parts * ENTROPY_BYTES)


def _delivered(rows: list[Row], places: bytes) -> list[Row]:
    """The rows by place, without those at 0: Hypothesis shrinks a byte to 0."""
    placed = [(place, number) for number, place in enumerate(places[: len(rows)]) if place]
    return [rows[number] for _, number in sorted(placed)]


# --- Times as text --------------------------------------------------------------------------------

ITEM_TIMES = (
    "2022-01-31T23:59:50Z",
    "2022-01-31 23:59:50",
    "2022-01-31T23:59:50.5+02:00",
    "2022-01-31T23:59:50.123456789Z",
    "2022-01-31T23:59:59.9999999-14:00",
    "2022-01-31T23:59:50.1-00:30",
    "2022-01-31T23:59:50+14:00",
    "2020-02-29T00:00:00.000001",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
)
NO_ITEM_TIMES = (
    "2022-02-30T00:00:00Z",
    "2021-02-29T00:00:00Z",
    "2022-13-01T00:00:00Z",
    "2022-01-31T24:00:00Z",
    "2022-01-31T23:59:60Z",
    "2022-01-31T23:60:00Z",
    "2022-01-31T23:59Z",
    "2022-01-31T23:59:50.Z",
    "2022-01-31T23:59:50,5Z",
    "2022-01-31T23:59:50.1234567890Z",
    "2022-01-31T23:59:50+14:01",
    "2022-01-31T23:59:50-15:00",
    "2022-01-31T23:59:50+01:60",
    "2022-02-01T00:59:50+0100",
    "2022-01-31T23:59:50+1:00",
    "2022-01-31T23:59:50 +01:00",
    "2022-01-31T23:59:50z",
    "2022-01-31t23:59:50Z",
    "2022-01-31  23:59:50Z",
    " 2022-01-31T23:59:50Z",
    "2022-01-31T23:59:50Z ",
    "2022-01-31T23:59:50Z\n",
    "2022-1-31T23:59:50Z",
    "20220131T235950Z",
    "22-01-31T23:59:50Z",
    "12022-01-31T23:59:50Z",
    "-2022-01-31T23:59:50Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "２０２２-01-31T23:59:50Z",
    "1643673590",
    "infinity",
    "now",
    "",
)
EXPORTED_ENDS = ("", "Z", "+00:00", "+00", " UTC", "-00:00", "+0000")
# endings that only an exported TIMESTAMP may have, and endings that none has
ONLY_EXPORTED = (
    *("2022-01-31T23:59:50 UTC", "2022-01-31 23:59:50+00", "2022-01-31 23:59:50-05"),
    *("2022-01-31T23:59:50.5+0130", "2022-01-31 23:59:50-1400"),
)
NO_EXPORTED = (
    "2022-01-31 23:59:50 utc",
    "2022-01-31 23:59:50UTC",
    "2022-01-31 23:59:50 UTC ",
    "2022-01-31 23:59:50 UTC+01",
    "2022-01-31 23:59:50 GMT",
    "2022-01-31 23:59:50 Europe/Berlin",
    "2022-01-31 23:59:50+15",
    "2022-01-31 23:59:50+1",
    "2022-01-31 23:59:50+100",
    "2022-01-31 23:59:50+0160",
    "2022-01-31 23:59:50+1401",
    "2022-01-31 23:59:50 +00",
)
BARE_DATES = ("2022-01-31", "2022-02-01", "2020-02-29")
NO_BARE_DATES = ("2022-02-30", "2022-1-31", "2022/01/31", "31.01.2022", "2022-01-31 ", "20220131Z")

EPOCHS = (
    *(1643673590, 1643673590, 1643673591, 1643673590123, 1643673590123456, 1643673590123456789),
    *(0, -1, 10**11 - 1, 10**11, 10**14 - 1, 10**14, 10**17 - 1, 10**17, 2**63 - 1, -(2**63)),
    *(1 - 10**11, -(10**11), -(10**14), -(10**17), -(10**17) - 1, 1 - 2**63, None),
    *(-62135596800, -62135596801, -62135596800000, -62135596800001, -62135596800000000),
)
# with a time of another century the daily counts would span that century
NO_EPOCHS = (-62135596801, -62135596800001, -62135596800000001, None)
NO_EPOCH_TEXTS = (
    *("1e9", "+5", "5.", ".5", " 5", "5\n", "1_000", "0x5", "٥", "9" * 30),
    *("9223372036854775808", "-9223372036854775809.5", "-", "--5"),
)


def _text_of(random: Random, time: dt.datetime) -> str:
    """A time in one of the forms of an export."""
    if random.random() < 0.15:
        return _epoch_text_of(random, time)
    hours = random.choice((0, 0, 0, 2, -5, 14, -14))
    local = (time + dt.timedelta(hours=hours)).replace(tzinfo=None)
    day, clock = local.isoformat("T", "microseconds").split("T")
    if random.random() < 0.5:
        clock = clock.rstrip("0").rstrip(".")
    else:
        clock += random.choice(("", "", "0", "9", "999"))
    zone = f"{hours:+03}"
    ends = (zone, f"{zone}:00", f"{zone}00") if hours else EXPORTED_ENDS
    return day + random.choice("T ") + clock + random.choice(ends)


def _epoch_text_of(random: Random, time: dt.datetime) -> str:
    return f"{_epoch_of(random, time)}{random.choice(('', '', '.0', '.999'))}"


def _epoch_of(random: Random, time: dt.datetime) -> int:
    """A time as an epoch number of some unit."""
    microseconds = (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    nanoseconds = microseconds * 1_000 + random.choice((0, 999))
    units = (nanoseconds, microseconds, microseconds // 1_000, microseconds // 1_000_000)
    return random.choice(units)


# --- ItemData -------------------------------------------------------------------------------------

COMMAND_UUIDS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "C1", "é")
READING_UUIDS = ("r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8")
NO_TEXT = ("", None, ABSENT, [7], {"id": 7})
NEARLY_NUMBERS = (
    " 68",
    "68.",
    ".5",
    "+68",
    "0x44",
    "1_000",
    "nan",
    "inf",
    "1e400",
    "６８",
    "68\n",
    "",
)

DESIRED: dict[str, tuple[list[Any], ...]] = {
    "LockedState": (
        *(["LockedState", "locked"],) * 4,
        *(["LockedState", "unlocked"],) * 2,
        ["LockedState", "UNlocked", "extra"],
        ["LockedState", "jammed"],
        ["LockedState", None],
        ["LockedState", ["locked"]],
        ["LockedState"],
    ),
    "SwitchState": (
        *(["SwitchState", "on"],) * 3,
        ["SwitchState", "off"],
        ["SwitchState", "OFF"],
        ["SwitchState", True],
        ["SwitchState", ""],
    ),
    "DimmerState": (
        *(["DimmerState", "Multilevel On", 50],) * 4,
        ["DimmerState", "Multilevel On", "50"],
        ["DimmerState", "Multilevel On", 50.5],
        ["DimmerState", "Multilevel On", 100],
        ["DimmerState", "Multilevel On"],
        ["DimmerState", "MULTILEVEL ON", "high"],
        ["DimmerState", "Multilevel On", None],
        ["DimmerState", "Multilevel On", {"level": 50}],
        ["DimmerState", "Multilevel Off", 50],
        ["DimmerState", "Multilevel Off", "50"],
        ["DimmerState", "Very Multilevel Off", 50],
        ["DimmerState", "on", "50.0"],
        ["DimmerState", "Multilevel "],
        ["DimmerState"],
    ),
    "ThermostatMode": (
        ["ThermostatMode", "cool"],
        ["ThermostatMode", "settocool"],
        ["ThermostatMode", "SetToHeat"],
        ["ThermostatMode", "heat"],
        ["ThermostatMode", "operatingstate"],
        ["ThermostatMode", "auto", "x"],
        ["ThermostatMode", None],
    ),
    "ThermostatHeatSetPoint": (
        ["ThermostatHeatSetPoint", 68],
        ["ThermostatHeatSetPoint", "68"],
        ["ThermostatHeatSetPoint", "20.5"],
        ["ThermostatHeatSetPoint", 20],
        *(["ThermostatHeatSetPoint", "19.5"],) * 2,
        ["ThermostatHeatSetPoint", 70.1],
        ["ThermostatHeatSetPoint", "680e-1"],
    ),
    "ThermostatCoolSetPoint": (
        ["ThermostatCoolSetPoint", 68.0],
        ["ThermostatCoolSetPoint", "68"],
        ["ThermostatCoolSetPoint", "20.5"],
        ["ThermostatCoolSetPoint", "-5"],
        ["ThermostatCoolSetPoint", 68, "F"],
        ["ThermostatCoolSetPoint", True],
        ["ThermostatCoolSetPoint"],
    ),
    "PinAssignment": (
        ["PinAssignment", 3, "1234"],
        ["PinAssignment", "3", None],
        ["PinAssignment", "None", "None"],
        ["PinAssignment", 3, {"pin": [1, ' a "b" ']}, "more"],
        ["PinAssignment"],
    ),
    "other": (
        ["Reboot"],
        ["Reboot"],
        ["lockedstate", "locked"],
        [7.0, 1],
        [True],
        [""],
        ["(ALL)", {"a": []}],
    ),
}
NEARLY_SET_POINTS = tuple(["ThermostatHeatSetPoint", text] for text in NEARLY_NUMBERS)
NO_DESIRED = (
    ["(all)"],
    [None, "locked"],
    [{"LockedState": "locked"}],
    [["LockedState", "locked"]],
    [],
    {"0": "LockedState"},
    "LockedState",
    '["LockedState","locked"]',
    7,
    None,
    ABSENT,
)
EXPECTED = {
    "LockedState": ("DoorLocked",),
    "SwitchState": ("Switch",),
    "DimmerState": ("Dimmer",),
    "ThermostatMode": ("ThermostatMode",),
    "ThermostatHeatSetPoint": ("ThermostatHeatSetpoint",),
    "ThermostatCoolSetPoint": ("ThermostatCoolSetpoint",),
}
SET_POINT_STATES = (
    *({"value": 68, "unit": "F"},) * 3,
    {"value": "68.5", "unit": "F"},
    {"value": 68.51, "unit": "F"},
    {"value": "67.5"},
    {"value": "67.49", "unit": None},
    {"value": 69.6, "unit": "K"},
    {"value": 20, "unit": "C"},
    {"value": "20.2", "unit": "C"},
    {"value": 20.3, "unit": "C"},
    {"value": 20, "unit": "c"},
    {"value": 21.0},
    {"value": "20.25", "unit": "F"},
    {"value": "-5.5", "unit": ""},
    {"value": True, "unit": "F"},
    68,
    "20.5",
)
NEARLY_SET_POINT_STATES = tuple({"value": text, "unit": "F"} for text in NEARLY_NUMBERS)
STATES = {
    "DoorLocked": (
        "true",
        True,
        "true",
        True,
        "TRUE",
        "false",
        False,
        "False",
        "ajar",
        "",
        1,
        {"value": "true"},
    ),
    "Switch": ({"value": "On"}, {"value": "on"}, {"value": "Off"}, {"value": True}, "OFF"),
    "Dimmer": (
        {"value": "On", "percent": 50},
        *({"value": "On", "percent": 51},) * 3,
        {"value": "on", "percent": "49.5"},
        {"value": "On", "percent": 48.99},
        {"value": "On", "percent": 51.5},
        {"value": "On", "percent": 99},
        {"value": "On", "percent": "98.99"},
        {"value": "On", "percent": "1e5"},
        {"value": "On", "percent": "1e400"},
        {"value": "On", "percent": "5E1"},
        {"value": "On", "percent": " 50"},
        {"value": "On", "percent": "0x32"},
        {"value": "On", "percent": None},
        {"value": "On", "percent": [50]},
        {"value": "On"},
        *({"value": "Off", "percent": 0},) * 3,
        {"value": "OFF", "percent": "50"},
        {"value": ""},
        "On",
    ),
    "ThermostatMode": ("cool", "Cool", "SetToCool", "heat", "settoheat", "operatingstate", "auto"),
    "ThermostatOperatingState": ("idle", "cooling", {"value": "heating", "unit": 7}),
    "ThermostatHeatSetpoint": SET_POINT_STATES,
    "ThermostatCoolSetpoint": SET_POINT_STATES,
    "Temperature": ({"value": 70.5, "unit": "F"}, {"value": "21.0", "unit": "C"}, 70),
    "Humidity": ({"value": 40, "unit": "%"}, {"value": "40", "percent": 40.5}),
    "BatteryLevel": (77, "77", {"value": 77}, {"value": "77", "percent": "77"}),
}
NO_STATES = (None, ABSENT, [], ["true"], {}, {"value": None}, {"value": {}}, {"unit": "F"})
SUCCESSES = (True, True, "true", "TRUE", "success", "Success!", "no success")
FAILURES = (False, "false", "unsuccessful", "truest", "success_", "", 1, None, ABSENT, [True], {})
WRITINGS: tuple[Callable[[Row], str | None], ...] = (
    json.dumps,
    lambda item: json.dumps(item, separators=(",", ":")),
    lambda item: f" \r\n{json.dumps(item, indent=1, ensure_ascii=False)}\t\n",
)
BREAKINGS: tuple[Callable[[Row], str | None], ...] = (
    lambda item: json.dumps(item)[:-1],
    lambda item: json.dumps(item)[:20],
    lambda item: json.dumps(item) + " x",
    lambda item: json.dumps(item) * 2,
    lambda item: json.dumps([item]),
    lambda item: json.dumps(json.dumps(item)),
    lambda item: str(item),
    lambda item: "true",
    lambda item: "null",
    lambda item: "7",
    lambda item: "x",
    lambda item: " ",
    lambda item: "",
    lambda item: None,
)
ORIGINS = (
    *({"client": value, "origin": "app", "origin_id": value} for value in ("ios", *NO_TEXT)),
    *({"client": "android", "origin": value, "origin_id": "12"} for value in NO_TEXT),
    *({"client": False, "origin": "app", "origin_id": value} for value in (12, 12.5, 7.0)),
)

WRITING = _mostly(WRITINGS, BREAKINGS, 25)
TIMESTAMP = _mostly(ITEM_TIMES, (*NO_ITEM_TIMES, *ONLY_EXPORTED, 1643673590, None, ABSENT), 2)
USER = _mostly(("7", 7, 8, "9", 10), ("99", "007", 7.0, True, *NO_TEXT), 6)
NODE = _mostly((5, "5"), (5.0, True, *NO_TEXT), 1)
ANSWER = _mostly(SUCCESSES, FAILURES, 2)
FAILURE = ("no answer", "", 404, *NO_TEXT)
READING_UUID = _mostly(READING_UUIDS, (3, *NO_TEXT), 8)
DESIRED_STATE = {kind: _mostly(usual, NO_DESIRED, 15) for kind, usual in DESIRED.items()} | {
    "ThermostatHeatSetPoint": _mostly(
        DESIRED["ThermostatHeatSetPoint"], NEARLY_SET_POINTS + NO_DESIRED, 4
    )
}
STATE = {key: _mostly(usual, NO_STATES, 15) for key, usual in STATES.items()} | {
    key: _mostly(SET_POINT_STATES, NEARLY_SET_POINT_STATES + NO_STATES, 4)
    for key in ("ThermostatHeatSetpoint", "ThermostatCoolSetpoint")
}


def _command_id(random: Random, uuid: str) -> Row:
    """A command's id in the member that the client used; rarely none."""
    second = [{"uuid": uuid, "command_id": no_id} for no_id in ("", None, {"id": uuid})]
    first = [{"uuid": other, "command_id": uuid} for other in ("x", 5, "", None)]
    none = [{}, {"uuid": ""}, {"uuid": None, "command_id": ""}, {"uuid": [uuid]}]
    return random.choice(_mostly([{"uuid": uuid}], second + first + none, 6))


def _command(random: Random, kind: str, uuid: str) -> Row:
    return {
        **_command_id(random, uuid),
        **random.choice(ORIGINS),
        "timestamp": random.choice(TIMESTAMP),
        "user": random.choice(USER),
        "desired_state": random.choice(DESIRED_STATE[kind]),
    }


def _active(random: Random, uuid: str) -> Row:
    return {
        **_command_id(random, uuid),
        "timestamp": random.choice(TIMESTAMP),
        "node_id": random.choice(NODE),
    }


def _result(random: Random, uuid: str) -> Row:
    return {
        **_active(random, uuid),
        "result": random.choice(ANSWER),
        "failure_string": random.choice(FAILURE),
    }


def _reading(random: Random, key: str) -> Row:
    return {
        "uuid": random.choice(READING_UUID),
        "timestamp": random.choice(TIMESTAMP),
        "state": random.choice(STATE[key]),
    }


# --- Rows -----------------------------------------------------------------------------------------

DEVICES = ("d1", "d1", "d1", "d2", "d2", "D1 ")
REVISIONS = ("1", "9", "a", "10", "ff", "100", "", None)
# by code point, by UTF-16 unit and by alphabet these sort differently
FILES = ("f1", "f2", "f10", "F1", "é", "\uffee", "\U0001f600", "", None)
NO_ITEM_KEYS = ("Reboot", "command", "doorlocked", "Command ", "ThermostatHeatSetPoint", "", None)
EVENT: Row = {"EventType": "map_item_updated", "ItemRevision": "1", "EndpointId": "e"}
OTHER_EVENTS = tuple(
    {"EventType": event_type, "ItemRevision": revision, "EndpointId": endpoint}
    for event_type in ("map_item_added", "map_created", "MAP_ITEM_REMOVED", "", None)
    for revision, endpoint in (("f", None), (None, ""))
)
FAULTS: tuple[Row, ...] = (
    {"EventType": "map_item_removed"},
    {"EventType": "map_item_removed", "ItemKey": None, "ItemData": None},
    *({"ItemKey": key} for key in NO_ITEM_KEYS),
    {"MapUniqueName": ""},
    {"MapUniqueName": None},
    {"DateCreated": None},
    {"DateCreated": None, "MapUniqueName": None},
    {"DateCreated": None, "MapUniqueName": "", "ItemData": "{"},
    {"DateCreated": None, "ItemData": "{}"},
)
COPIES: tuple[Row, ...] = (
    {},
    {"_source_file": "f0"},
    {"_source_file": None},
    {"MapRevision": "b"},
    {"MapRevision": None},
    {"MapUniqueName": "d0"},
    {"MapUniqueName": "d3"},
    {"EndpointId": "other", "EventType": "map_item_added"},
)
REWORDED = (
    *(("2022-", year) for year in ("2021-", "2023-")),
    *(("ios", "android"), ("android", "ANDROID"), ("locked", "Locked"), ("true", "false")),
    *(
        ("app", "hub"),
        ("50", "9"),
        ("68", "100"),
        ("no answer", ""),
        ('_id": 5', '_id": 10'),
        ("On", "Off"),
    ),
)
"""Words of ItemData, and a copy's words in their place, so that only the content breaks ties."""
KINDS = (*DESIRED, *EXPECTED)

COMMAND_TIMES = [base + dt.timedelta(seconds=each) for base in BASES for each in COMMAND_SECONDS]
ENVELOPE = _mostly((EVENT,), OTHER_EVENTS, 4)
FAULT = _mostly(({},), FAULTS, 20)
COPY = _mostly((None,), COPIES, 8)
READING_KEY = {kind: _mostly(EXPECTED.get(kind, STATES), STATES, 3) for kind in DESIRED}
NO_DATE_CREATED = (*NO_ITEM_TIMES, *NO_EXPORTED, *BARE_DATES, *NO_EPOCH_TEXTS, None)


def _row(random: Random, key: str, time: dt.datetime, device: str, item: Row) -> Row:
    present = {name: value for name, value in item.items() if value is not ABSENT}
    row: Row = {
        **random.choice(ENVELOPE),
        "DateCreated": time,
        "MapRevision": random.choice(REVISIONS),
        "ItemKey": key,
        "ItemData": random.choice(WRITING)(present),
        "MapUniqueName": device,
        "_source_file": random.choice(FILES),
    }
    return row | random.choice(FAULT)


def _after(random: Random, time: dt.datetime, seconds: tuple[float, ...]) -> dt.datetime:
    return time + dt.timedelta(seconds=random.choice(seconds))


def _history(random: Random, kinds: list[str]) -> list[Row]:
    """A command, mostly with the hub's answer and readings that it may have caused."""
    uuid, device = random.choice(COMMAND_UUIDS), random.choice(DEVICES)
    time, kind = random.choice(COMMAND_TIMES), random.choice(kinds)
    rows = []
    if random.random() < 0.9:
        rows.append(_row(random, "Command", time, device, _command(random, kind, uuid)))
    if random.random() < 0.4:
        at = _after(random, time, ANSWER_SECONDS)
        rows.append(_row(random, "CommandActive", at, device, _active(random, uuid)))
    if random.random() < 0.7:
        at, hub = _after(random, time, ANSWER_SECONDS), random.choice((device, "d2"))
        rows.append(_row(random, "CommandResult", at, hub, _result(random, uuid)))
    for _ in range(random.choice((0, 1, 2, 2, 3, 4))):
        key, at = random.choice(READING_KEY[kind]), _after(random, time, READING_SECONDS)
        rows.append(_row(random, key, at, device, _reading(random, key)))
    return rows


def _copies(random: Random, rows: list[Row]) -> list[Row]:
    """Some of the rows once more: unchanged, or with another file, revision, time or content."""
    copies = []
    for row in rows:
        change = random.choice(COPY)
        if change is not None:
            copy = row | change
            if copy["DateCreated"] is not None:
                copy["DateCreated"] = _after(random, copy["DateCreated"], COPY_SECONDS)
            if row["ItemData"] and random.random() < 0.6:
                copy["ItemData"] = row["ItemData"].replace(*random.choice(REWORDED))
            copies.append(copy)
    return copies


def _date_created(random: Random, kind: str, time: dt.datetime | None) -> Any:
    odd = time is None or random.random() < 0.07
    if kind == "text":
        return random.choice(NO_DATE_CREATED) if odd else _text_of(random, time)
    return random.choice(NO_EPOCHS) if odd else _epoch_of(random, time)


def raw_events(date_created: str = "timestamp", parts: int = 1) -> st.SearchStrategy[list[Row]]:
    """So many times up to about 60 raw events in any order, each with ids and devices of its own.

    STRING columns are text or None. DateCreated is a datetime or None; with `date_created="text"`
    it is text, with "epoch" an integer, sometimes one that is no time.
    """

    def rows(entropy: bytes) -> list[Row]:
        starts = range(0, len(entropy), ENTROPY_BYTES)
        return _together([entropy[at : at + ENTROPY_BYTES] for at in starts], date_created)

    return _entropy_of(parts).map(rows)


def events_of(entropy: bytes, date_created: str = "timestamp") -> list[Row]:
    """The raw events that `raw_events` makes from these bytes."""
    random = Random(entropy[:SEED_BYTES])
    kinds = random.choices(KINDS, k=random.choice((1, 2, 4)))
    histories = [_history(random, kinds) for _ in range(random.choice((3, 7, 10, 13)))]
    rows = [row for history in histories for row in history]
    rows += _copies(random, rows)
    if date_created != "timestamp":
        times = [_date_created(random, date_created, row["DateCreated"]) for row in rows]
        rows = [row | {"DateCreated": time} for row, time in zip(rows, times, strict=True)]
    return _delivered(rows, entropy[SEED_BYTES:])


# --- Users ----------------------------------------------------------------------------------------

UIDS: dict[str, tuple[Any, ...]] = {
    "int": (7, 7, 8, 9, 10, 11, 0, -1, 2**63 - 1, -(2**63), None),
    "float": (7.0, 7.0, 8.0, 9.0, 10.0, 0.0, -1.0, 9.5, 2.0**62, 2.0**63, 1e300, None),
    "text": (
        *("7", "7", "8", "9", "10", "007", "00000000000000000000008", "9223372036854775807"),
        *("9223372036854775808", "-7", "-7.0", "7.0", "7.00", "8.0", "-9223372036854775808"),
        *(
            "-9223372036854775809",
            "+7",
            "7.",
            ".0",
            "7.5",
            "1e1",
            " 7",
            "7\n",
            "٧",
            "0x7",
            "",
            None,
        ),
    ),
}
USERNAMES = ("ann", "bob", "ann", "Ann", "é", "\uffee", "\U0001f600", "(no user)", " ", "", None)
EPOCH_FLOATS = (1643673590.9, -0.9, -1.5, 1643673590123.9, 2.0**63, -(2.0**63), 1e300, -1e-300)
EPOCH_TEXTS = ("1643673590.9", "-0.9", "1643673590123.9", "99999999999.9", "1643673590000")
USER_TIMES = (START, START, START + dt.timedelta(seconds=1), START - dt.timedelta(days=400), None)


def _user_times() -> dict[str, Sequence[Any]]:
    numbers = [None if number is None else str(number) for number in EPOCHS]
    texts = (*ITEM_TIMES, *ONLY_EXPORTED, *BARE_DATES, *EPOCH_TEXTS, *numbers)
    faulty = (*NO_ITEM_TIMES, *NO_EXPORTED, *NO_BARE_DATES, *NO_EPOCH_TEXTS)
    floats = [None if number is None else float(number) for number in EPOCHS] + [*EPOCH_FLOATS]
    return {
        "timestamp": USER_TIMES,
        "epoch": EPOCHS,
        "float": floats,
        "text": _mostly(texts, faulty, 3),
    }


TIMES = _user_times()
UID = {
    "int": _mostly((7, 8, 9, 10), UIDS["int"], 1),
    "float": _mostly((7.0, 8.0, 9.0, 10.0), UIDS["float"], 1),
    "text": _mostly(("7", "8", "9", "10"), UIDS["text"], 1),
}
USERNAME = _mostly(("ann", "bob", "ann", "Ann"), USERNAMES, 1)


def _user_time(random: Random, times: str) -> Any:
    if times == "text" and random.random() < 0.3:
        return _text_of(random, START)
    return random.choice(TIMES[times])


def _raw_user(random: Random, times: str, uid: str) -> Row:
    return {
        "uid": random.choice(UID[uid]),
        "username": random.choice(USERNAME),
        "dateRegistered": _user_time(random, times),
        "last_modified": _user_time(random, times),
    }


def raw_users(times: str = "timestamp", uid: str = "int") -> st.SearchStrategy[list[Row]]:
    """Up to 24 raw users whose ids repeat.

    The ids come as "int", "float" or "text"; the times as "timestamp", as "epoch" integers, or as
    "text", which mixes times, dates and epoch numbers.
    """
    return _entropy_of(1).map(lambda entropy: users_of(entropy, times, uid))


def users_of(entropy: bytes, times: str = "timestamp", uid: str = "int") -> list[Row]:
    """The raw users that `raw_users` makes from these bytes."""
    random = Random(entropy[:SEED_BYTES])
    rows = [_raw_user(random, times, uid) for _ in range(random.choice((2, 8, 16, 24)))]
    return _delivered(rows, entropy[SEED_BYTES:])


# --- Many at once ---------------------------------------------------------------------------------


def many_events(seed: int, parts: int, date_created: str = "timestamp") -> list[Row]:
    """So many draws of raw events in one list, each with ids and devices of its own."""
    return _together([entropy(seed, part) for part in range(parts)], date_created)


def _together(entropies: Sequence[bytes], date_created: str) -> list[Row]:
    drawn = [events_of(each, date_created) for each in entropies]
    return [_apart(row, part) if part else row for part, rows in enumerate(drawn) for row in rows]


def entropy(seed: int, part: int = 0) -> bytes:
    """Random bytes for rows, the same for the same numbers."""
    return Random(f"{seed} {part}").randbytes(ENTROPY_BYTES)


def _apart(row: Row, part: int) -> Row:
    device, item = row["MapUniqueName"], row["ItemData"]
    own_ids = item and re.sub(r'"([cCr][1-8]|é)"', rf'"\1.{part}"', item)
    return row | {"ItemData": own_ids, "MapUniqueName": device and f"{device}.{part}"}
