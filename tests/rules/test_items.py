from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline import catalog
from pipeline.expressions import model_sql
from pipeline.rules.commands import KINDS
from pipeline.rules.items import ITEM_DATA, READING, is_sensitive, kind_of
from pipeline.sources import SOURCES


def test_each_item_key_is_declared_once_with_its_members():
    keys = [item.key for item in ITEM_DATA]

    assert len(set(keys)) == len(keys)
    assert all(item.members for item in SOURCES["raw_sync_events"].items)


def test_the_item_keys_of_the_contract_are_declared():
    assert {
        *("Command", "CommandActive", "CommandResult", "ThermostatMode"),
        *("ThermostatOperatingState", "DoorLocked", "Switch", "Dimmer", "ThermostatHeatSetpoint"),
        *("ThermostatCoolSetpoint", "Temperature", "Humidity", "BatteryLevel"),
    } <= {item.key for item in ITEM_DATA}


@pytest.mark.parametrize("member", sorted({m.name for item in ITEM_DATA for m in item.members}))
def test_what_is_declared_of_an_item_is_what_staging_parses(member):
    sql = model_sql(catalog.load(), "stg_sync_events", "duckdb")

    assert all(f'"{part}"' in sql for part in member.split("."))


def test_a_door_code_and_all_that_holds_one_is_sensitive():
    members = [m for item in ITEM_DATA for m in item.members]
    members += [m for kind in KINDS for m in kind.parameters]

    assert {m.name for m in members if m.sensitive} == {"desired_state", "pin"}


@pytest.mark.parametrize(
    ("path", "opens_doors"),
    [
        (["desired_state"], True),
        (["desired_state", "[0]"], False),
        (["desired_state", "[1]"], False),
        (["desired_state", "[2]"], True),
        (["desired_state", "[9]"], True),
        (["state"], False),
        (["nobody's"], True),
    ],
    ids=str,
)
def test_a_path_in_item_data_is_sensitive_where_a_code_may_be(path, opens_doors):
    assert is_sensitive(path) == opens_doors


@pytest.mark.parametrize(
    ("item_key", "kind"),
    [
        ("Command", "Command"),
        ("CommandActive", "CommandActive"),
        ("CommandResult", "CommandResult"),
        ("DoorLocked", READING),
        ("BatteryLevel", READING),
        ("command", None),
        ("Reading", None),
        ("", None),
        (None, None),
    ],
)
def test_the_kind_of_an_item_is_told_by_its_exact_key(evaluate, item_key, kind):
    rows = pa.table({"item_key": pa.array([item_key], pa.string())})

    found = evaluate(lambda t: t.select(kind=kind_of(t.item_key)), rows)

    assert found == [{"kind": kind}]
