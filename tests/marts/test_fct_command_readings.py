from __future__ import annotations

import pytest
from conftest import command, reading, result


def by_uuid(built, *events):
    return {row["command_uuid"]: row for row in built(*events)["fct_command_readings"]}


def attributed(row):
    return [each["reading_uuid"] for each in row["readings"] if each["is_attributed"]]


def test_a_reading_that_says_what_was_asked_confirms_the_command(built):
    row = by_uuid(built, command("c"), result("c"), reading("r", at=2.5))["c"]

    assert row["outcome"] == "confirmed"
    assert row["seconds_to_first_matching_reading"] == 2.5
    assert row["readings"][0]["matches_desired_state"]


@pytest.mark.parametrize(
    ("at", "number"),
    [(0, 1), (15, 1), (15.000001, 0), (-0.000001, 0)],
    ids=["at the command", "exactly 15 s later", "a microsecond too late", "a microsecond before"],
)
def test_the_window_is_from_the_command_to_15_seconds_later(built, at, number):
    row = by_uuid(built, command("c"), reading("r", at=at))["c"]

    assert row["reading_count"] == number


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
