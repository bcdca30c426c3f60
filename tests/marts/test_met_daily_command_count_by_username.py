from __future__ import annotations

import datetime as dt

import pyarrow as pa
from conftest import NOON, command, raw_event, raw_user, result

from pipeline.marts import met_daily_command_count_by_username

DAY = 86_400
MIDNIGHT = NOON.replace(hour=0)


def by(user, uuid, at=0.0, **item):
    """A command of a user."""
    members = {"uuid": uuid, "user": user, "desired_state": ["Reboot"]} | item
    return command(uuid, at=at) | {"ItemData": raw_event(item=members)["ItemData"]}


def counts(built, *events, users=()):
    rows = built(*events, users=users)["met_daily_command_count_by_username"]
    found = {
        (row["username"], (row["timestamp_date"] - MIDNIGHT).days): row["number_of_commands"]
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def test_every_username_has_every_day_from_the_first_to_the_last_of_all(built):
    found = counts(
        built,
        by(1, "a"),
        by(1, "b", at=DAY),
        by(2, "c", at=3 * DAY),
        by(2, "d", at=3 * DAY + 1),
        users=[raw_user(1, username="ann"), raw_user(2, username="bob"), raw_user(3, username="x")],
    )

    assert found == {
        **{("ann", 0): 1, ("ann", 1): 1, ("ann", 2): 0, ("ann", 3): 0},
        **{("bob", 0): 0, ("bob", 1): 0, ("bob", 2): 0, ("bob", 3): 2},
    }


def test_commands_of_nobody_and_of_strangers_have_names_of_their_own(built):
    found = counts(built, by("", "a"), by(None, "b"), by("8", "c"), users=[raw_user(7)])

    assert found == {("(no user)", 0): 2, ("(unknown user)", 0): 1}


def test_a_user_is_found_as_equal_text(built):
    found = counts(built, by(7, "a"), by("7", "b"), by("07", "c"), users=[raw_user(7)])

    assert found == {("ann", 0): 2, ("(unknown user)", 0): 1}


def test_users_of_one_name_are_counted_together(built):
    found = counts(built, by(1, "a"), by(2, "b"), users=[raw_user(1), raw_user(2)])

    assert found == {("ann", 0): 2}


def test_a_day_is_a_day_in_utc_of_when_the_command_was_recorded(built):
    last = (MIDNIGHT - NOON).total_seconds() + DAY - 1e-6

    found = counts(
        built,
        by(7, "a", at=last, timestamp="2021-01-01T00:00:00Z"),
        by(7, "b", at=last + 1e-6),
        users=[raw_user()],
    )

    assert found == {("ann", 0): 1, ("ann", 1): 1}


def test_successes_are_counted_beside(built):
    (row,) = built(by(7, "a"), by(7, "b"), by(7, "c"), result("a"), result("b", False))[
        "met_daily_command_count_by_username"
    ]

    assert row == {
        "username": "(unknown user)",
        "timestamp_date": MIDNIGHT,
        "number_of_commands": 3,
        "number_of_successful_commands": 1,
    }


def test_without_commands_there_is_no_row(built):
    assert counts(built, users=[raw_user()]) == {}


def test_the_last_day_of_all_is_counted_too(evaluate):
    days = [dt.date(9999, 12, 30), dt.date(9999, 12, 31)]
    commands = pa.table(
        {"user_id": ["7", "7"], "command_date": days, "is_hub_success": [True, False]}
    )

    def daily(table):
        users = table.select("user_id", username="user_id")
        return met_daily_command_count_by_username(table, users.distinct())

    found = {
        row["timestamp_date"].date(): row["number_of_commands"] for row in evaluate(daily, commands)
    }

    assert found == dict.fromkeys(days, 1)
