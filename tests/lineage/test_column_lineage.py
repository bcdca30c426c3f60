"""The upstream and downstream columns that `lineage` and `p.lineage` show."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from rich.console import Console

import pipeline
import pipeline.lineage as lineage
from pipeline.catalog import load
from pipeline.cli import cli
from pipeline.errors import UsageError
from pipeline.lineage.columns import column_lineage
from pipeline.output.lineage import column_lineage as shown


def found(name, *, down=False):
    return column_lineage(load(), lineage.of(load()), name, down=down)


def by_value(story):
    return {each.table: each.value for each in story.tables if each.value}


def test_a_column_is_followed_table_by_table_to_the_member_of_item_data():
    story = found("fct_command_readings.pin")

    assert story.sensitive
    assert by_value(story) == {
        "fct_command_statuses": ("pin",),
        "stg_commands": ("pin",),
        "stg_repeated_events": ("desired_state_2",),
        "stg_sync_events": ("desired_state_2",),
        "raw_sync_events": ("ItemData.desired_state[2]",),
    }
    only = {each.table: each.decides for each in story.tables}
    assert only["stg_commands"] == ("command_uuid",)
    assert "ItemKey" in only["raw_sync_events"]
    assert story.tables[-1].table == "raw_sync_events"


def test_what_is_made_of_a_column_is_told_down_to_the_last_mart():
    story = found("stg_users.username", down=True)

    assert by_value(story) == {
        "dim_users": ("username",),
        "met_daily_command_count_by_username": ("username",),
    }
    last = story.tables[-1]
    assert "number_of_commands" in last.decides


@pytest.mark.parametrize(
    ("name", "reaches"),
    [
        ("raw_sync_events.ItemData.desired_state[2]", {"pin", "dimmer_level"}),
        ("raw_sync_events.ItemData.desired_state[1]", {"slot", "lock_state"}),
        ("raw_sync_events.ItemData", {"pin", "slot", "command_client"}),
    ],
)
def test_a_member_of_item_data_is_followed_down_by_itself(name, reaches):
    columns = set(by_value(found(name, down=True))["stg_commands"])

    assert reaches <= columns
    assert ("command_client" in columns) == (name == "raw_sync_events.ItemData")


def test_each_step_is_an_edge_of_its_kind():
    edges = {(edge.made_of, edge.column): edge.how for edge in found("stg_commands.pin").edges}

    assert edges["stg_sync_events.desired_state_2", "stg_commands.pin"] == "value"
    assert edges["stg_sync_events.command", "stg_commands.pin"] == "decides"


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("stg_comands.pin", "no model 'stg_comands'", "stg_commands"),
        ("stg_commands.pn", "stg_commands has no column 'pn'", "pin"),
        ("stg_commands", "is a table", "such as stg_commands.command_uuid"),
        ("stg_commands.pin.x", "has no column 'pin.x'", "pin"),
    ],
)
def test_what_is_no_column_is_an_error_that_suggests_one(name, message, remedy):
    with pytest.raises(UsageError, match=message) as raised:
        found(name)

    assert remedy in raised.value.next_step


def test_the_command_prints_blocks_that_fit_the_screen_and_json():
    text = CliRunner().invoke(cli, ["lineage", "fct_command_readings.pin"])
    made = CliRunner().invoke(cli, ["lineage", "stg_users.username", "--down", "--format", "json"])
    console = Console(width=80, record=True)
    console.print(shown(found("fct_command_readings.readings")))

    assert "raw_sync_events\n  by value      ItemData.desired_state[2]" in text.stdout
    assert text.stdout.startswith("fct_command_readings.pin is made of (sensitive)")
    assert json.loads(made.stdout) == found("stg_users.username", down=True).to_json()
    printed = console.export_text().split()
    assert "stg_readings" in printed
    assert "thermostat_cool_set_point," in printed


def test_python_tells_the_same():
    p = pipeline.connect("duckdb")

    assert p.lineage("stg_commands.pin") == found("stg_commands.pin")
    assert "ItemData.desired_state[2]" in str(p.lineage("stg_commands.pin"))
    assert "goes into" in p.lineage("stg_commands.pin", down=True)._repr_html_()
