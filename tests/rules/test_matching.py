"""The contract's table of matches, a test a row: command, reading, and whether they match."""

from __future__ import annotations

import pyarrow as pa
import pytest
from conftest import arrow

from pipeline.rules.matching import is_expected, is_match, with_expectation

TEXTS = (
    *("command", "lock_state", "switch_state", "dimmer_state", "dimmer_level", "thermostat_mode"),
    *("thermostat_heat_set_point", "thermostat_cool_set_point"),
    *("reading_type", "state_value", "state_unit"),
)
TYPES = {
    "i": pa.int64(),
    **dict.fromkeys(TEXTS, pa.string()),
    "state_percent": pa.float64(),
}


@pytest.fixture
def verdicts(evaluate):
    """A function that judges pairs of a command and a reading with these columns."""

    def judge(command, reading_type, columns, cases):
        rows = [
            {
                "i": i,
                "command": command,
                "reading_type": reading_type,
                **dict(zip(columns, case, strict=True)),
            }
            for i, case in enumerate(cases)
        ]

        def judged(table):
            pairs = with_expectation(table)
            return pairs.select("i", matches=is_expected(pairs) & is_match(pairs))

        found = {row["i"]: row["matches"] for row in evaluate(judged, arrow(rows, TYPES))}
        return {case: found[i] for i, case in enumerate(cases)}

    return judge


def test_a_lock_command_matches_true_for_locked_and_false_for_unlocked(verdicts):
    cases = {
        ("locked", "true"): True,
        ("locked", "TRUE"): True,
        ("locked", "false"): False,
        ("unlocked", "false"): True,
        ("unlocked", "False"): True,
        ("unlocked", "true"): False,
        ("locked", "locked"): False,
        ("locked", "1"): False,
        ("locked", " true"): False,
        ("locked", ""): False,
        ("true", "true"): False,
        ("jammed", "true"): False,
        (None, "true"): False,
    }

    found = verdicts("LockedState", "DoorLocked", ("lock_state", "state_value"), cases)

    assert found == cases


def test_a_switch_command_matches_the_same_word_in_any_case(verdicts):
    cases = {
        ("on", "On"): True,
        ("off", "OFF"): True,
        ("on", "off"): False,
        ("on", "true"): False,
        ("on", "on "): False,
        ("", ""): True,
        (None, "on"): False,
    }

    found = verdicts("SwitchState", "Switch", ("switch_state", "state_value"), cases)

    assert found == cases


def test_a_dimmer_command_matches_what_follows_its_last_space(verdicts):
    cases = {
        ("Multilevel On", "On"): True,
        ("Multilevel On", "oN"): True,
        ("Multilevel Off", "off"): True,
        ("Multilevel Off", "on"): False,
        ("Very Multilevel On", "on"): True,
        ("Multilevel On", "Multilevel On"): False,
        ("ON", "on"): True,
        ("Multilevel ", ""): True,
        ("", ""): True,
        (None, "on"): False,
    }

    found = verdicts("DimmerState", "Dimmer", ("dimmer_state", "state_value"), cases)

    assert found == cases


def test_a_dimmer_that_was_asked_on_with_a_level_is_at_most_one_percent_off(verdicts):
    on, off = ("Multilevel On", "On"), ("Multilevel Off", "Off")
    cases = {
        (*on, "100", 99.0): True,
        (*on, "100", 98.99): False,
        (*on, "50", 51.0): True,
        (*on, "50", 51.01): False,
        (*on, "50.5", 49.5): True,
        (*on, "0", 2.0): False,
        (*on, "50", None): True,
        (*on, None, 7.0): True,
        (*on, "half", 7.0): True,
        (*on, " 50", 7.0): True,
        (*off, "50", 0.0): True,
        ("Multilevel On", "Off", "50", 50.0): False,
    }
    columns = ("dimmer_state", "state_value", "dimmer_level", "state_percent")

    assert verdicts("DimmerState", "Dimmer", columns, cases) == cases


