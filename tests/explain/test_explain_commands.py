from __future__ import annotations

import datetime as dt

import pytest
from conftest import command, raw_user, reading, result
from stories import story

LOCKED, UNLOCKED = "true", "false"


@pytest.mark.parametrize(
    ("events", "outcome", "why"),
    [
        (
            [result("c"), reading("r")],
            "confirmed",
            "The hub answered with success, and the command's own DoorLocked reading shows the"
            " asked state, 2.000 s after it.",
        ),
        (
            [result("c"), reading("r", UNLOCKED)],
            "unconfirmed",
            "The hub answered with success, but no DoorLocked reading in the 15 s after it shows"
            " the asked state.",
        ),
        (
            [result("c", False)],
            "failed",
            "The hub answered with failure, and the device reported nothing in the 15 s after it.",
        ),
        (
            [result("c", False), reading("r")],
            "contradicted",
            "The hub answered with failure, and yet the command's own DoorLocked reading shows the"
            " asked state, 2.000 s after it.",
        ),
        (
            [reading("r")],
            "observed",
            "The hub never answered, and yet the command's own DoorLocked reading shows the"
            " asked state, 2.000 s after it.",
        ),
        (
            [reading("r", item_key="Humidity")],
            "no_response",
            "The hub never answered, and none of the device's 1 readings in the 15 s after it is"
            " a DoorLocked.",
        ),
        (
            [result("c"), command("later", at=1), reading("r")],
            "unconfirmed",
            "The hub answered with success, but the DoorLocked readings in the 15 s after it that"
            " show the asked state belong to a later command.",
        ),
    ],
    ids=["confirmed", "unconfirmed", "failed", "contradicted", "observed", "none", "superseded"],
)
def test_the_outcome_says_why(built, events, outcome, why):
    found = story(built(command("c"), *events), "c")

    assert (found.outcome, found.why) == (outcome, why)


def test_no_reading_can_confirm_a_pin(built):
    found = story(built(command("c", "PinAssignment", 1, "1234"), result("c")), "c")

    assert found.why == (
        "The hub answered with success, but no kind of reading shows the effect of a PinAssignment."
    )


@pytest.mark.parametrize(
    ("desired", "words"),
    [
        (("LockedState", "locked"), "LockedState locked"),
        (("DimmerState", "Multilevel On", 80), "DimmerState Multilevel On, 80"),
        (("ThermostatHeatSetPoint", "72.5"), "ThermostatHeatSetPoint 72.5"),
        (("PinAssignment", 3, "1234"), "PinAssignment slot 3, pin ***"),
        (("PinAssignment", 3, None), "PinAssignment slot 3"),
        (("Reboot",), "Reboot"),
    ],
)
def test_what_was_asked_is_told_in_words(built, desired, words):
    assert story(built(command("c", *desired)), "c").asked == words


@pytest.mark.parametrize(
    ("at", "desired", "relation"),
    [
        (15, ("LockedState", "unlocked"), "the same kind of command again: it supersedes this one"),
        (-1, ("LockedState", "locked"), "the same kind of command before: this one supersedes it"),
        (0, ("SwitchState", "on"), "another command at most 15 s away: it shares the window"),
    ],
)
def test_a_command_nearby_says_what_it_is_to_this_one(built, at, desired, relation):
    (other,) = story(built(command("c"), command("other", *desired, at=at)), "c").neighbours

    assert (other.command_uuid, other.seconds, other.relation) == ("other", at, relation)


def test_of_two_commands_at_one_time_the_later_revision_supersedes(built):
    models = built(command("c", MapRevision="10"), command("d", MapRevision="a"))

    assert "it supersedes" in story(models, "d").neighbours[0].relation
    assert "this one supersedes" in story(models, "c").neighbours[0].relation


@pytest.mark.parametrize("other", [{"at": 15.000001}, {"MapUniqueName": "other"}])
def test_a_command_farther_away_is_no_neighbour(built, other):
    assert story(built(command("c"), command("other", **other)), "c").neighbours == ()


def test_neighbours_are_found_over_midnight(built):
    midnight = 12 * 3600
    models = built(command("c", at=midnight - 1), command("d", at=midnight + 1))

    assert [len(story(models, uuid).neighbours) for uuid in ("c", "d")] == [1, 1]


@pytest.mark.parametrize("day", [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59)])
def test_the_calendar_may_end_at_a_command(built, day):
    time = day.replace(tzinfo=dt.UTC)

    assert story(built(command("c", DateCreated=time)), "c").found


def test_the_user_is_told_by_name(built):
    user = command("c", ItemData='{"uuid":"c","user":7,"desired_state":["Reboot"]}')

    named = story(built(user, users=[raw_user(7)]), "c").command

    assert (named["user_id"], named["username"]) == ("7", "ann")
