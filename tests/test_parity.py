"""Every model's BigQuery SQL, run by Google's own engine, makes DuckDB's rows."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections import Counter
from typing import Any

import messy
import pyarrow as pa
import pytest
import reference
from conftest import NOON, command, event_types, raw_event, raw_user, reading, result, user_types
from engines import KINDS, OnDuckDB, OnGoogleSQL, assert_equal, types_of
from test_messy import EVERY_CLAUSE, relations

from pipeline.catalog import load
from pipeline.expressions import model_sql

Row = dict[str, Any]
HOW_THEY_COME: dict[str, dict[str, str]] = {
    "typed": {},
    "text": {"date_created": "text", "times": "text", "uid": "text"},
    "numbers": {"date_created": "epoch", "times": "epoch", "uid": "float"},
}
SEEDS = (8, 12)
FIRST = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC)


@functools.cache
def engines(kind: str) -> tuple[OnDuckDB, OnGoogleSQL]:
    types = KINDS.get(kind) or OTHER_KINDS[kind]
    return OnDuckDB(types), OnGoogleSQL(types)


def assert_parity(kind: str, events: list[Row], users: list[Row]) -> None:
    """Check that both engines and the reference make the same rows of every model."""
    on_duckdb, on_bigquery = (engine.build(events, users) for engine in engines(kind))

    assert_equal(on_bigquery, on_duckdb)
    assert_equal(on_bigquery, reference.build(events, users))


def many_users(seed: int, times: str = "timestamp", uid: str = "int") -> list[Row]:
    drawn = [messy.users_of(messy.entropy(seed, part), times, uid) for part in range(3)]
    return [row for rows in drawn for row in rows if not _engine_spells(row["uid"])]


def _engine_spells(uid: Any) -> bool:
    # contract, section 3: the engine decides how to write a FLOAT64 from 2^53 on
    return isinstance(uid, float) and abs(uid) >= 2.0**53


def many(kind: str, seed: int) -> tuple[list[Row], list[Row]]:
    how = dict(HOW_THEY_COME[kind])
    events = messy.many_events(seed, 8, how.pop("date_created", "timestamp"))
    return events, many_users(seed, **how)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_model_has_equal_rows_on_both_engines(kind, seed):
    assert_parity(kind, *many(kind, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_those_rows_leave_out_no_clause_of_the_contract(kind):
    found = Counter(seen for seed in SEEDS for seen in relations(*many(kind, seed)))

    assert [name for name in EVERY_CLAUSE if not found[name]] == []


# --- Rows picked by hand --------------------------------------------------------------------------

TEXTS = ("é\u0301 😀", "\u2028\u2029", '" \\ / \t\n\b', "\x01\x7f", "[7]", '{"a":1}', "null", " ")
NUMBERS = (0, -7, 7.0, 72.5, 0.0001, 123456789012345, 12345678901234567890123, 99999.9999999999)
HARD = (*TEXTS, *NUMBERS, True, None, [], {}, ["a b", [" "]], {"b": 1, "a": "x y"})
"""JSON values whose text the contract defines."""


def hard_json() -> list[Row]:
    return [
        *(command(f"p{i}", "PinAssignment", value, value, user=i) for i, value in enumerate(HARD)),
        *(command(f"q{i}", value) for i, value in enumerate(HARD)),
        *(reading(f"r{i}", value, "BatteryLevel") for i, value in enumerate(HARD)),
        *(reading(f"s{i}", {"value": value, "unit": value}) for i, value in enumerate(HARD)),
        *(
            raw_event("Command", json.dumps(item, ensure_ascii=False), DateCreated=NOON)
            for value in HARD
            for item in [{"uuid": "u", "desired_state": ["é", value], "client": value}]
        ),
        raw_event("CommandResult", '\ufeff{"uuid":"c"}'),
        raw_event("CommandResult", '{"command_id":"c","uuid":"d","result":"a\\u0074rue success"}'),
    ]


def test_json_values_have_equal_texts_on_both_engines():
    assert_parity("typed", hard_json(), [])


def test_times_at_the_ends_of_the_calendar_are_equal_on_both_engines():
    times = [FIRST, LAST, LAST - dt.timedelta(seconds=15)]
    events = [
        *(reading(f"r{i}", DateCreated=time) for i, time in enumerate(times)),
        *(command(f"c{i}", DateCreated=time) for i, time in enumerate(times[1:])),
        *(result(f"c{i}", DateCreated=time) for i, time in enumerate(times)),
    ]
    users = [raw_user(i, dateRegistered=time, last_modified=time) for i, time in enumerate(times)]

    assert_parity("typed", events, users)


def test_no_rows_at_all_make_equal_models_on_both_engines():
    assert_parity("typed", [], [])


OTHER_KINDS = {
    "as compiled": types_of(event_types(), user_types(uid=pa.string(), time=pa.string())),
    "by a guesser": types_of(
        event_types(
            EventType=pa.bool_(),
            DateCreated=pa.date32(),
            MapRevision=pa.int64(),
            ItemRevision=pa.float64(),
            EndpointId=pa.bool_(),
            MapUniqueName=pa.float64(),
            _source_file=pa.timestamp("us", "UTC"),
        ),
        user_types(uid=pa.float64(), time=pa.float64())
        | {"username": pa.int64(), "last_modified": pa.date32()},
    ),
}


def test_columns_of_types_that_somebody_guessed_are_equal_on_both_engines():
    guessed = {
        "EventType": True,
        "DateCreated": dt.date(2022, 1, 1),
        "MapRevision": 10,
        "ItemRevision": 1.0,
        "EndpointId": False,
        "MapUniqueName": 7.0,
        "_source_file": NOON,
    }
    devices = (7.0, 7.5, -0.25, 0.0, 1e15, None)
    events = [
        *(command(f"c{i}", **guessed | {"MapUniqueName": id}) for i, id in enumerate(devices)),
        *(reading(f"r{i}", **guessed | {"MapRevision": i or None}) for i in range(3)),
        *(result("c0", **guessed | {"DateCreated": day}) for day in (None, dt.date(2021, 1, 1))),
    ]
    times = (0.0, -0.9, 1643673590.9, 1643673590123.9, 1e14, 1e300, float("nan"), None)
    users = [
        *(raw_user(float(i), username=i, dateRegistered=time) for i, time in enumerate(times)),
        *(raw_user(uid, username=0, dateRegistered=0.0) for uid in (1.5, float("inf"), 2.0**40)),
    ]
    for user in users:
        user["last_modified"] = dt.date(2022, 1, 1)

    assert_parity("by a guesser", events, users)


def test_what_is_held_against_duckdb_is_what_compile_writes():
    where = ("project", "dataset")
    graph = load()
    compiled = {name: model_sql(graph, name, "bigquery", where, where) for name in graph.models}

    assert engines("as compiled")[1].statements == compiled
