from __future__ import annotations

import pytest
from conftest import after, command, raw_event, reading, result
from stories import story

from pipeline.rules.dispositions import EVENT_DISPOSITIONS

REASONS = {each.name: each.reason for each in EVENT_DISPOSITIONS}
LATER = {"DateCreated": after(1), "MapRevision": "0", "_source_file": "a"}


def test_an_event_that_came_once_is_kept(built):
    (event,) = story(built(command("c")), "c").events

    assert (event.is_kept, event.reason) == (True, "kept, the only copy")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({}, LATER, "it was recorded later than the kept copy"),
        (
            {"MapRevision": "a"},
            {"MapRevision": "10", "_source_file": "a"},
            "it has a higher map_revision (in hex order) than the kept copy (10, kept a)",
        ),
        (
            {"MapRevision": "a"},
            {"MapRevision": None},
            "it has a higher map_revision (in hex order) than the kept copy (NULL, kept a)",
        ),
        (
            {},
            {"_source_file": "file-2", "MapUniqueName": "a"},
            "it has a _source_file that sorts later than the kept copy (file-2, kept file-1)",
        ),
        (
            {"ItemData": '{"uuid": "c", "desired_state": ["PinAssignment", 1, 1111]}'},
            {"ItemData": '{"uuid": "c", "desired_state": ["PinAssignment", 1, 2222]}'},
            "it sorts later by desired_state than the kept copy",
        ),
        (
            {"ItemData": '{"uuid": "c", "desired_state": ["Reboot"], "client": "ios", "a": 1}'},
            {"ItemData": '{"uuid": "c", "desired_state": ["Reboot"], "origin": "app"}'},
            "it sorts later by client than the kept copy (NULL, kept ios)",
        ),
        (
            {},
            {"MapUniqueName": "other"},
            "it sorts later by device_id than the kept copy (other, kept device)",
        ),
        ({}, {}, "it equals the kept copy"),
    ],
    ids=["time", "revision", "no revision", "file", "pin", "client", "device", "equal"],
)
def test_a_later_copy_says_what_decided_against_it(built, first, second, reason):
    found = story(built(command("c", **second), command("c", **first)), "c")

    kept = [event.reason for event in found.events if event.is_kept]
    others = [event.reason for event in found.events if not event.is_kept]
    assert (kept, others) == (["kept, the first of 2 copies"], [f"not kept: {reason}"])


def test_each_kind_of_item_keeps_a_copy_of_its_own(built):
    events = story(built(command("c"), result("c"), result("c", at=3)), "c").events

    assert [(event.item_key, event.is_kept) for event in events] == [
        ("Command", True),
        ("CommandResult", True),
        ("CommandResult", False),
    ]


@pytest.mark.parametrize(
    ("event", "disposition"),
    [
        (result("c", EventType="map_item_removed"), "removed"),
        (result("c", ItemKey="HubHeartbeat"), "out_of_scope"),
        (result("c", MapUniqueName=""), "missing_device_id"),
        (result("c", DateCreated=None), "missing_update_timestamp"),
        (raw_event("Command", {"uuid": "c"}), "missing_desired_state"),
        (raw_event("DoorLocked", {"uuid": "c"}), "missing_state"),
        (raw_event("CommandResult", '{"uuid": "c", "result": tr'), "malformed_json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_that_is_not_used_says_why(built, event, disposition):
    found = story(built(command("c", at=-1), event), "c").events[-1]

    assert not found.is_kept
    assert found.reason == f"not used, {disposition}: {REASONS[disposition]}"


def test_a_copy_that_is_not_used_competes_with_none(built):
    events = story(built(command("c"), command("c", at=-1, MapUniqueName=None)), "c").events

    assert [event.reason for event in events][1] == "kept, the only copy"


def test_broken_json_that_only_holds_a_longer_id_is_another_event(built):
    broken = raw_event("CommandResult", '{"uuid": "cc", "result": tr')

    assert len(story(built(command("c"), broken), "c").events) == 1


def test_events_are_told_by_time_those_without_one_last(built):
    events = [result("c", at=5), result("c", DateCreated=None), command("c", at=1)]

    found = story(built(*events), "c").events

    assert [event.update_timestamp for event in found] == [after(1), after(5), None]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (command("c"), "asks for LockedState"),
        (raw_event("CommandActive", {"uuid": "c", "node_id": 7}), "(Z-Wave node 7)"),
        (result("c", "success"), "the hub answers `success`"),
        (
            raw_event("CommandResult", {"uuid": "c", "failure_string": "jammed"}),
            "the hub answers without a result: jammed",
        ),
        (reading("c", "false"), "reports false"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_says_what_it_tells(built, event, says):
    (found,) = story(built(event), "c").events

    assert says in found.says
