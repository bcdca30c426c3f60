from __future__ import annotations

from collections import Counter

from conftest import after, command, raw_event, raw_user, reading, result


def audit(built, *events, users=()):
    rows = built(*events, users=users)["audit_dispositions"]
    found = {
        (row["source"], row["item_key"], row["disposition"]): row["number_of_rows"] for row in rows
    }
    assert len(found) == len(rows)
    return found


def test_raw_events_are_counted_by_key_and_disposition(built):
    found = audit(
        built,
        command("c"),
        command("d"),
        raw_event("Command", None),
        raw_event("CommandActive", {"uuid": "c"}),
        result("c"),
        reading("r"),
        reading("r", item_key="Switch"),
        reading("x", None),
        raw_event(None, None),
        raw_event("Other", None),
        raw_event("", None),
        raw_event("Other", None, EventType="map_item_removed"),
    )

    assert found == {
        ("raw_sync_events", "Command", "staged"): 2,
        ("raw_sync_events", "Command", "malformed_json"): 1,
        ("raw_sync_events", "CommandActive", "staged"): 1,
        ("raw_sync_events", "CommandResult", "staged"): 1,
        ("raw_sync_events", "DoorLocked", "staged"): 1,
        ("raw_sync_events", "DoorLocked", "missing_state"): 1,
        ("raw_sync_events", "Switch", "staged"): 1,
        ("raw_sync_events", None, "out_of_scope"): 1,
        ("raw_sync_events", "Other", "out_of_scope"): 1,
        ("raw_sync_events", "", "out_of_scope"): 1,
        ("raw_sync_events", "Other", "removed"): 1,
    }


def test_later_copies_are_duplicates(built):
    found = audit(
        built,
        *[command("c", at=at) for at in range(3)],
        *[reading("r", at=at) for at in range(2)],
        reading("r", MapUniqueName="other"),
    )

    assert found == {
        ("raw_sync_events", "Command", "staged"): 1,
        ("raw_sync_events", "Command", "duplicate"): 2,
        ("raw_sync_events", "DoorLocked", "staged"): 2,
        ("raw_sync_events", "DoorLocked", "duplicate"): 1,
    }


def test_a_copy_that_can_not_be_staged_is_what_it_is_and_no_duplicate(built):
    found = audit(
        built, command("c"), command("c", None), command("c", EventType="map_item_removed")
    )

    assert found == {
        ("raw_sync_events", "Command", "staged"): 1,
        ("raw_sync_events", "Command", "missing_desired_state"): 1,
        ("raw_sync_events", "Command", "removed"): 1,
    }


def test_raw_users_are_counted_without_a_key(built):
    found = audit(
        built,
        users=[
            *(raw_user(), raw_user(last_modified=after(1)), raw_user(8)),
            *(raw_user(None), raw_user(username=""), raw_user(dateRegistered=None)),
            *(raw_user(last_modified=None), raw_user(last_modified=None)),
        ],
    )

    assert found == {
        ("raw_users", None, "staged"): 2,
        ("raw_users", None, "duplicate"): 1,
        ("raw_users", None, "missing_user_id"): 1,
        ("raw_users", None, "missing_username"): 1,
        ("raw_users", None, "invalid_date_registered"): 1,
        ("raw_users", None, "invalid_last_modified"): 2,
    }


def test_what_there_is_none_of_has_no_row(built):
    assert audit(built, users=[raw_user()]) == {("raw_users", None, "staged"): 1}


def test_the_counts_of_a_source_add_up_to_its_rows(built):
    events = [command("c"), command("c"), command(""), reading("r"), raw_event(None, None)]
    users = [raw_user(), raw_user(), raw_user(None)]

    sums = Counter()
    for (source, _, _), rows in audit(built, *events, users=users).items():
        sums[source] += rows

    assert sums == {"raw_sync_events": 5, "raw_users": 3}


def test_without_rows_there_is_nothing_to_account_for(built):
    assert audit(built) == {}
