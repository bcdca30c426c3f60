from __future__ import annotations

import pytest
from conftest import command, raw_event, reading, result

from pipeline import catalog


def by_uuid(built, *events):
    return {row["command_uuid"]: row for row in built(*events)["fct_command_readings"]}


def attributed(row):
    return [each["reading_uuid"] for each in row["readings"] if each["is_attributed"]]


def switch(uuid, state="On", at=2.0, **columns):
    return reading(uuid, {"value": state}, "Switch", at, **columns)


# --- The window -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "number"),
    [(0, 1), (15, 1), (15.000001, 0), (-0.000001, 0)],
    ids=["at the command", "exactly 15 s later", "a microsecond too late", "a microsecond before"],
)
def test_the_window_is_from_the_command_to_15_seconds_later(built, at, number):
    row = by_uuid(built, command("c"), reading("r", at=at))["c"]

    assert row["reading_count"] == number


@pytest.mark.parametrize("start", [0, 7.5, 14.999999, -2e9])
def test_the_window_is_as_long_wherever_it_begins(built, start):
    row = by_uuid(
        built,
        command("c", at=start),
        reading("first", at=start),
        reading("last", at=start + 15),
        reading("late", at=start + 15.000001),
    )["c"]

    assert [each["reading_uuid"] for each in row["readings"]] == ["first", "last"]
    assert row["readings"][1]["seconds_after_command"] == 15.0


def test_readings_of_other_devices_are_not_in_the_window(built):
    row = by_uuid(built, command("c"), reading("r", MapUniqueName="other"))["c"]

    assert row["readings"] == []


def test_every_kind_of_reading_of_the_device_is_in_the_window(built):
    row = by_uuid(built, command("c"), reading("r", item_key="Humidity"), switch("s"))["c"]

    assert (row["reading_count"], row["expected_reading_count"]) == (2, 0)


def test_readings_are_ordered_by_time_type_and_uuid(built):
    row = by_uuid(
        built,
        command("c"),
        reading("a", at=3),
        reading("b", item_key="Switch", at=1),
        reading("a", item_key="Switch", at=1),
        reading("B", item_key="Switch", at=1),
        reading("z", item_key="Dimmer", at=1),
    )["c"]

    found = [(each["reading_type"], each["reading_uuid"]) for each in row["readings"]]
    assert found == [
        ("Dimmer", "z"),
        ("Switch", "B"),
        ("Switch", "a"),
        ("Switch", "b"),
        ("DoorLocked", "a"),
    ]


def test_a_reading_is_told_with_how_it_stands_to_the_command(built):
    item = {
        "uuid": "r",
        "timestamp": "2022-01-01T12:00:01Z",
        "state": {"value": "On", "unit": "%", "percent": 99},
    }
    event = switch("r", at=2.5) | {
        "ItemKey": "Dimmer",
        "ItemData": raw_event(item=item)["ItemData"],
    }

    row = by_uuid(built, command("c", "DimmerState", "Multilevel On", 100), event)["c"]

    (found,) = row["readings"]
    assert list(found.items()) == [
        ("reading_uuid", "r"),
        ("reading_type", "Dimmer"),
        ("state_value", "On"),
        ("state_unit", "%"),
        ("state_percent", 99.0),
        ("update_timestamp", event["DateCreated"]),
        ("event_timestamp", command("c", at=1)["DateCreated"]),
        ("seconds_after_command", 2.5),
        ("is_expected_type", True),
        ("matches_desired_state", True),
        ("is_attributed", True),
    ]


def test_a_command_without_readings_has_an_empty_array_and_zeros(built):
    row = by_uuid(built, command("c"))["c"]

    expected = {
        "readings": [],
        "reading_count": 0,
        "expected_reading_count": 0,
        "matching_reading_count": 0,
        "attributed_reading_count": 0,
        "has_matching_reading": False,
        "has_attributed_matching_reading": False,
        "seconds_to_first_matching_reading": None,
        "seconds_since_previous_command": None,
        "seconds_to_next_command": None,
        "is_window_shared": False,
        "is_superseded": False,
        "outcome": "no_response",
    }
    assert {name: row[name] for name in expected} == expected


