from __future__ import annotations

import math

import pytest
from conftest import command, reading, result

COUNTS = (
    *("number_of_commands", "number_with_hub_response", "number_hub_success"),
    *("number_hub_success_with_expected_reading", "number_hub_success_with_matching_reading"),
    *("number_hub_success_confirmed", "number_window_shared"),
)


def outcomes(built, *events):
    return {row["command"]: row for row in built(*events)["met_command_outcomes"]}


def counts(row):
    return [row[name] for name in COUNTS]


def story(uuid, at, answer=None, state=None, wait=1.0):
    """A command far from all others, with the hub's answer and a reading, if there are any."""
    events = [command(uuid, at=at)]
    if answer is not None:
        events.append(result(uuid, answer))
    if state is not None:
        events.append(reading(uuid, state, at=at + wait))
    return events


def test_each_kind_of_command_has_a_row_and_all_have_one(built):
    rows = outcomes(built, command("a"), command("b", "Reboot"), command("c", "Reboot"))

    assert {name: row["number_of_commands"] for name, row in rows.items()} == {
        "LockedState": 1,
        "Reboot": 2,
        "(all)": 3,
    }


def test_each_count_needs_one_thing_more(built):
    row = outcomes(
        built,
        *story("silent", 0),
        *story("failed", 100, False, "true"),
        *story("success", 200, True),
        *story("expected", 300, True, "false"),
        *story("confirmed", 400, True, "true"),
        *story("observed", 500, None, "true"),
        # a reading matches the first command but is attributed to the second
        command("matched", at=600),
        command("shared", at=601),
        result("matched"),
        reading("r", at=602),
    )["(all)"]

    assert counts(row) == [8, 5, 4, 3, 2, 1, 2]
    assert row["confirmation_rate"] == 1 / 4


def test_without_hub_successes_there_is_no_rate(built):
    row = outcomes(built, *story("c", 0, False, "true"))["LockedState"]

    assert row["confirmation_rate"] is None


def test_without_confirmations_the_rate_is_0_and_no_time_is_known(built):
    row = outcomes(built, *story("c", 0, True), *story("o", 100, None, "true"))["LockedState"]

    assert row["confirmation_rate"] == 0.0
    assert row["p50_seconds_to_confirmation"] is None
    assert row["p95_seconds_to_confirmation"] is None


@pytest.mark.parametrize("number", [1, 2, 3, 19, 20, 21])
def test_percentiles_are_the_values_of_the_nearest_rank(built, number):
    waits = [0.5 * n for n in range(1, number + 1)]
    events = [
        event
        for i, wait in enumerate(waits)
        for event in story(f"c{i}", 100 * i, True, "true", wait)
    ]

    row = outcomes(built, *events)["LockedState"]

    assert row["p50_seconds_to_confirmation"] == waits[math.ceil(0.5 * number) - 1]
    assert row["p95_seconds_to_confirmation"] == waits[math.ceil(0.95 * number) - 1]


def test_equal_times_count_each_for_the_percentiles(built):
    waits = [1, 1, 1, 9]
    events = [
        event
        for i, wait in enumerate(waits)
        for event in story(f"c{i}", 100 * i, True, "true", wait)
    ]

    row = outcomes(built, *events)["(all)"]

    assert row["p50_seconds_to_confirmation"] == 1.0
    assert row["p95_seconds_to_confirmation"] == 9.0


def test_only_confirmed_commands_say_how_long_it_takes(built):
    row = outcomes(
        built,
        *story("confirmed", 0, True, "true", wait=9.0),
        *story("observed", 100, None, "true", wait=1.0),
        *story("contradicted", 200, False, "true", wait=1.0),
    )["LockedState"]

    assert row["p50_seconds_to_confirmation"] == 9.0


def test_with_no_commands_at_all_the_row_of_all_stands_with_zeros(built):
    rows = outcomes(built)

    assert list(rows) == ["(all)"]
    assert counts(rows["(all)"]) == [0] * 7
    assert rows["(all)"]["confirmation_rate"] is None
    assert rows["(all)"]["p50_seconds_to_confirmation"] is None
