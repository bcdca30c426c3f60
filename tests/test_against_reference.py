"""The whole pipeline against the plain-Python reference, on rows made to hit every clause."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import ibis
import messy
import pyarrow as pa
import pytest
import reference
from conftest import arrow, event_types, user_types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import graph
from pipeline.expressions import expression, to_sql

Row = dict[str, Any]


def examples(number: int) -> settings:
    """So many examples, the same in every run."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


class Pipeline:
    """All models on DuckDB, their SQL made once, to be built again and again."""

    def __init__(self, events: dict[str, pa.DataType], users: dict[str, pa.DataType]) -> None:
        self._types = {"raw_sync_events": events, "raw_users": users}
        self._con = ibis.duckdb.connect()
        raw = {name: arrow([], types) for name, types in self._types.items()}
        tables = {name: self._con.create_table(name, table) for name, table in raw.items()}
        self._statements = {}
        for name, model in graph.load().models.items():
            expr = expression(model, tables.__getitem__)
            self._statements[name] = to_sql(expr, "duckdb")
            tables[name] = self._con.create_table(name, expr)

    def build(self, events: list[Row], users: list[Row]) -> dict[str, list[Row]]:
        for name, rows in (("raw_sync_events", events), ("raw_users", users)):
            table = arrow(rows, self._types[name])
            self._con.con.register("incoming", table)
            self._con.con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM incoming")
            self._con.con.unregister("incoming")
        built = {}
        for name, sql in self._statements.items():
            self._con.con.execute(f"CREATE OR REPLACE TABLE {name} AS {sql}")
            built[name] = self._con.con.execute(f"FROM {name}").to_arrow_table().to_pylist()
        return built


KINDS = {
    "typed": (event_types(), user_types()),
    "text": (
        event_types(DateCreated=pa.string()),
        user_types(uid=pa.string(), time=pa.string()),
    ),
    "numbers": (event_types(), user_types(uid=pa.float64(), time=pa.int64())),
}


@pytest.fixture(scope="module")
def pipelines() -> Iterator[dict[str, Pipeline]]:
    return {name: Pipeline(*types) for name, types in KINDS.items()}


def comparable(rows: list[Row], names: list[str]) -> Counter[str]:
    """Rows as a multiset of the columns that the contract names."""
    return Counter(repr([_plain(row[name]) for name in names]) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, list):
        return [_plain(element) for element in value]
    if isinstance(value, dict):
        return {name: _plain(field) for name, field in value.items()}
    return value


def assert_equal(built: dict[str, list[Row]], expected: dict[str, list[Row]]) -> None:
    for name, rows in expected.items():
        names = list(rows[0]) if rows else []
        assert len(built[name]) == len(rows), name
        found, right = comparable(built[name], names), comparable(rows, names)
        assert found == right, f"{name}\n wrong: {found - right}\n right: {right - found}"


@examples(120)
@given(messy.raw_events(), messy.raw_users())
def test_every_model_equals_the_reference(pipelines, events, users):
    assert_equal(pipelines["typed"].build(events, users), reference.build(events, users))


@examples(40)
@given(messy.raw_events(date_created="text"), messy.raw_users(times="text", uid="text"))
def test_every_model_equals_the_reference_where_all_came_as_text(pipelines, events, users):
    assert_equal(pipelines["text"].build(events, users), reference.build(events, users))


@examples(25)
@given(messy.raw_events(), messy.raw_users(times="epoch", uid="float"))
def test_every_model_equals_the_reference_where_users_came_as_numbers(pipelines, events, users):
    assert_equal(pipelines["numbers"].build(events, users), reference.build(events, users))


@examples(25)
@given(messy.raw_events(), messy.raw_users(), st.randoms(use_true_random=False))
def test_the_order_of_the_raw_rows_changes_nothing(pipelines, events, users, random):
    before = pipelines["typed"].build(events, users)
    random.shuffle(events)
    random.shuffle(users)

    after = pipelines["typed"].build(events, users)

    for name, rows in before.items():
        names = list(rows[0]) if rows else []
        assert comparable(after[name], names) == comparable(rows, names), name


@examples(40)
@given(messy.raw_events(), messy.raw_users())
def test_what_must_add_up_adds_up(pipelines, events, users):
    built = pipelines["typed"].build(events, users)

    for source, raw in (("raw_sync_events", events), ("raw_users", users)):
        rows = [row for row in built["audit_dispositions"] if row["source"] == source]
        assert sum(row["number_of_rows"] for row in rows) == len(raw)
    commands = len(built["stg_commands"])
    assert len(built["fct_command_statuses"]) == len(built["fct_command_readings"]) == commands
    daily = built["met_daily_command_count_by_username"]
    assert sum(row["number_of_commands"] for row in daily) == commands
    attributed = Counter(
        (row["device_id"], each["reading_type"], each["reading_uuid"])
        for row in built["fct_command_readings"]
        for each in row["readings"]
        if each["is_attributed"]
    )
    assert max(attributed.values(), default=1) == 1