def test_all_columns_of_the_status_are_carried_on(built):
    models = built(command("c"), result("c"), reading("r"))
    names = list(catalog.load().models["fct_command_statuses"].schema)

    (status,), (row,) = models["fct_command_statuses"], models["fct_command_readings"]

    assert {name: row[name] for name in names} == status


# --- Counts ---------------------------------------------------------------------------------------


def test_readings_are_counted_by_what_they_show(built):
    row = by_uuid(
        built,
        command("c"),
        reading("other", item_key="Humidity", at=1),
        reading("no", "false", at=2),
        reading("yes", "true", at=3),
        reading("again", "TRUE", at=4),
    )["c"]

    expected = {
        "reading_count": 4,
        "expected_reading_count": 3,
        "matching_reading_count": 2,
        "attributed_reading_count": 3,
        "has_matching_reading": True,
        "has_attributed_matching_reading": True,
        "seconds_to_first_matching_reading": 3.0,
    }
    assert {name: row[name] for name in expected} == expected


def test_the_counts_are_of_the_window_whoever_a_reading_is_attributed_to(built):
    row = by_uuid(built, command("c"), command("d", at=1), reading("r"))["c"]

    expected = {
        "expected_reading_count": 1,
        "matching_reading_count": 1,
        "attributed_reading_count": 0,
        "has_matching_reading": True,
        "has_attributed_matching_reading": False,
        "seconds_to_first_matching_reading": None,
    }
    assert {name: row[name] for name in expected} == expected


def test_the_first_match_is_the_first_attributed_one(built):
    rows = by_uuid(
        built, command("c", at=0), reading("r", at=4), command("d", at=6), reading("s", at=8)
    )

    assert rows["c"]["matching_reading_count"] == 2
    assert rows["c"]["seconds_to_first_matching_reading"] == 4.0
    assert rows["d"]["seconds_to_first_matching_reading"] == 2.0


# --- Attribution ----------------------------------------------------------------------------------


def test_a_reading_in_two_windows_is_attributed_to_the_later_command_that_expects_it(built):
    rows = by_uuid(
        built,
        command("first"),
        command("second", "LockedState", "unlocked", at=5),
        command("other", "SwitchState", "on", at=6),
        reading("r", at=7),
    )

    assert [attributed(rows[uuid]) for uuid in ("first", "second", "other")] == [[], ["r"], []]
    assert [rows[uuid]["reading_count"] for uuid in ("first", "second", "other")] == [1, 1, 1]
    assert rows["first"]["is_superseded"]
    assert rows["first"]["outcome"] == "no_response"


@pytest.mark.parametrize(
    ("at", "attributed_to"),
    [(4.999999, "early"), (5, "late"), (15, "late"), (15.000001, "late"), (20.000001, None)],
)
def test_a_command_at_the_very_time_of_the_reading_is_the_latest(built, at, attributed_to):
    rows = by_uuid(built, command("early"), command("late", at=5), reading("r", at=at))

    assert [uuid for uuid, row in rows.items() if attributed(row)] == [
        uuid for uuid in [attributed_to] if uuid
    ]


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        pytest.param({"MapRevision": "9"}, {"MapRevision": "a"}, id="revision as text"),
        pytest.param({"MapRevision": "f"}, {"MapRevision": "10"}, id="revision by length"),
        pytest.param({"MapRevision": None}, {"MapRevision": ""}, id="revision, null lowest"),
        pytest.param({"MapRevision": "1"}, {"MapRevision": "1"}, id="then the uuid"),
    ],
)
def test_of_commands_at_one_time_the_higher_revision_gets_the_reading(built, lower, higher):
    rows = by_uuid(built, command("b", **higher), command("a", **lower), reading("r"))

    assert attributed(rows["b"]) == ["r"]
    assert attributed(rows["a"]) == []


def test_the_revision_comes_before_the_uuid(built):
    rows = by_uuid(
        built, command("z", MapRevision="1"), command("a", MapRevision="2"), reading("r")
    )

    assert attributed(rows["a"]) == ["r"]


