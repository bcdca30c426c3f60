"""The reference in plain Python on the contract's sentences that are easy to get wrong."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
import reference
from conftest import NOON, after, command, raw_event, raw_user, reading, result

Row = dict[str, Any]
UTC = dt.UTC
MICROSECOND = 0.000001


def build(*events: Row, users: Iterable[Row] = ()) -> dict[str, list[Row]]:
    return reference.build(list(events), list(users))


def the_only(rows: list[Row]) -> Row:
    assert len(rows) == 1
    return rows[0]


def staged(*events: Row) -> Row:
    """The one row of stg_sync_events."""
    return the_only(build(*events)["stg_sync_events"])


def by_uuid(built: dict[str, list[Row]]) -> dict[str, Row]:
    return {row["command_uuid"]: row for row in built["fct_command_readings"]}


def audited(built: dict[str, list[Row]]) -> dict[tuple[str | None, str], int]:
    return {
        (row["item_key"], row["disposition"]): row["number_of_rows"]
        for row in built["audit_dispositions"]
    }


# --- Section 2 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(7, "7", id="integer"),
        pytest.param(7.0, "7", id="whole float"),
        pytest.param(7.5, "7.5", id="float"),
        pytest.param(2.0**53, "9007199254740992.0", id="whole float too large for its digits"),
        pytest.param(True, "true", id="boolean"),
        pytest.param("1e5", "1e5", id="text that looks like a number"),
        pytest.param("", "", id="empty text"),
        pytest.param(None, None, id="NULL"),
    ],
)
def test_a_string_column_is_the_text_of_what_came(value, text):
    assert staged(raw_event(MapRevision=value))["map_revision"] == text


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2022-01-01T12:00:00Z", NOON),
        ("2022-01-01 12:00:00", NOON),
        ("2022-01-01T14:00:00+02:00", NOON),
        ("2022-01-01T12:00:00.1234569Z", NOON.replace(microsecond=123456)),
        ("2022-01-02T02:00:00+14:00", NOON),
        ("2022-01-02T02:01:00+14:01", None),
        ("2022-01-01T12:00:00+00:60", None),
        ("2022-01-01T12:00:00+00", None),
        ("2022-01-01T12:00:00 UTC", None),
        ("2022-01-01T12:00:00z", None),
        ("2022-01-01T12:00:00.", None),
        ("2022-01-01T12:00:00.1234567890", None),
        ("2022-01-01T12:00:00Z\n", None),
        ("2022-01-01T24:00:00", None),
        ("2022-01-01T12:00:60", None),
        ("2022-02-30T12:00:00", None),
        ("2022-01-01", None),
        ("0001-01-01T00:00:00+00:01", None),
        ("0001-01-01T00:00:00", dt.datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-00:01", None),
        (None, None),
        (1641038400, None),
    ],
)
def test_timestamp_in_item_data_is_iso_8601_and_nothing_else(text, time):
    assert staged(raw_event(item={"timestamp": text}))["event_timestamp"] == time


@pytest.mark.parametrize(
    ("value", "time"),
    [
        pytest.param(NOON, NOON, id="time"),
        pytest.param(NOON.date(), NOON.replace(hour=0), id="date is its midnight"),
        pytest.param("2022-01-01 12:00:00+00", NOON, id="as DuckDB exports"),
        pytest.param("2022-01-01 12:00:00 UTC", NOON, id="as BigQuery exports"),
        pytest.param("2022-01-01T10:00:00-02", NOON, id="hours only"),
        pytest.param("2022-01-01 12:00:00+15", None, id="hours out of range"),
        pytest.param("2022-01-01T10:00:00-0200", NOON, id="hours and minutes without a colon"),
        pytest.param("2022-01-01", None, id="date as text"),
        pytest.param("1641038400.9", NOON, id="epoch as text"),
        pytest.param(1641038400, NOON, id="epoch seconds"),
        pytest.param(1641038400000.0, NOON, id="epoch milliseconds as a float"),
        pytest.param(Decimal("1641038400000000.5"), NOON, id="epoch microseconds as a decimal"),
        pytest.param("1641038400000000999", NOON, id="epoch nanoseconds are cut"),
        pytest.param(2**63, None, id="beyond INT64"),
        pytest.param(True, None, id="boolean"),
        pytest.param("", None, id="empty text"),
    ],
)
def test_date_created_comes_as_time_date_or_exported_text(value, time):
    assert staged(raw_event(DateCreated=value))["update_timestamp"] == time


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2022-01-01", dt.datetime(2022, 1, 1, tzinfo=UTC)),
        ("2022-02-30", None),
        ("2022-01-01 12:00:00 UTC", NOON),
        (1641038400, NOON),
        (1641038400000, NOON),
        ("1641038400.9", NOON),
        (1641038400.9, NOON),
        (-0.9, dt.datetime(1970, 1, 1, tzinfo=UTC)),
        (10**11 - 1, dt.datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        (10**11, dt.datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (-(10**11), dt.datetime(1966, 10, 31, 14, 13, 20, tzinfo=UTC)),
        (10**14, dt.datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (-(10**17) - 1, dt.datetime(1966, 10, 31, 14, 13, 19, 999999, UTC)),
        (-62135596801, None),
        ("1e9", None),
        ("5.", None),
        (" 5", None),
        (2**62, dt.datetime(2116, 2, 20, 23, 53, 38, 427387, UTC)),
        (True, None),
        (NOON.date(), NOON.replace(hour=0)),
    ],
)
def test_a_time_of_a_user_is_a_time_a_date_or_an_epoch_number(value, time):
    built = build(users=[raw_user(last_modified=value)])

    assert [row["last_modified"] for row in built["stg_users"]] == [time] * (time is not None)


@pytest.mark.parametrize(
    ("uid", "user_id"),
    [
        (7, "7"),
        (7.0, "7"),
        ("007", "7"),
        (-7, "-7"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", None),
        (2.0**63, None),
        (7.5, None),
        (float("inf"), None),
        ("7.0", "7"),
        ("-7.00", "-7"),
        ("7.", None),
        (Decimal("7.00"), "7"),
        (Decimal("7.50"), None),
        ("+7", None),
        ("٧", None),
        ("7\n", None),
        ("", None),
        (True, None),
        (None, None),
    ],
)
def test_user_id_is_the_text_of_an_integer(uid, user_id):
    built = build(users=[raw_user(uid)])

    assert [row["user_id"] for row in built["stg_users"]] == [user_id] * (user_id is not None)


# --- Section 3 ------------------------------------------------------------------------------------

LOCK = {"uuid": "c", "desired_state": ["LockedState", "locked"]}


@pytest.mark.parametrize(
    ("event", "disposition"),
    [
        pytest.param(raw_event(None, None, EventType="map_item_removed"), "removed", id="removed"),
        pytest.param(raw_event(None, None), "out_of_scope", id="no item key"),
        pytest.param(raw_event("command", LOCK), "out_of_scope", id="another case"),
        pytest.param(
            raw_event("ThermostatHeatSetPoint", {"state": 1}),
            "out_of_scope",
            id="SetPoint is no reading",
        ),
        pytest.param(raw_event(item=None, MapUniqueName=None), "malformed_json", id="no data"),
        pytest.param(raw_event(item='{"state":1} x'), "malformed_json", id="text after it"),
        pytest.param(raw_event(item='["state"]'), "malformed_json", id="top-level array"),
        pytest.param(raw_event(item="null"), "malformed_json", id="top-level null"),
        pytest.param(raw_event(item="{}", MapUniqueName=""), "missing_device_id", id="no device"),
        pytest.param(
            raw_event(item="{}", DateCreated="soon"), "missing_update_timestamp", id="no time"
        ),
        pytest.param(
            raw_event("CommandActive", {"command_id": "", "uuid": ["c"]}),
            "missing_command_uuid",
            id="no id",
        ),
        pytest.param(raw_event("Command", {"uuid": " "}), "missing_desired_state", id="blank id"),
        pytest.param(command("c", "(all)"), "missing_desired_state", id="reserved word"),
        pytest.param(command("c", None, "locked"), "missing_desired_state", id="null first"),
        pytest.param(command("c", ["LockedState"]), "missing_desired_state", id="nested"),
        pytest.param(
            raw_event("Command", LOCK | {"desired_state": {"0": "x"}}),
            "missing_desired_state",
            id="object instead of array",
        ),
        pytest.param(command("c", ""), "staged", id="empty command is a value"),
        pytest.param(reading("r", {"unit": "F"}), "missing_state", id="no state.value"),
        pytest.param(reading("r", ["true"]), "missing_state", id="array as state"),
        pytest.param(reading("r", ""), "staged", id="empty state is a value"),
        pytest.param(reading("r", {"value": False}), "staged", id="false is a value"),
    ],
)
def test_the_first_disposition_that_applies_is_the_row_s(event, disposition):
    assert staged(event)["disposition"] == disposition


def test_a_later_copy_is_staged_in_stg_sync_events_and_a_duplicate_in_the_audit():
    built = build(reading("r", at=1), reading("r", at=2))

    assert [row["disposition"] for row in built["stg_sync_events"]] == ["staged", "staged"]
    assert audited(built) == {("DoorLocked", "staged"): 1, ("DoorLocked", "duplicate"): 1}


def test_a_quarantined_row_is_no_duplicate_and_takes_no_key():
    built = build(command("c", "(all)", at=0), command("c", at=1))

    assert [row["update_timestamp"] for row in built["stg_commands"]] == [after(1)]
    assert audited(built) == {("Command", "missing_desired_state"): 1, ("Command", "staged"): 1}


@pytest.mark.parametrize(
    ("value", "kept"),
    [("soon", "soon"), (1e300, "1e+300"), (-62135596801.0, "-62135596801"), (None, None)],
)
def test_a_quarantined_event_keeps_the_date_that_gave_no_time(value, kept):
    built = build(reading("r", DateCreated=value))

    assert the_only(built["quarantined_events"])["_raw_date_created"] == kept


@pytest.mark.parametrize(
    ("columns", "disposition"),
    [
        ({"uid": "x", "username": ""}, "missing_user_id"),
        ({"username": "", "dateRegistered": None}, "missing_username"),
        ({"dateRegistered": "soon", "last_modified": None}, "invalid_date_registered"),
        ({"last_modified": None}, "invalid_last_modified"),
        ({"username": " "}, "staged"),
    ],
)
def test_the_first_disposition_that_applies_is_the_user_s(columns, disposition):
    built = build(users=[raw_user(**columns)])

    assert audited(built) == {(None, disposition): 1}


def test_a_quarantined_user_is_kept_as_it_came():
    built = build(users=[raw_user(7.0, dateRegistered=NOON, last_modified="soon")])

    assert the_only(built["quarantined_users"]) == {
        "uid": "7",
        "username": "ann",
        "date_registered": "2022-01-01 12:00:00.000000+00",
        "last_modified": "soon",
        "disposition": "invalid_last_modified",
    }


# --- Section 4 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "later"),
    [
        pytest.param({"DateCreated": NOON}, {"DateCreated": after(MICROSECOND)}, id="time"),
        pytest.param({"MapRevision": "a"}, {"MapRevision": "10"}, id="hex revision"),
        pytest.param({"MapRevision": "ff"}, {"MapRevision": None}, id="no revision is last"),
        pytest.param({"_source_file": "f10"}, {"_source_file": "f2"}, id="file as text"),
        pytest.param({"_source_file": "\uffee"}, {"_source_file": "\U0001f600"}, id="code point"),
        pytest.param({"MapUniqueName": "D"}, {"MapUniqueName": "d"}, id="device"),
        pytest.param(
            {"MapRevision": "9", "_source_file": "z"},
            {"MapRevision": "a", "_source_file": "a"},
            id="revision before file",
        ),
    ],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["in order", "out of order"])
def test_of_two_copies_the_first_in_the_total_order_is_kept(kept, later, is_late):
    first, second = command("c", at=0, **kept), command("c", at=0, **later)
    built = build(second, first) if is_late else build(first, second)

    renamed = {"DateCreated": "update_timestamp", "MapRevision": "map_revision"}
    renamed |= {"MapUniqueName": "device_id"}
    row = the_only(built["stg_commands"])
    assert {name: row[renamed.get(name, name)] for name in kept} == kept


@pytest.mark.parametrize(
    ("kept", "later"),
    [
        pytest.param({"timestamp": "2022-01-01T00:00:00Z"}, {"timestamp": "soon"}, id="item time"),
        pytest.param({"desired_state": ["A", 10]}, {"desired_state": ["A", 9]}, id="desired state"),
        pytest.param({"client": ""}, {}, id="empty client before none"),
        pytest.param({"user": "7"}, {"user": ""}, id="an empty user is none"),
        pytest.param({"origin_id": 10}, {"origin_id": 9}, id="ids as text"),
        pytest.param({"client": "b", "user": "a"}, {"client": "b", "user": "b"}, id="user then"),
        pytest.param({"client": "a", "user": "b"}, {"client": "b", "user": "a"}, id="client first"),
        pytest.param({"b": 2}, {"a": 1}, id="nothing that a model has"),
    ],
)
def test_ties_of_all_else_are_decided_by_content(kept, later):
    first, second = (
        raw_event("Command", {"uuid": "c", "desired_state": ["A"]} | said) for said in (kept, later)
    )

    both = build(second, first)["stg_commands"]

    assert both == build(first)["stg_commands"]


def test_the_percent_of_a_reading_breaks_ties_as_a_number():
    states = [{"value": "On", "percent": percent} for percent in (None, "10", 9.5)]
    built = build(*(reading("r", state, "Dimmer") for state in states))

    assert the_only(built["stg_readings"])["state_percent"] == 9.5


def test_one_id_in_all_three_command_models_is_three_rows():
    built = build(
        command("c"), raw_event("CommandActive", {"uuid": "c"}), result("c"), reading("c")
    )

    models = ("stg_commands", "stg_command_actives", "stg_command_results", "stg_readings")
    assert [len(built[model]) for model in models] == [1, 1, 1, 1]


def test_readings_repeat_only_on_the_same_device_and_type():
    built = build(
        reading("r"),
        reading("r", MapUniqueName="another"),
        reading("r", item_key="Temperature"),
        reading("r", at=3),
    )

    assert len(built["stg_readings"]) == 3


def test_the_uid_is_device_revision_and_time_with_null_parts_empty():
    uids = [
        staged(event)["_uid"]
        for event in (
            raw_event(DateCreated=dt.datetime(1, 2, 3, 4, 5, 6, 7, UTC)),
            raw_event(MapUniqueName=None, MapRevision=None, DateCreated=None),
        )
    ]

    assert uids == ["device_1_0001-02-03 04:05:06.000007+00", "__"]


@pytest.mark.parametrize("uuid", ["", None, {"a": 1}])
def test_a_reading_without_uuid_takes_its_uid(uuid):
    row = the_only(build(reading(uuid))["stg_readings"])

    assert row["reading_uuid"] == row["_uid"] == "device_1_2022-01-01 12:00:02.000000+00"


@pytest.mark.parametrize(
    ("ids", "uuid"),
    [
        ({"command_id": "a", "uuid": "b"}, "a"),
        ({"command_id": "", "uuid": "b"}, "b"),
        ({"command_id": None, "uuid": "b"}, "b"),
        ({"command_id": ["a"], "uuid": "b"}, "b"),
        ({"command_id": 7}, "7"),
    ],
)
def test_a_command_is_called_by_the_first_non_empty_of_its_ids(ids, uuid):
    built = build(raw_event("CommandResult", ids))

    assert the_only(built["stg_command_results"])["command_uuid"] == uuid


@pytest.mark.parametrize(
    ("item", "user_id"),
    [({}, None), ({"user": ""}, None), ({"user": 7}, "7"), ({"user": " "}, " ")],
)
def test_an_empty_user_is_no_user(item, user_id):
    built = build(raw_event("Command", LOCK | item))

    assert the_only(built["stg_commands"])["user_id"] == user_id


def test_scalars_of_a_command_keep_their_json_text():
    text = (
        '{"uuid":"c", "origin":true, "desired_state": ["ThermostatHeatSetPoint", 7.0, {"a b": 1}]}'
    )
    row = the_only(build(raw_event("Command", text))["stg_commands"])

    assert row["thermostat_heat_set_point"] == "7.0"
    assert row["command_origin"] == "true"
    assert row["_raw_command_desired_state"] == '["ThermostatHeatSetPoint",7.0,{"a b":1}]'
    assert row["thermostat_cool_set_point"] is None


def test_words_of_mode_switch_and_lock_are_lower_case_but_not_of_the_dimmer():
    rows = build(
        command("1", "ThermostatMode", "SetToCool"),
        command("2", "SwitchState", "ON"),
        command("3", "LockedState", "Locked"),
        command("4", "DimmerState", "Multilevel On"),
    )["stg_commands"]

    names = ("thermostat_mode", "switch_state", "lock_state", "dimmer_state")
    said = [row[name] for row, name in zip(rows, names, strict=True)]
    assert said == ["settocool", "on", "locked", "Multilevel On"]


@pytest.mark.parametrize(
    ("said", "is_success"),
    [
        (True, True),
        ("TRUE", True),
        ("success", True),
        ("no Success!", True),
        ("unsuccessful", False),
        ("success_", False),
        (False, False),
        (1, False),
        (None, False),
        ([True], False),
    ],
)
def test_a_result_is_a_success_by_its_word(said, is_success):
    built = build(result("c", said))

    assert the_only(built["stg_command_results"])["is_hub_success"] is is_success


@pytest.mark.parametrize(
    ("percent", "number"),
    [
        (50, 50.0),
        ("50", 50.0),
        ("1e2", 100.0),
        ("-0.5E-1", -0.05),
        ("050", 50.0),
        (" 50", None),
        ("50.", None),
        (".5", None),
        ("+5", None),
        ("5\n", None),
        ("nan", None),
        ("1e999", None),
        (True, None),
        ([50], None),
    ],
)
def test_a_percent_is_a_number_only_in_json_s_syntax(percent, number):
    built = build(reading("r", {"value": "On", "percent": percent}, "Dimmer"))

    assert the_only(built["stg_readings"])["state_percent"] == number


def test_a_user_s_row_is_the_one_modified_last_then_registered_last_then_lower_by_name():
    old, new = NOON, after(1)
    built = build(
        users=[
            raw_user(1, username="old"),
            raw_user("1", username="new", dateRegistered=old, last_modified=new),
            raw_user(2, username="early", dateRegistered=old),
            raw_user(2, username="late", dateRegistered=new),
            raw_user(3, username="b"),
            raw_user(3, username="B"),
            raw_user(4, username="good"),
            raw_user(4, username="", last_modified=new),
        ]
    )

    assert [row["username"] for row in built["dim_users"]] == ["new", "late", "B", "good"]


# --- Section 5: commands and days -----------------------------------------------------------------


def test_a_result_on_another_device_before_its_command_is_joined():
    built = build(command("c"), result("c", at=-60, MapUniqueName="another"))

    row = the_only(built["fct_command_statuses"])
    assert (row["has_hub_response"], row["is_hub_success"]) == (True, True)
    assert row["result_update_timestamp"] == after(-60)


def test_a_command_without_result_is_no_success():
    row = the_only(build(command("c"))["fct_command_statuses"])

    assert (row["has_hub_response"], row["is_hub_success"]) == (False, False)


def test_every_username_has_every_day_between_the_first_and_last_command_of_all():
    built = build(
        raw_event("Command", LOCK | {"uuid": "1", "user": 7}),
        raw_event("Command", LOCK | {"uuid": "2", "user": "8"}, DateCreated=after(2 * 86_400)),
        raw_event("Command", LOCK | {"uuid": "3", "user": "07"}, DateCreated=after(2 * 86_400)),
        command("4"),
        result("2"),
        users=[raw_user(7), raw_user(8), raw_user(9, username="idle")],
    )

    midnight = NOON.replace(hour=0)
    days = [midnight + dt.timedelta(days=number) for number in range(3)]
    counts = {
        (row["username"], row["timestamp_date"]): (
            row["number_of_commands"],
            row["number_of_successful_commands"],
        )
        for row in built["met_daily_command_count_by_username"]
    }
    assert counts == {
        **dict(zip([("ann", day) for day in days], [(1, 0), (0, 0), (1, 1)], strict=True)),
        **dict(zip([("(no user)", day) for day in days], [(1, 0), (0, 0), (0, 0)], strict=True)),
        **dict(
            zip([("(unknown user)", day) for day in days], [(0, 0), (0, 0), (1, 0)], strict=True)
        ),
    }


# --- Section 5: readings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "is_in"),
    [(0, True), (15, True), (15 + MICROSECOND, False), (-MICROSECOND, False)],
)
def test_the_window_holds_both_its_ends(seconds, is_in):
    row = the_only(build(command("c"), reading("r", at=seconds))["fct_command_readings"])

    assert [each["seconds_after_command"] for each in row["readings"]] == [seconds] * is_in


def test_readings_are_ordered_by_time_type_and_uuid():
    built = build(
        command("c"),
        reading("b", at=1),
        reading("a", at=1),
        reading("z", 1, "BatteryLevel", at=1),
        reading("y", at=0.5),
        reading("x", at=0.5, MapUniqueName="another"),
    )

    row = the_only(built["fct_command_readings"])
    assert [each["reading_uuid"] for each in row["readings"]] == ["y", "z", "a", "b"]


def test_a_reading_in_two_windows_is_attributed_to_the_latest_command_that_expects_its_type():
    rows = by_uuid(
        build(
            command("1", at=0),
            command("2", "LockedState", "unlocked", at=1),
            command("3", "SwitchState", "on", at=2),
            reading("r", "true", at=2),
            result("1"),
            result("2"),
        )
    )

    assert [rows[uuid]["reading_count"] for uuid in "123"] == [1, 1, 1]
    assert [rows[uuid]["attributed_reading_count"] for uuid in "123"] == [0, 1, 0]
    assert [rows[uuid]["has_matching_reading"] for uuid in "123"] == [True, False, False]
    assert [rows[uuid]["outcome"] for uuid in "123"] == [
        "unconfirmed",
        "unconfirmed",
        "no_response",
    ]


def test_a_later_command_of_another_device_takes_no_reading():
    rows = by_uuid(
        build(command("1"), command("2", at=1, MapUniqueName="another"), reading("r", at=2))
    )

    assert [rows[uuid]["attributed_reading_count"] for uuid in "12"] == [1, 0]


@pytest.mark.parametrize(
    ("winner", "other"),
    [
        pytest.param(("1", "10"), ("2", "9"), id="higher hex revision"),
        pytest.param(("1", ""), ("2", None), id="no revision is lowest"),
        pytest.param(("2", "9"), ("1", "9"), id="higher uuid"),
        pytest.param(("2", None), ("1", None), id="higher uuid without revisions"),
    ],
)
def test_commands_of_one_moment_are_ordered_by_revision_and_uuid(winner, other):
    rows = by_uuid(
        build(
            command(winner[0], MapRevision=winner[1]),
            command(other[0], MapRevision=other[1]),
            reading("r", at=0),
        )
    )

    assert rows[winner[0]]["has_attributed_matching_reading"]
    assert not rows[other[0]]["has_attributed_matching_reading"]
    assert (rows[winner[0]]["is_superseded"], rows[other[0]]["is_superseded"]) == (False, True)
    assert rows[winner[0]]["seconds_since_previous_command"] == 0.0
    assert rows[winner[0]]["seconds_to_next_command"] is None


@pytest.mark.parametrize(
    ("desired", "item_key", "state", "is_match"),
    [
        (["LockedState", "Locked"], "DoorLocked", "TRUE", True),
        (["LockedState", "unlocked"], "DoorLocked", {"value": False}, True),
        (["LockedState", "unlocked"], "DoorLocked", "unlocked", False),
        (["LockedState", "locked"], "Switch", "true", False),
        (["LockedState"], "DoorLocked", "true", False),
        (["SwitchState", "on"], "Switch", {"value": "On"}, True),
        (["SwitchState", None], "Switch", {"value": "null"}, False),
        (["DimmerState", "Multilevel On", 100], "Dimmer", {"value": "On", "percent": 99}, True),
        (["DimmerState", "Multilevel On", 100], "Dimmer", {"value": "On", "percent": 98.99}, False),
        (["DimmerState", "Multilevel On", 100], "Dimmer", {"value": "On"}, True),
        (["DimmerState", "Multilevel On"], "Dimmer", {"value": "on", "percent": 3}, True),
        (["DimmerState", "Multilevel On", "x"], "Dimmer", {"value": "on", "percent": 3}, True),
        (["DimmerState", "Multilevel Off", 50], "Dimmer", {"value": "Off", "percent": 0}, True),
        (["DimmerState", "Multilevel Off"], "Dimmer", {"value": "Multilevel Off"}, False),
        (["DimmerState", "Very Multilevel Off"], "Dimmer", {"value": "off"}, True),
        (["ThermostatMode", "settocool"], "ThermostatMode", "Cool", True),
        (["ThermostatMode", "heat"], "ThermostatMode", "SetToHeat", True),
        (["ThermostatMode", "settoheat"], "ThermostatMode", "cool", False),
        (["ThermostatMode", "operatingstate"], "ThermostatMode", "operatingstate", False),
        (["ThermostatMode", "cool"], "ThermostatOperatingState", "cool", False),
        (["PinAssignment", 1, "123"], "DoorLocked", "true", False),
    ],
    ids=json.dumps,
)
def test_a_reading_matches_by_the_table(desired, item_key, state, is_match):
    built = build(command("c", *desired), reading("r", state, item_key))

    each = the_only(the_only(built["fct_command_readings"])["readings"])
    assert each["matches_desired_state"] is is_match


@pytest.mark.parametrize(
    ("asked", "value", "unit", "is_match"),
    [
        (68, "68.5", None, True),
        (68, 68.51, None, False),
        ("20", 68, "F", True),
        ("20.5", 68, "F", True),
        ("19.5", 68, "F", True),
        ("20.6", 68, "F", False),
        (68, 20, "C", True),
        (68, 20, "c", False),
        (68, 20, "K", False),
        (20, 20, "F", True),
        (20, "warm", "F", False),
        (" 20", 20, "F", False),
    ],
)
@pytest.mark.parametrize("kind", ["Heat", "Cool"])
def test_set_points_match_as_they_are_or_with_the_reading_converted(
    kind, asked, value, unit, is_match
):
    state = {"value": value, "unit": unit}
    built = build(
        command("c", f"Thermostat{kind}SetPoint", asked),
        reading("r", state, f"Thermostat{kind}Setpoint"),
    )

    assert the_only(built["fct_command_readings"])["has_matching_reading"] is is_match


def test_a_set_point_of_the_other_kind_is_not_expected():
    built = build(
        command("c", "ThermostatHeatSetPoint", 68), reading("r", 68, "ThermostatCoolSetpoint")
    )

    assert the_only(built["fct_command_readings"])["expected_reading_count"] == 0


@pytest.mark.parametrize(
    ("gap", "is_near"), [(0, True), (15, True), (15 + MICROSECOND, False)], ids=str
)
def test_commands_share_a_window_up_to_15_seconds_apart(gap, is_near):
    rows = by_uuid(
        build(
            command("1"),
            command("2", at=gap),
            command("3", at=gap, MapUniqueName="another"),
        )
    )

    assert [rows[uuid]["is_window_shared"] for uuid in "123"] == [is_near, is_near, False]
    assert [rows[uuid]["is_superseded"] for uuid in "123"] == [is_near, False, False]
    assert (
        rows["1"]["seconds_to_next_command"] == rows["2"]["seconds_since_previous_command"] == gap
    )


def test_a_command_of_another_kind_shares_the_window_but_does_not_supersede():
    rows = by_uuid(build(command("1"), command("2", "SwitchState", "on", at=1), command("3", at=2)))

    assert [rows[uuid]["is_window_shared"] for uuid in "123"] == [True, True, True]
    assert [rows[uuid]["is_superseded"] for uuid in "123"] == [True, False, False]


@pytest.mark.parametrize(
    ("answer", "state", "outcome"),
    [
        (True, "true", "confirmed"),
        (True, "false", "unconfirmed"),
        (False, "false", "failed"),
        (False, "true", "contradicted"),
        (None, "true", "observed"),
        (None, "false", "no_response"),
    ],
)
def test_the_outcome_tells_the_hub_s_word_from_what_was_seen(answer, state, outcome):
    answers = [] if answer is None else [result("c", answer)]
    row = the_only(build(command("c"), reading("r", state), *answers)["fct_command_readings"])

    assert row["outcome"] == outcome


def test_the_time_to_a_match_is_that_of_the_first_attributed_match():
    rows = by_uuid(
        build(
            command("1"),
            reading("r1", "false", at=0.5),
            reading("r2", "true", at=2.5),
            reading("r3", "true", at=3),
            command("2", at=4),
            reading("r4", "true", at=5),
        )
    )

    assert rows["1"]["matching_reading_count"] == 3
    assert rows["1"]["attributed_reading_count"] == 3
    assert rows["1"]["seconds_to_first_matching_reading"] == 2.5
    assert rows["2"]["seconds_to_first_matching_reading"] == 1.0


# --- Section 5: outcomes --------------------------------------------------------------------------


def test_without_commands_the_row_of_all_stands_with_zeros():
    row = the_only(build()["met_command_outcomes"])

    assert row["command"] == "(all)"
    assert {row[name] for name in row if name.startswith("number_")} == {0}
    assert row["confirmation_rate"] is row["p50_seconds_to_confirmation"] is None


def test_percentiles_are_the_nearest_rank_of_confirmed_commands():
    waits = [4.0, 1.0, 3.0, 2.0]
    events = [
        event
        for number, wait in enumerate(waits)
        for event in (
            command(str(number), at=number * 60),
            result(str(number)),
            reading(str(number), at=number * 60 + wait),
        )
    ]
    unanswered = [command("none", at=600), reading("none", at=600.5)]
    rows = {row["command"]: row for row in build(*events, *unanswered)["met_command_outcomes"]}

    assert list(rows) == ["LockedState", "(all)"]
    assert rows["(all)"]["p50_seconds_to_confirmation"] == 2.0
    assert rows["(all)"]["p95_seconds_to_confirmation"] == 4.0
    assert rows["(all)"]["confirmation_rate"] == 1.0
    assert rows["(all)"]["number_of_commands"] == 5


@pytest.mark.parametrize(("number", "rank"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95)])
def test_the_rank_is_rounded_up_without_rounding_errors(number, rank):
    assert reference.nearest_rank(95, [float(each) for each in range(1, number + 1)]) == rank


def test_columns_come_in_the_contract_s_order():
    built = build(command("c"), users=[raw_user()])

    assert list(built["fct_command_statuses"][0])[12:16] == [
        "dimmer_level",
        "user_id",
        "command_timestamp",
        "active_timestamp",
    ]
    assert list(built["fct_command_readings"][0])[:33] == list(built["fct_command_statuses"][0])
    assert list(built["dim_users"][0]) == [
        "user_id",
        "username",
        "date_registered",
        "last_modified",
    ]
