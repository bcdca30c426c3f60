from __future__ import annotations

import datetime as dt

from conftest import NOON, after, command, raw_event, result


def statuses(built, *events):
    return {row["command_uuid"]: row for row in built(*events)["fct_command_statuses"]}


def item(key, at, **members):
    """An event of the command `c` that states a time of its own, a minute before."""
    stated = (after(at) - dt.timedelta(minutes=1)).isoformat()
    desired = {"desired_state": ["LockedState", "locked"]} if key == "Command" else {}
    return raw_event(
        key,
        {"uuid": "c", "timestamp": stated} | desired | members,
        DateCreated=after(at),
        MapRevision=str(at),
    )


def test_a_command_is_told_with_its_pick_up_and_its_answer(built):
    row = statuses(
        built,
        item("Command", 1, client="ios", user=7, origin="app", origin_id="o"),
        item("CommandActive", 2, node_id="n2"),
        item("CommandResult", 3, node_id="n3", result=True, failure_string=""),
    )["c"]

    minute = dt.timedelta(minutes=1)
    assert row == {
        "command_uuid": "c",
        "device_id": "device",
        "command": "LockedState",
        "command_client": "ios",
        "thermostat_heat_set_point": None,
        "thermostat_cool_set_point": None,
        "thermostat_mode": None,
        "slot": None,
        "pin": None,
        "switch_state": None,
        "lock_state": "locked",
        "dimmer_state": None,
        "dimmer_level": None,
        "user_id": "7",
        "command_timestamp": after(1) - minute,
        "active_timestamp": after(2) - minute,
        "result_timestamp": after(3) - minute,
        "command_active_node_id": "n2",
        "command_result_node_id": "n3",
        "is_hub_success": True,
        "has_hub_response": True,
        "command_failure_string": "",
        "command_update_timestamp": after(1),
        "command_map_revision": "1",
        "active_update_timestamp": after(2),
        "result_update_timestamp": after(3),
        "command_origin": "app",
        "command_origin_id": "o",
        "_raw_command_desired_state": '["LockedState","locked"]',
        "_command_uid": "device_1_2022-01-01 12:00:01.000000+00",
        "_command_active_uid": "device_2_2022-01-01 12:00:02.000000+00",
        "_command_result_uid": "device_3_2022-01-01 12:00:03.000000+00",
        "command_date": NOON.date(),
    }


def test_a_command_alone_is_no_success_and_has_no_response(built):
    row = statuses(built, command("c"))["c"]

    assert (row["is_hub_success"], row["has_hub_response"]) == (False, False)
    told_by_others = [name for name in row if "active" in name or "result" in name]
    assert len(told_by_others) == 8
    assert not any(row[name] for name in told_by_others)


def test_a_failure_is_a_response(built):
    row = statuses(built, command("c"), result("c", False))["c"]

    assert (row["is_hub_success"], row["has_hub_response"]) == (False, True)


def test_the_id_alone_joins_whatever_device_or_time(built):
    row = statuses(
        built,
        command("c"),
        raw_event("CommandActive", {"uuid": "c"}, MapUniqueName="other"),
        result("c", at=-86_400, MapUniqueName="third"),
    )["c"]

    assert row["device_id"] == "device"
    assert row["_command_active_uid"].startswith("other_")
    assert row["_command_result_uid"].startswith("third_")


def test_there_are_as_many_rows_as_commands(built):
    found = statuses(
        built, command("a"), command("a", at=1), command("b"), result("c"), result("C")
    )

    assert sorted(found) == ["a", "b"]


def test_the_date_is_the_day_in_utc_of_the_records_time(built):
    midnight = NOON.replace(hour=0) - NOON

    rows = statuses(
        built,
        command("before", at=midnight.total_seconds() - 1e-6),
        command("at", at=midnight.total_seconds()),
    )

    assert rows["before"]["command_date"] == dt.date(2021, 12, 31)
    assert rows["at"]["command_date"] == dt.date(2022, 1, 1)