def test_a_reading_is_attributed_whether_it_matches_or_not(built):
    row = by_uuid(built, command("c"), reading("r", "false"))["c"]

    assert attributed(row) == ["r"]
    assert not row["has_attributed_matching_reading"]


def test_a_reading_that_no_command_expects_is_attributed_to_none(built):
    row = by_uuid(built, command("c", "PinAssignment", 1, "1234"), reading("r"))["c"]

    assert row["reading_count"] == 1
    assert attributed(row) == []
    assert not row["readings"][0]["is_expected_type"]


def test_a_later_command_of_another_device_takes_nothing(built):
    rows = by_uuid(built, command("c"), command("d", at=1, MapUniqueName="other"), reading("r"))

    assert attributed(rows["c"]) == ["r"]


# --- Neighbours -----------------------------------------------------------------------------------


def test_neighbours_are_the_commands_before_and_after_on_the_device(built):
    rows = by_uuid(
        built,
        command("a"),
        command("b", "SwitchState", "on", at=20.5),
        command("c", at=36),
        command("x", at=21, MapUniqueName="other"),
    )

    found = {
        uuid: (row["seconds_since_previous_command"], row["seconds_to_next_command"])
        for uuid, row in rows.items()
    }
    assert found == {"a": (None, 20.5), "b": (20.5, 15.5), "c": (15.5, None), "x": (None, None)}


def test_neighbours_at_one_time_are_ordered_by_revision_and_uuid(built):
    rows = by_uuid(
        built,
        command("z", MapRevision=None),
        command("c", MapRevision="f"),
        command("a", MapRevision="10"),
        command("b", MapRevision="10"),
        command("later", at=4),
    )

    order = ["z", "c", "a", "b", "later"]
    assert [rows[uuid]["seconds_to_next_command"] for uuid in order] == [0, 0, 0, 4, None]
    assert [rows[uuid]["seconds_since_previous_command"] for uuid in order] == [None, 0, 0, 0, 4]


@pytest.mark.parametrize(("gap", "shared"), [(0, True), (15, True), (15.000001, False)])
def test_a_window_is_shared_with_any_command_at_most_15_seconds_away(built, gap, shared):
    rows = by_uuid(built, command("a"), command("b", "Reboot", at=gap))

    assert [rows[uuid]["is_window_shared"] for uuid in "ab"] == [shared, shared]


@pytest.mark.parametrize(("gap", "superseded"), [(0, True), (15, True), (15.000001, False)])
def test_a_command_is_superseded_by_the_same_one_at_most_15_seconds_after(built, gap, superseded):
    rows = by_uuid(built, command("a"), command("b", "LockedState", "unlocked", at=gap))

    assert [rows[uuid]["is_superseded"] for uuid in "ab"] == [superseded, False]


def test_another_kind_of_command_between_does_not_keep_from_being_superseded(built):
    rows = by_uuid(built, command("a"), command("b", "SwitchState", "on", at=1), command("c", at=2))

    assert [rows[uuid]["is_superseded"] for uuid in "abc"] == [True, False, False]


def test_commands_that_no_reading_shows_are_superseded_too(built):
    rows = by_uuid(built, command("a", "Reboot"), command("b", "Reboot", at=1))

    assert rows["a"]["is_superseded"]


# --- Outcome --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "match", "outcome"),
    [
        (True, True, "confirmed"),
        (True, False, "unconfirmed"),
        (False, False, "failed"),
        (False, True, "contradicted"),
        (None, True, "observed"),
        (None, False, "no_response"),
    ],
)
def test_the_outcome_is_what_the_hub_said_and_the_device_showed(built, answer, match, outcome):
    answers = [] if answer is None else [result("c", answer)]

    row = by_uuid(built, command("c"), *answers, reading("r", "true" if match else "false"))["c"]

    assert row["outcome"] == outcome


def test_a_match_that_belongs_to_another_command_confirms_nothing(built):
    rows = by_uuid(built, command("a"), command("b", at=1), result("a"), result("b"), reading("r"))

    assert [rows[uuid]["outcome"] for uuid in "ab"] == ["unconfirmed", "confirmed"]
