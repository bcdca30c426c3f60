from __future__ import annotations

import pytest
from conftest import NOON, after, command, raw_event

STATES = (
    *("thermostat_heat_set_point", "thermostat_cool_set_point", "thermostat_mode", "slot", "pin"),
    *("switch_state", "dimmer_state", "dimmer_level", "lock_state"),
)


def staged(built, *events):
    rows = built(*events)["stg_commands"]
    return {row["command_uuid"]: row for row in rows}


def item(**members):
    return raw_event("Command", {"desired_state": ["LockedState", "locked"]} | members)


@pytest.mark.parametrize(
    ("desired", "states"),
    [
        (["LockedState", "locked"], {"lock_state": "locked"}),
        (["LockedState", "UNLOCKED", "x"], {"lock_state": "unlocked"}),
        (["SwitchState", "On"], {"switch_state": "on"}),
        (["SwitchState", True], {"switch_state": "true"}),
        (["ThermostatMode", "SetToCool"], {"thermostat_mode": "settocool"}),
        (["ThermostatHeatSetPoint", 68], {"thermostat_heat_set_point": "68"}),
        (["ThermostatHeatSetPoint", 68.0], {"thermostat_heat_set_point": "68.0"}),
        (["ThermostatCoolSetPoint", "72.5"], {"thermostat_cool_set_point": "72.5"}),
        (["ThermostatCoolSetPoint", "7E1"], {"thermostat_cool_set_point": "7E1"}),
        (["PinAssignment", 3, "0123"], {"slot": "3", "pin": "0123"}),
        (["PinAssignment", "3", None], {"slot": "3", "pin": None}),
        (["PinAssignment", "None", "None"], {"slot": "None", "pin": "None"}),
        (["PinAssignment"], {}),
        (
            ["DimmerState", "Multilevel On", 40],
            {"dimmer_state": "Multilevel On", "dimmer_level": "40"},
        ),
        (["DimmerState", "Multilevel OFF"], {"dimmer_state": "Multilevel OFF"}),
        (["LockedState"], {}),
        (["LockedState", None], {}),
        (["LockedState", ["locked"]], {}),
        (["LockedState", {"to": "locked"}], {}),
        (["LockedState", ""], {"lock_state": ""}),
        (["Reboot", "now", 7], {}),
        (["lockedstate", "locked"], {}),
    ],
    ids=str,
)
def test_only_the_columns_of_the_command_say_what_was_asked(built, desired, states):
    row = staged(built, command("c", *desired))["c"]

    assert row["command"] == desired[0]
    assert {name: row[name] for name in STATES} == dict.fromkeys(STATES) | states


def test_desired_state_is_kept_as_json_without_white_space_outside_its_texts(built):
    text = '{"uuid": "c", "desired_state": [ "PinAssignment" ,\n3, "a b", {"k": [1, null, 7.0]} ]}'

    row = staged(built, raw_event("Command", text))["c"]

    assert row["_raw_command_desired_state"] == '["PinAssignment",3,"a b",{"k":[1,null,7.0]}]'


@pytest.mark.parametrize(
    ("ids", "command_uuid"),
    [
        ({"command_id": "a", "uuid": "b"}, "a"),
        ({"command_id": "", "uuid": "b"}, "b"),
        ({"command_id": None, "uuid": "b"}, "b"),
        ({"command_id": ["a"], "uuid": "b"}, "b"),
        ({"uuid": "b"}, "b"),
        ({"command_id": "a", "uuid": ""}, "a"),
        ({"command_id": 7}, "7"),
        ({"uuid": " "}, " "),
    ],
    ids=str,
)
def test_the_id_is_the_first_that_is_not_empty_of_command_id_and_uuid(built, ids, command_uuid):
    assert list(staged(built, item(**ids))) == [command_uuid]


@pytest.mark.parametrize(
    ("members", "user_id"),
    [
        ({"user": "7"}, "7"),
        ({"user": 7}, "7"),
        ({"user": 7.0}, "7.0"),
        ({"user": ""}, None),
        ({"user": None}, None),
        ({"user": {"id": 7}}, None),
        ({}, None),
    ],
    ids=str,
)
def test_an_empty_user_is_no_user(built, members, user_id):
    assert staged(built, item(uuid="c", **members))["c"]["user_id"] == user_id


def test_who_asked_from_where_and_when_is_carried_through(built):
    event = item(
        uuid="c",
        client="ios",
        origin="",
        origin_id=7.0,
        timestamp="2022-01-01T13:00:00+01:00",
    ) | {"DateCreated": after(1), "MapRevision": "0a", "MapUniqueName": "d", "_source_file": "f"}

    row = staged(built, event)["c"]

    expected = {
        "command_client": "ios",
        "command_origin": "",
        "command_origin_id": "7.0",
        "update_timestamp": after(1),
        "event_timestamp": NOON,
        "device_id": "d",
        "map_revision": "0a",
        "_uid": "d_0a_2022-01-01 12:00:01.000000+00",
        "_source_file": "f",
    }
    assert {name: row[name] for name in expected} == expected


def test_of_copies_the_earliest_is_kept_whatever_its_device(built):
    rows = staged(
        built,
        command("c", "LockedState", "unlocked", at=1, MapUniqueName="a"),
        command("c", "LockedState", "locked", MapUniqueName="b"),
        command("C"),
    )

    assert sorted(rows) == ["C", "c"]
    assert rows["c"]["device_id"] == "b"
    assert rows["c"]["lock_state"] == "locked"


def test_a_faulty_copy_does_not_take_the_place_of_a_sound_one(built):
    rows = staged(built, command("c", None, at=-1), command("c"))

    assert rows["c"]["update_timestamp"] == NOON


def test_a_command_an_active_and_a_result_of_one_id_are_no_copies(built):
    models = built(
        command("c"),
        raw_event("CommandActive", {"uuid": "c"}),
        raw_event("CommandResult", {"uuid": "c"}),
        raw_event("DoorLocked", {"uuid": "c", "state": "true"}),
    )

    names = ("stg_commands", "stg_command_actives", "stg_command_results", "stg_readings")
    assert [len(models[name]) for name in names] == [1, 1, 1, 1]
