from __future__ import annotations

import pyarrow as pa
from conftest import NOON, after, command, event_types, raw_event, reading


def test_the_events_of_six_dispositions_are_here_and_no_others(built):
    rows = built(
        raw_event("Command", "{", _source_file="malformed_json"),
        reading("r", MapUniqueName="", _source_file="missing_device_id"),
        reading("r", DateCreated=None, _source_file="missing_update_timestamp"),
        command("", _source_file="missing_command_uuid"),
        command("c", None, _source_file="missing_desired_state"),
        reading("r", None, _source_file="missing_state"),
        raw_event("Other", None),
        raw_event("Command", None, EventType="map_item_removed"),
        command("staged"),
        command("staged", at=1),
    )["quarantined_events"]

    assert len(rows) == 6
    assert all(row["disposition"] == row["_source_file"] for row in rows)


def test_a_quarantined_event_is_shown_as_it_came(built):
    raw = raw_event("Command", "no json", DateCreated=after(1), MapRevision="0a", ItemRevision="b")

    assert built(raw)["quarantined_events"] == [
        {
            "event_type": "map_item_updated",
            "update_timestamp": after(1),
            "map_revision": "0a",
            "item_key": "Command",
            "item_revision": "b",
            "twilio_sync_endpoint_id": "endpoint",
            "item_data": "no json",
            "device_id": "device",
            "_source_file": "file-1",
            "_raw_date_created": None,
            "disposition": "malformed_json",
        }
    ]


def test_equal_rows_are_quarantined_each(built):
    assert len(built(*[raw_event("Command", None)] * 3)["quarantined_events"]) == 3


def test_a_date_that_is_none_is_shown_as_it_came(built):
    rows = built(
        reading("r", DateCreated="2022-02-30T00:00:00Z"),
        reading("r", None, DateCreated="2022-01-01T12:00:00Z"),
        events_as=event_types(DateCreated=pa.string()),
    )["quarantined_events"]

    assert {
        row["disposition"]: (row["_raw_date_created"], row["update_timestamp"]) for row in rows
    } == {
        "missing_update_timestamp": ("2022-02-30T00:00:00Z", None),
        "missing_state": (None, NOON),
    }
