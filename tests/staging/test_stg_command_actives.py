from __future__ import annotations

from conftest import NOON, after, raw_event


def active(at=0.0, **members):
    return raw_event("CommandActive", members, DateCreated=after(at))


def test_a_pick_up_says_which_command_node_and_when(built):
    (row,) = built(active(at=1, uuid="c", node_id=7, timestamp="2022-01-01T12:00:00Z"))[
        "stg_command_actives"
    ]

    assert row == {
        "command_uuid": "c",
        "command_node_id": "7",
        "update_timestamp": after(1),
        "event_timestamp": NOON,
        "device_id": "device",
        "map_revision": "1",
        "_uid": "device_1_2022-01-01 12:00:01.000000+00",
        "_source_file": "file-1",
    }


def test_of_copies_the_earliest_is_kept(built):
    rows = built(
        active(at=2, uuid="c", node_id="late"),
        active(at=1, command_id="c", uuid="x", node_id="early"),
        active(at=0, uuid="other", node_id="other"),
    )["stg_command_actives"]

    assert {row["command_uuid"]: row["command_node_id"] for row in rows} == {
        "c": "early",
        "other": "other",
    }
