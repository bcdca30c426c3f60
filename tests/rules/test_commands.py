from __future__ import annotations

from pipeline import catalog
from pipeline.rules.commands import ASKED, KINDS, PARAMETERS
from pipeline.rules.items import READING_ITEMS


def test_each_kind_and_each_of_its_columns_is_declared_once():
    kinds, columns = [kind.name for kind in KINDS], [each.name for each in PARAMETERS]

    assert len(set(kinds)) == len(kinds)
    assert len(set(columns)) == len(columns)


def test_the_kinds_of_the_contract_expect_the_readings_of_its_table():
    assert {
        "LockedState": "DoorLocked",
        "SwitchState": "Switch",
        "DimmerState": "Dimmer",
        "ThermostatMode": "ThermostatMode",
        "ThermostatHeatSetPoint": "ThermostatHeatSetpoint",
        "ThermostatCoolSetPoint": "ThermostatCoolSetpoint",
        "PinAssignment": None,
    }.items() <= {kind.name: kind.expected_reading for kind in KINDS}.items()


def test_a_kind_expects_a_declared_reading_and_says_how_it_is_compared():
    expected = {kind.expected_reading for kind in KINDS if kind.compared}

    assert expected <= set(READING_ITEMS)
    assert all(kind.compared for kind in KINDS if kind.expected_reading)


def test_what_a_kind_asks_for_is_in_the_models_of_commands():
    models = catalog.load().models

    for model in ("stg_commands", "fct_command_statuses", "fct_command_readings"):
        assert {column.name for column in ASKED} <= set(models[model].schema.names)


def test_the_pin_alone_of_all_that_commands_ask_for_opens_doors():
    assert [column.name for column in ASKED if column.sensitive] == ["pin"]