def test_a_mode_command_matches_the_same_word_where_settocool_is_cool(verdicts):
    cases = {
        ("cool", "Cool"): True,
        ("auto", "AUTO"): True,
        ("cool", "heat"): False,
        ("settocool", "cool"): True,
        ("cool", "SetToCool"): True,
        ("settocool", "settocool"): True,
        ("settoheat", "Heat"): True,
        ("heat", "settoheat"): True,
        ("settocool", "settoheat"): False,
        ("operatingstate", "operatingstate"): False,
        ("operatingstate", "cool"): False,
        ("cool", "operatingstate"): False,
        ("eco", "eco"): True,
        (None, "cool"): False,
    }

    found = verdicts("ThermostatMode", "ThermostatMode", ("thermostat_mode", "state_value"), cases)

    assert found == cases


@pytest.mark.parametrize("kind", ["Heat", "Cool"])
def test_a_set_point_is_at_most_half_a_degree_off_in_the_unit_read_or_the_other(verdicts, kind):
    cases = {
        ("68", "68", "F"): True,
        ("68", "68.5", "F"): True,
        ("68", "67.5", None): True,
        ("68", "68.51", "F"): False,
        ("20", "68", "F"): True,
        ("20", "68.8", "F"): True,
        ("20", "69", "F"): False,
        ("20", "68", "C"): False,
        ("68", "20", "C"): True,
        ("68", "20.25", "C"): True,
        ("68", "20.3", "C"): False,
        ("68", "20", "F"): False,
        ("20", "68", "f"): False,
        ("68", "20", "c"): False,
        ("20", "68", "K"): False,
        ("20", "68", ""): False,
        ("20", "68", None): False,
        ("6.8e1", "68.0", "F"): True,
        ("-5", "-5.5", None): True,
        ("68", "warm", "F"): False,
        ("68", " 68", "F"): False,
        ("warm", "68", "F"): False,
        ("1e999", "1e999", None): False,
        (None, "68", "F"): False,
    }
    columns = (f"thermostat_{kind.lower()}_set_point", "state_value", "state_unit")

    found = verdicts(f"Thermostat{kind}SetPoint", f"Thermostat{kind}Setpoint", columns, cases)

    assert found == cases


def test_a_command_expects_one_type_of_reading_or_none(evaluate):
    cases = {
        ("LockedState", "DoorLocked"): True,
        ("SwitchState", "Switch"): True,
        ("DimmerState", "Dimmer"): True,
        ("ThermostatMode", "ThermostatMode"): True,
        ("ThermostatHeatSetPoint", "ThermostatHeatSetpoint"): True,
        ("ThermostatCoolSetPoint", "ThermostatCoolSetpoint"): True,
        ("ThermostatCoolSetPoint", "ThermostatHeatSetpoint"): False,
        ("ThermostatCoolSetPoint", "Temperature"): False,
        ("ThermostatMode", "ThermostatOperatingState"): False,
        ("LockedState", "Switch"): False,
        ("PinAssignment", "DoorLocked"): False,
        ("Switch", "Switch"): False,
        ("lockedstate", "DoorLocked"): False,
        ("", "DoorLocked"): False,
    }
    rows = [{"command": command, "reading_type": said} for command, said in cases]

    def judged(table):
        pairs = with_expectation(table)
        return pairs.select("command", "reading_type", expected=is_expected(pairs))

    found = evaluate(judged, arrow(rows, TYPES))

    assert {(row["command"], row["reading_type"]): row["expected"] for row in found} == cases


@pytest.mark.parametrize("command", ["PinAssignment", "Reboot"])
def test_a_command_that_no_reading_shows_matches_none(verdicts, command):
    cases = {("DoorLocked", "true", "locked"): False, ("Switch", "locked", "locked"): False}

    columns = ("reading_type", "state_value", "lock_state")

    assert verdicts(command, None, columns, cases) == cases
