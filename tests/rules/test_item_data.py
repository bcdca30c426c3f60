from __future__ import annotations

import pytest

from pipeline import catalog
from pipeline.expressions import model_sql
from pipeline.rules.item_data import DESIRED_STATES, ITEM_DATA
from pipeline.rules.items import EXPECTED_READING, READING_ITEMS
from pipeline.sources import SOURCES


def test_each_item_key_is_declared_once_with_its_members():
    keys = [item.key for item in ITEM_DATA]

    assert len(set(keys)) == len(keys) == 13
    assert all(item.members for item in SOURCES["raw_sync_events"].items)


@pytest.mark.parametrize("member", sorted({m.name for item in ITEM_DATA for m in item.members}))
def test_what_is_declared_of_an_item_is_what_staging_parses(member):
    sql = model_sql(catalog.load(), "stg_sync_events", "duckdb")

    assert all(f'"{part}"' in sql for part in member.split("."))


def test_each_expected_reading_is_of_a_declared_command_and_reading():
    assert set(EXPECTED_READING) <= {state.command for state in DESIRED_STATES}
    assert set(EXPECTED_READING.values()) <= set(READING_ITEMS)


def test_a_door_code_and_all_that_holds_one_is_sensitive():
    members = [m for item in ITEM_DATA for m in item.members]
    members += [m for state in DESIRED_STATES for m in state.parameters]

    assert {m.name for m in members if m.sensitive} == {"desired_state", "pin"}
