"""Sensitive values are masked by their origin, in fetched rows and in an engine's messages."""

from __future__ import annotations

import json

import ibis.expr.types as ir
import pyarrow.parquet as pq
import pytest
from conftest import arrow, event_types, raw_event
from ibis import _
from rich.console import Console

from pipeline.backends.duckdb.backend import DuckDB
from pipeline.build import build
from pipeline.contract import Column, RowCheck, TableCheck, model
from pipeline.engine_text import without_values
from pipeline.graph import Graph
from pipeline.options import RunOptions
from pipeline.output.kept import FailureStore
from pipeline.output.progress import People

CODE = "308841x"


def same_door(stg_held: ir.Table) -> ir.Table:
    """No door has a code, under whatever name."""
    return stg_held.select("device_id", door_code=_.item.upper())


@model(
    key=["device_id"],
    tags=[],
    columns=[
        Column("device_id", "string", "the device"),
        Column("item", "string", "what came", sensitive=True),
    ],
    checks=[
        RowCheck("no_item", _.item.notnull(), "there is no item", "warn", columns=("item",)),
        TableCheck(same_door, severity="warn"),
    ],
)
def stg_held(raw_sync_events: ir.Table) -> ir.Table:
    """One row per event."""
    return raw_sync_events.select(device_id=_.MapUniqueName, item=_.ItemData)


@model(key=[], tags=[], columns=[Column("n", "int64", "the code as a number")])
def met_cast(stg_held: ir.Table) -> ir.Table:
    """One row per event."""
    return stg_held.select(n=_.item.cast("int64"))


@model(key=[], tags=[], materialized="view", columns=[Column("device_id", "string", "a device")])
def met_view(stg_held: ir.Table) -> ir.Table:
    """One row per event whose code is a number."""
    return stg_held.filter(_.item.cast("int64") > 0).select("device_id")


@model(key=[], tags=[], columns=[Column("device_id", "string", "the device")])
def met_of_view(met_view: ir.Table) -> ir.Table:
    """One row per event."""
    return met_view


GRAPH = Graph([each.model for each in (stg_held, met_cast, met_view, met_of_view)])


@pytest.fixture
def made(tmp_path):
    """A function that builds the models of one event, and returns all output about it."""
    events = tmp_path / "events.parquet"
    pq.write_table(arrow([raw_event(item=CODE, MapUniqueName="it's")], event_types()), events)
    folder = tmp_path / "it's here"

    def run(*names, reveal=False):
        backend = DuckDB(tmp_path / "p.duckdb", inputs={"raw_sync_events": (str(events),)})
        console = Console(width=200, record=True)
        result = build(
            GRAPH,
            backend,
            names,
            RunOptions(
                report=People(console, every=True, quiet=False),
                on_failure=FailureStore(folder).keep,
                reveal=reveal,
            ),
        )
        stored = {path.stem: pq.read_table(path).to_pylist() for path in folder.glob("*.parquet")}
        told = [console.export_text(), json.dumps(result.to_json()), str(result), str(stored)]
        return result, stored, "".join([*told, *map(str, result.checks)])

    return run


def test_failing_rows_are_masked_by_origin_in_all_that_is_told_and_stored(made):
    result, stored, told = made("stg_held")

    assert result.counts["WARN"] == 2
    assert CODE not in told.replace(CODE.upper(), CODE)
    assert stored["stg_held.same_door"] == [{"device_id": "it's", "door_code": "***"}]
    assert stored["stg_held.no_item"] == [{"device_id": "it's", "item": "***"}]
    assert "door_code" in told


def test_failing_rows_are_there_to_be_revealed(made):
    _, stored, told = made("stg_held", reveal=True)

    assert stored["stg_held.same_door"][0]["door_code"] == CODE.upper()
    assert CODE in told


@pytest.mark.parametrize("names", [["met_cast"], ["met_view", "met_of_view"]], ids=" ".join)
def test_an_engines_words_about_a_code_are_masked_unless_revealed(made, names):
    result, _, told = made("stg_held", *names)

    (message,) = [each.message for each in result.models if each.status == "ERROR"]
    assert "Could not convert string *** to INT64" in message
    assert CODE not in told.replace(CODE.upper(), CODE)

    assert CODE in made("stg_held", *names, reveal=True)[2]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "Conversion Error: Could not convert string '12x' to INT64",
            "Conversion Error: Could not convert string *** to INT64",
        ),
        ("BigQuery: Bad int64 value: secret12", "BigQuery: Bad int64 value: ***"),
        ("Invalid timestamp: 'open sesame'", "Invalid timestamp: ***"),
        ('Could not cast literal "abcd" to type', "Could not cast literal *** to type"),
        ("Overflow in addition of INT64 (12 + 4)!", "Overflow in addition of INT64 (***)!"),
        ('Malformed JSON. Input: "{"a":"47 11"}"', "Malformed JSON. Input: ***"),
        (
            "it's 4711 when casting from source column pin",
            "*** when casting from source column pin",
        ),
    ],
)
def test_an_engines_words_stay_and_values_go(text, masked):
    found = without_values(text, {"pin"})

    assert found == masked
