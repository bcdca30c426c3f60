from __future__ import annotations

import pytest
from conftest import command, raw_event, reading
from stories import story

ON = ("DimmerState", "Multilevel On")
OTHER_TYPE = "can't match: only a {0} reading shows the effect of a {1}"


def value(uuid, **state):
    return {"uuid": uuid, "state": state}


@pytest.mark.parametrize(
    ("desired", "item_key", "state", "reason"),
    [
        (
            ("LockedState", "locked"),
            "DoorLocked",
            "True",
            "matches: it says True; asked: locked (shows as true)",
        ),
        (
            ("LockedState", "unlocked"),
            "DoorLocked",
            "true",
            "does not match: it says true; asked: unlocked (shows as false)",
        ),
        (
            ("LockedState", "ajar"),
            "DoorLocked",
            "true",
            "does not match: it says true; asked: ajar, which no reading shows",
        ),
        (
            ("SwitchState", "on"),
            "Switch",
            {"value": "Off"},
            "does not match: it says Off; asked: on",
        ),
        (
            ("ThermostatMode", "settocool"),
            "ThermostatMode",
            "cool",
            "matches: it says cool; asked: settocool (shows as cool)",
        ),
        (
            ("ThermostatMode", "heat"),
            "ThermostatMode",
            "SetToHeat",
            "matches: it says SetToHeat (counts as heat); asked: heat",
        ),
        (
            ("ThermostatMode", "heat"),
            "ThermostatMode",
            "operatingstate",
            "does not match: it says operatingstate (matches nothing); asked: heat",
        ),
        (
            ("ThermostatMode", "operatingstate"),
            "ThermostatMode",
            "cool",
            "does not match: it says cool; asked: operatingstate, which no reading shows",
        ),
        (
            (*ON, 100),
            "Dimmer",
            {"value": "On", "percent": 99},
            "matches: it says on at 99 %, at most 1 from the asked 100",
        ),
        (
            (*ON, 80),
            "Dimmer",
            {"value": "On", "percent": 40},
            "does not match: it says on at 40 %, more than 1 from the asked 80",
        ),
        (
            (*ON, 80),
            "Dimmer",
            {"value": "On"},
            "matches: it says On, and no percent to compare with 80",
        ),
        (
            ("DimmerState", "Multilevel Off", 80),
            "Dimmer",
            {"value": "Off", "percent": 0},
            "matches: it says Off, and no level was asked for",
        ),
        (
            ON,
            "Dimmer",
            {"value": "Off"},
            "does not match: it says Off; asked: Multilevel On (shows as on)",
        ),
        (
            ("ThermostatHeatSetPoint", 68),
            "ThermostatHeatSetpoint",
            {"value": 68.5, "unit": "F"},
            "matches: 68.5 F is at most 0.5 from the asked 68",
        ),
        (
            ("ThermostatHeatSetPoint", 68),
            "ThermostatHeatSetpoint",
            {"value": 20, "unit": "C"},
            "matches: 20 C, 68 in the other unit, is at most 0.5 from the asked 68",
        ),
        (
            ("ThermostatCoolSetPoint", 72),
            "ThermostatCoolSetpoint",
            {"value": 24, "unit": "C"},
            "does not match: 24 C, 75.2 in the other unit, is more than 0.5 from the asked 72",
        ),
        (
            ("ThermostatCoolSetPoint", 72),
            "ThermostatCoolSetpoint",
            {"value": "70"},
            "does not match: 70 is more than 0.5 from the asked 72",
        ),
        (
            ("ThermostatCoolSetPoint", "warm"),
            "ThermostatCoolSetpoint",
            {"value": 70},
            "does not match: the asked set point is not a number",
        ),
        (
            ("ThermostatCoolSetPoint", 72),
            "ThermostatCoolSetpoint",
            {"value": "warm"},
            "does not match: its value is not a number",
        ),
        (
            ("LockedState", "locked"),
            "Humidity",
            "4",
            OTHER_TYPE.format("DoorLocked", "LockedState"),
        ),
        (
            ("PinAssignment", 1, "1234"),
            "DoorLocked",
            "true",
            "can't match: no kind of reading shows the effect of a PinAssignment",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_a_reading_says_why_it_matches_or_not(built, desired, item_key, state, reason):
    (found,) = story(built(command("c", *desired), reading("r", state, item_key)), "c").readings

    assert found.match_reason == reason
    assert found.matches_desired_state == reason.startswith("matches")


def test_a_reading_of_this_command_says_so(built):
    (found,) = story(built(command("c"), reading("r")), "c").readings

    assert found.attributed_to == "c"
    assert found.attribution_reason == (
        "attributed to this command, the latest command by then that expects DoorLocked"
    )


@pytest.mark.parametrize(
    ("at", "desired", "whose"),
    [
        (1, ("LockedState", "unlocked"), "LockedState unlocked, +1.000 s"),
        (-3, ("SwitchState", "on"), "SwitchState on, -3.000 s"),
    ],
)
def test_a_reading_of_another_command_says_whose_it_is(built, at, desired, whose):
    kind = {"LockedState": "DoorLocked", "SwitchState": "Switch"}[desired[0]]
    events = [command("c"), command("other", *desired, at=at), reading("r", item_key=kind)]

    (found,) = story(built(*events), "c").readings

    assert found.attributed_to == "other"
    assert found.attribution_reason == (
        f"attributed to other ({whose}), the latest command by then that expects {kind}"
    )


def test_a_reading_that_no_command_expects_belongs_to_none(built):
    events = [command("c"), reading("r", item_key="Humidity"), command("later", at=3)]

    (found,) = story(built(*events), "c").readings

    assert (found.attributed_to, found.is_attributed) == (None, False)
    assert found.attribution_reason == (
        "attributed to no command: none in the 15 s before it expects Humidity"
    )


def test_a_reading_of_another_type_with_the_same_id_is_another_reading(built):
    events = [
        command("c", "SwitchState", "on"),
        command("other"),
        raw_event("Switch", value("r", value="on")),
        reading("r", at=0),
    ]

    found = story(built(*events), "c").readings

    assert {each.reading_type: each.attributed_to for each in found} == {
        "Switch": "c",
        "DoorLocked": "other",
    }
