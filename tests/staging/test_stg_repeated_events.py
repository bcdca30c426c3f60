from __future__ import annotations

from conftest import command, raw_event, reading


def test_only_what_came_more_than_once_is_here_as_the_copy_that_is_kept(built):
    rows = built(
        command("once"),
        command("twice", at=1),
        command("twice", at=0, MapRevision="f"),
        command("twice", at=0, MapRevision="10"),
    )["stg_repeated_events"]

    assert [(row["item_uuid"], row["map_revision"]) for row in rows] == [("twice", "f")]


def test_the_copies_of_an_event_are_counted(built):
    rows = built(
        *[reading("r", at=at) for at in range(3)],
        *[reading("r", at=at, MapUniqueName="other") for at in range(2)],
        command("c"),
    )["stg_repeated_events"]

    assert {row["device_id"]: row["copies"] for row in rows} == {"device": 3, "other": 2}


def test_copies_that_can_not_be_staged_do_not_count(built):
    rows = built(reading("r"), reading("r", None), reading("r", EventType="map_item_removed"))[
        "stg_repeated_events"
    ]

    assert rows == []


def test_a_reading_repeats_on_its_device_alone_and_a_command_on_any(built):
    def on(device, key):
        return raw_event(
            key, {"uuid": "x", "state": 1, "desired_state": ["Reboot"]}, MapUniqueName=device
        )

    rows = built(on("a", "Switch"), on("b", "Switch"), on("a", "Command"), on("b", "Command"))[
        "stg_repeated_events"
    ]

    assert [(row["item_key"], row["device_id"]) for row in rows] == [("Command", "a")]
