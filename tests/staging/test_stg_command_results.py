from __future__ import annotations

import pytest
from conftest import NOON, after, raw_event, result


def staged(built, *events):
    return {row["command_uuid"]: row for row in built(*events)["stg_command_results"]}


def test_success_is_the_whole_word_true_or_success_in_any_case(built):
    cases = [
        (True, True),
        ("true", True),
        ("TRUE", True),
        ("success", True),
        ("Success", True),
        ("command success.", True),
        ("it-is-true", True),
        (False, False),
        ("false", False),
        ("unsuccessful", False),
        ("successful", False),
        ("success_", False),
        ("untrue", False),
        ("", False),
        (1, False),
        (None, False),
        ({"value": True}, False),
        (["true"], False),
    ]

    rows = staged(built, *(result(str(i), said) for i, (said, _) in enumerate(cases)))

    found = [(said, rows[str(i)]["is_hub_success"]) for i, (said, _) in enumerate(cases)]
    assert found == cases


def test_without_a_result_there_is_no_success(built):
    row = staged(built, raw_event("CommandResult", {"uuid": "c"}))["c"]

    assert row["is_hub_success"] is False


def test_an_answer_says_which_command_why_and_when(built):
    item = {
        "command_id": "c",
        "node_id": "7",
        "result": False,
        "failure_string": "no ack",
        "timestamp": "2022-01-01T12:00:00Z",
    }

    row = staged(built, raw_event("CommandResult", item, DateCreated=after(1)))["c"]

    assert row == {
        "command_uuid": "c",
        "is_hub_success": False,
        "command_failure_string": "no ack",
        "command_node_id": "7",
        "update_timestamp": after(1),
        "event_timestamp": NOON,
        "device_id": "device",
        "map_revision": "1",
        "_uid": "device_1_2022-01-01 12:00:01.000000+00",
        "_source_file": "file-1",
    }


@pytest.mark.parametrize("first", [True, False])
def test_of_two_answers_the_earliest_counts(built, first):
    rows = staged(built, result("c", not first, at=2), result("c", first, at=1))

    assert rows["c"]["is_hub_success"] is first
