from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from conftest import NOON, after, command, event_types, raw_event, reading, result

READINGS = [
    *("ThermostatMode", "ThermostatOperatingState", "DoorLocked", "Switch", "Dimmer"),
    *("ThermostatHeatSetpoint", "ThermostatCoolSetpoint", "Temperature", "Humidity"),
    "BatteryLevel",
]


def staged(built, event, **types):
    (row,) = built(event, events_as=event_types(**types))["stg_sync_events"]
    return row


def desired(state):
    return raw_event("Command", {"uuid": "c", "desired_state": state})


DISPOSITIONS = {
    "staged": {
        "reading": reading("r"),
        "command": command("c"),
        "result": result("c"),
        "pick-up": raw_event("CommandActive", {"uuid": "c"}),
        "event type added": reading("r", EventType="map_item_added"),
        "event type null": reading("r", EventType=None),
        "blank device": reading("r", MapUniqueName=" "),
        "command_id alone": raw_event("CommandResult", {"command_id": "c"}),
        "command not quite the reserved word": desired(["(ALL)"]),
        "command of empty text": desired([""]),
        "command of a boolean": desired([False]),
        "state empty": reading("r", ""),
        "state.value empty": reading("r", {"value": ""}),
        "reading without uuid": raw_event(item={"state": 1}),
    },
    "removed": {"event type": reading("r", EventType="map_item_removed")},
    "out_of_scope": {
        "key null": raw_event(None, {}, EventType="map_created"),
        "key empty": raw_event("", {}),
        "key of something else": reading("r", item_key="WaterLeak"),
        "key in another case": reading("r", item_key="doorlocked"),
        "key spelled as in commands": reading("r", item_key="ThermostatHeatSetPoint"),
    },
    "malformed_json": {
        "null": raw_event("Command", None),
        "empty": raw_event("Command", ""),
        "cut": raw_event("Command", '{"uuid": "c"'),
        "array": raw_event("Command", '[{"uuid": "c"}]'),
        "text": raw_event("Command", '"text"'),
        "JSON null": raw_event("Command", "null"),
    },
    "missing_device_id": {
        "null": reading("r", MapUniqueName=None),
        "empty": reading("r", MapUniqueName=""),
    },
    "missing_update_timestamp": {"null": reading("r", DateCreated=None)},
    "missing_command_uuid": {
        "command with an empty one": command(""),
        "pick-up without any": raw_event("CommandActive", {}),
        "result whose ids are no scalars": raw_event(
            "CommandResult", {"uuid": None, "command_id": ["c"]}
        ),
    },
    "missing_desired_state": {
        "absent": raw_event("Command", {"uuid": "c"}),
        "text": desired("LockedState"),
        "object": desired({"0": "LockedState"}),
        "empty array": desired([]),
        "first is null": desired([None, "locked"]),
        "first is an array": desired([["LockedState"]]),
        "first is an object": desired([{}, "locked"]),
        "first is the reserved word": desired(["(all)"]),
    },
    "missing_state": {
        "absent": raw_event(item={"uuid": "r"}),
        "null": reading("r", None),
        "array": reading("r", ["true"]),
        "object without value": reading("r", {"percent": 7}),
        "state.value null": reading("r", {"value": None}),
        "state.value an object": reading("r", {"value": {}}),
    },
}


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_each_raw_event_has_the_disposition(built, disposition):
    events = {
        why: event | {"_source_file": why} for why, event in DISPOSITIONS[disposition].items()
    }

    rows = built(*events.values())["stg_sync_events"]

    assert {row["_source_file"]: row["disposition"] for row in rows} == dict.fromkeys(
        events, disposition
    )


def test_all_ten_kinds_of_readings_are_in_scope(built):
    events = built(*(reading("r", item_key=key) for key in READINGS))

    assert {row["disposition"] for row in events["stg_sync_events"]} == {"staged"}


@pytest.mark.parametrize("later", [0, 1], ids=["the first copy", "a later copy"])
def test_before_dedup_every_copy_is_staged(built, later):
    copies = built(reading("r"), reading("r", at=3))["stg_sync_events"]

    assert copies[later]["disposition"] == "staged"


def test_the_first_disposition_that_applies_is_the_one(built):
    """Each step mends the fault of the step before, and so finds the next one."""
    row = raw_event("Other", None, EventType="map_item_removed", MapUniqueName="", DateCreated=None)
    steps = {
        "removed": {},
        "out_of_scope": {"EventType": "map_item_updated"},
        "malformed_json": {"ItemKey": "Command"},
        "missing_device_id": {"ItemData": "{}"},
        "missing_update_timestamp": {"MapUniqueName": "device"},
        "missing_command_uuid": {"DateCreated": NOON},
        "missing_desired_state": {"ItemData": '{"uuid": "c"}'},
        "missing_state": {"ItemKey": "DoorLocked"},
        "staged": {"ItemData": '{"state": "true"}'},
    }
    events = []
    for number, change in enumerate(steps.values()):
        row = row | change | {"_source_file": str(number)}
        events.append(row)

    found = sorted(built(*events)["stg_sync_events"], key=lambda row: row["_source_file"])

    assert [row["disposition"] for row in found] == list(steps)


