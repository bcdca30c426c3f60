from __future__ import annotations

import pytest
from conftest import NOON, after, raw_event, reading


def staged(built, *events):
    return built(*events)["stg_readings"]


@pytest.mark.parametrize(
    ("state", "value"),
    [
        ("true", "true"),
        (True, "true"),
        (7, "7"),
        (7.0, "7.0"),
        ("", ""),
        ({"value": "On"}, "On"),
        ({"value": False}, "false"),
        ({"value": 68.5}, "68.5"),
        ({"value": ""}, ""),
        ('{"value": "On"}', '{"value": "On"}'),
    ],
    ids=repr,
)
def test_the_value_is_that_of_state_or_else_the_scalar_state(built, state, value):
    (row,) = staged(built, reading("r", state))

    assert row["state_value"] == value


@pytest.mark.parametrize(
    ("state", "unit", "percent"),
    [
        ({"value": 1, "unit": "F", "percent": 40}, "F", 40.0),
        ({"value": 1, "percent": "40.5"}, None, 40.5),
        ({"value": 1, "percent": "4e1"}, None, 40.0),
        ({"value": 1, "percent": " 40"}, None, None),
        ({"value": 1, "percent": "40%"}, None, None),
        ({"value": 1, "percent": True}, None, None),
        ({"value": 1, "percent": "1e999"}, None, None),
        ({"value": 1, "unit": {"is": "F"}, "percent": [40]}, None, None),
        ({"value": 1, "unit": "", "percent": None}, "", None),
        ("On", None, None),
    ],
    ids=repr,
)
def test_unit_and_percent_stand_in_a_state_object_or_are_null(built, state, unit, percent):
    (row,) = staged(built, reading("r", state))

    assert (row["state_unit"], row["state_percent"]) == (unit, percent)


@pytest.mark.parametrize("item", [{}, {"uuid": ""}, {"uuid": None}, {"uuid": ["r"]}], ids=str)
def test_a_reading_without_uuid_is_called_by_its_uid(built, item):
    (row,) = staged(built, raw_event("Humidity", item | {"state": 40}))

    assert row["reading_uuid"] == row["_uid"] == "device_1_2022-01-01 12:00:00.000000+00"


def test_a_command_id_is_no_readings_uuid(built):
    (row,) = staged(built, raw_event(item={"command_id": "c", "uuid": "r", "state": "true"}))

    assert row["reading_uuid"] == "r"


def test_a_reading_says_what_when_and_where_it_came_from(built):
    item = {"uuid": "r", "state": {"value": 40}, "timestamp": "2022-01-01T12:00:00Z"}

    (row,) = staged(built, raw_event("Humidity", item, DateCreated=after(1), MapUniqueName="d"))

    assert row == {
        "reading_uuid": "r",
        "device_id": "d",
        "reading_type": "Humidity",
        "state_value": "40",
        "state_unit": None,
        "state_percent": None,
        "update_timestamp": after(1),
        "event_timestamp": NOON,
        "map_revision": "1",
        "_uid": "d_1_2022-01-01 12:00:01.000000+00",
        "_source_file": "file-1",
    }


def test_copies_agree_in_device_type_and_uuid(built):
    rows = staged(
        built,
        reading("r", at=2),
        reading("r", at=1),
        reading("r", item_key="Switch"),
        reading("r", MapUniqueName="other"),
        reading("R"),
    )

    found = {(row["device_id"], row["reading_type"], row["reading_uuid"]) for row in rows}
    assert len(rows) == len(found) == 4
    assert [row["update_timestamp"] for row in rows if row["reading_uuid"] == "r"].count(after(1))


def test_readings_without_uuid_are_copies_where_device_revision_and_time_agree(built):
    nameless = raw_event("Humidity", {"state": 40})

    rows = staged(
        built, nameless, nameless, nameless | {"MapRevision": "2"}, nameless | {"ItemKey": "Switch"}
    )

    assert sorted((row["reading_type"], row["map_revision"]) for row in rows) == [
        ("Humidity", "1"),
        ("Humidity", "2"),
        ("Switch", "1"),
    ]