def test_raw_columns_are_renamed_and_carried_through(built):
    raw = raw_event(
        "Humidity",
        '{"state": 7}',
        EventType="map_item_added",
        DateCreated=after(1.5),
        MapRevision="0a",
        ItemRevision="b",
        EndpointId="e",
        MapUniqueName="d",
        _source_file="f",
    )

    row = staged(built, raw)

    assert {name: row[name] for name in list(row)[:9]} == {
        "event_type": "map_item_added",
        "update_timestamp": after(1.5),
        "map_revision": "0a",
        "item_key": "Humidity",
        "item_revision": "b",
        "twilio_sync_endpoint_id": "e",
        "item_data": None,
        "device_id": "d",
        "_source_file": "f",
    }


@pytest.mark.parametrize(
    ("columns", "disposition", "is_text_kept", "is_pin_parsed"),
    [
        ({}, "staged", False, True),
        ({"EventType": "map_item_removed"}, "removed", False, False),
        ({"ItemKey": "Backup"}, "out_of_scope", False, False),
        ({"DateCreated": None}, "missing_update_timestamp", True, False),
        ({"MapUniqueName": ""}, "missing_device_id", True, False),
    ],
)
def test_a_pin_is_kept_once_where_it_is_needed(
    built, columns, disposition, is_text_kept, is_pin_parsed
):
    raw = command("c", "PinAssignment", 1, "1234", **columns)

    row = staged(built, raw)

    assert row["disposition"] == disposition
    assert row["item_data"] == (raw["ItemData"] if is_text_kept else None)
    pins = ["1", "1234", '["PinAssignment",1,"1234"]']
    parsed = [row[name] for name in ("desired_state_1", "desired_state_2", "desired_state")]
    assert parsed == (pins if is_pin_parsed else [None, None, None])


@pytest.mark.parametrize(
    ("raw", "uid"),
    [
        ({}, "device_1_2022-01-01 12:00:00.000000+00"),
        ({"DateCreated": after(0.1)}, "device_1_2022-01-01 12:00:00.100000+00"),
        (
            {"DateCreated": dt.datetime(1, 1, 1, tzinfo=dt.UTC)},
            "device_1_0001-01-01 00:00:00.000000+00",
        ),
        ({"MapRevision": None}, "device__2022-01-01 12:00:00.000000+00"),
        ({"MapUniqueName": None}, "_1_2022-01-01 12:00:00.000000+00"),
        ({"DateCreated": None}, "device_1_"),
        ({"MapUniqueName": None, "MapRevision": None, "DateCreated": None}, "__"),
    ],
)
def test_the_uid_names_device_revision_and_time(built, raw, uid):
    assert staged(built, reading("r", at=0) | raw)["_uid"] == uid


@pytest.mark.parametrize(
    "event",
    [
        raw_event("Other", {"timestamp": "2022-01-01T13:00:00+01:00"}),
        raw_event("Command", {"timestamp": "2022-01-01 12:00:00"}),
        raw_event(item={"timestamp": "2022-01-01T12:00:00Z"}, EventType="map_item_removed"),
    ],
    ids=["out of scope", "quarantined", "removed"],
)
def test_the_event_time_is_read_wherever_there_is_an_object(built, event):
    assert staged(built, event)["event_timestamp"] == NOON


@pytest.mark.parametrize("time", ["2022-02-30T00:00:00Z", 1641038400, None, {"at": 1}])
def test_no_time_in_the_item_is_null_and_no_fault(built, time):
    row = staged(built, raw_event(item={"timestamp": time, "state": 1}))

    assert (row["event_timestamp"], row["disposition"]) == (None, "staged")


@pytest.mark.parametrize(
    ("value", "kind", "time", "came"),
    [
        ("2022-01-01 12:00:00 UTC", pa.string(), NOON, None),
        ("yesterday", pa.string(), None, "yesterday"),
        ("", pa.string(), None, ""),
        (1641038400, pa.int64(), NOON, None),
        (-62135596801, pa.int64(), None, "-62135596801"),
        (True, pa.bool_(), None, "true"),
        (-62135596801.0, pa.float64(), None, "-62135596801"),
        (1e300, pa.float64(), None, "1e+300"),
        (dt.date(2022, 1, 1), pa.date32(), NOON.replace(hour=0), None),
        (253402300800000000, pa.timestamp("us"), None, "10000-01-01 00:00:00.000000+00"),
        (None, pa.string(), None, None),
    ],
    ids=repr,
)
def test_what_is_no_time_is_kept_as_it_came(built, value, kind, time, came):
    row = staged(built, reading("r", DateCreated=value), DateCreated=kind)

    assert row["update_timestamp"] == time
    assert row["_raw_date_created"] == came
    assert row["disposition"] == ("staged" if time else "missing_update_timestamp")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (12, pa.int64(), "12"),
        (2**64 - 1, pa.uint64(), "18446744073709551615"),
        (12.0, pa.float64(), "12"),
        (0.1, pa.float64(), "0.1"),
        (True, pa.bool_(), "true"),
    ],
    ids=repr,
)
def test_an_id_of_another_type_is_its_text(built, value, kind, text):
    event = reading("r", MapRevision=value, MapUniqueName=value)

    row = staged(built, event, MapRevision=kind, MapUniqueName=kind)

    assert (row["map_revision"], row["device_id"]) == (text, text)
