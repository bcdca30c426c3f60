"""Small tables in memory, and all models built on them, for all tests."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import googlesql
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from ibis.backends.duckdb import Backend as IbisDuckDB

import pipeline
from pipeline import catalog
from pipeline.expressions import declared_table, expression
from pipeline.sources import SOURCES
from pipeline.sql import to_sql

Row = dict[str, Any]
NOON = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    """Noon of the first day and so many seconds."""
    return NOON + dt.timedelta(seconds=seconds)


def raw_event(item_key: str | None = "DoorLocked", item: Any = None, **columns: Any) -> Row:
    """A valid raw event; `item` is the ItemData, `columns` are other values."""
    row: Row = {
        "EventType": "map_item_updated",
        "DateCreated": NOON,
        "MapRevision": "1",
        "ItemKey": item_key,
        "ItemRevision": "1",
        "EndpointId": "endpoint",
        "ItemData": item if isinstance(item, str | None) else json.dumps(item),
        "MapUniqueName": "device",
        "_source_file": "file-1",
    }
    return row | columns


def command(uuid: str, *desired: Any, at: float = 0.0, **columns: Any) -> Row:
    """A raw Command event, by default one to lock the door."""
    item = {"uuid": uuid, "desired_state": list(desired or ("LockedState", "locked"))}
    return raw_event("Command", item, **{"DateCreated": after(at)} | columns)


def result(uuid: str, outcome: Any = True, at: float = 1.0, **columns: Any) -> Row:
    """A raw CommandResult event, by default a success."""
    return raw_event(
        "CommandResult",
        {"uuid": uuid, "result": outcome},
        **{"DateCreated": after(at)} | columns,
    )


def reading(
    uuid: str, state: Any = "true", item_key: str = "DoorLocked", at: float = 2.0, **columns: Any
) -> Row:
    """A raw reading event, by default that the door is locked."""
    return raw_event(
        item_key, {"uuid": uuid, "state": state}, **{"DateCreated": after(at)} | columns
    )


def raw_user(uid: Any = 7, **columns: Any) -> Row:
    """A valid raw user row."""
    row: Row = {"uid": uid, "username": "ann", "dateRegistered": NOON, "last_modified": NOON}
    return row | columns


def arrow(rows: Sequence[Row], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Rows as a pyarrow table; a missing key is NULL."""
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()}
    )


def event_types(**different: pa.DataType) -> dict[str, pa.DataType]:
    """The pyarrow types of raw_sync_events' columns."""
    schema = SOURCES["raw_sync_events"].schema.to_pyarrow()
    return {field.name: field.type for field in schema} | different


def user_types(
    uid: pa.DataType | None = None, time: pa.DataType | None = None
) -> dict[str, pa.DataType]:
    """The pyarrow types of raw_users' columns, by default a warehouse's."""
    time = time or pa.timestamp("us", "UTC")
    return {
        "uid": uid or pa.int64(),
        "username": pa.string(),
        "dateRegistered": time,
        "last_modified": time,
    }


@functools.cache
def statement(model: str, sources: tuple[tuple[str, ibis.Schema], ...]) -> str:
    """A model's SELECT for sources of these types, compiled once: that takes the longest."""
    raw = {name: ibis.table(schema, name=name) for name, schema in sources}
    models = catalog.load()

    def table(name: str) -> ir.Table:
        return raw[name] if name in raw else declared_table(models, name)

    return to_sql(expression(models.models[model], table), "duckdb")


class Built:
    """Models on raw rows in an engine of their own, each built at first use."""

    def __init__(self, con: IbisDuckDB, raw: Mapping[str, pa.Table]) -> None:
        self._con = con
        for name, rows in raw.items():
            put(con, name, rows)
        self._sources = tuple((name, schema_of(rows.schema)) for name, rows in raw.items())
        self._made = set(raw)

    def __getitem__(self, model: str) -> list[Row]:
        self._make(model)
        return self._con.con.execute(f"FROM {model}").to_arrow_table().to_pylist()

    def table(self, model: str) -> ir.Table:
        """A built model as an Ibis table."""
        self._make(model)
        return self._con.table(model)

    def _make(self, model: str) -> None:
        if model not in self._made:
            for upstream in catalog.load().models[model].upstream:
                self._make(upstream)
            self._con.con.execute(f"CREATE TABLE {model} AS {statement(model, self._sources)}")
            self._made.add(model)


@functools.cache
def _engine(**settings: Any) -> IbisDuckDB:
    return ibis.duckdb.connect(**settings)


_numbers = itertools.count()


@contextlib.contextmanager
def in_memory(**settings: Any) -> Iterator[IbisDuckDB]:
    """Open an empty database in memory, in an engine of these settings.

    The engine stays for other tests: to start one takes longer than most of them. For a few rows a
    second thread only costs time.
    """
    con = ibis.duckdb.from_connection(_engine(**settings).con.cursor())
    name = f"test_{next(_numbers)}"
    con.raw_sql(f"ATTACH ':memory:' AS {name}; USE {name}")
    try:
        yield con
    finally:
        con.raw_sql(f"USE memory; DETACH {name}")
        con.disconnect()


def put(con: IbisDuckDB, name: str, rows: pa.Table) -> None:
    """Make a table of these rows."""
    con.con.register("incoming", rows)
    con.con.execute(f"CREATE TABLE {name} AS FROM incoming")
    con.con.unregister("incoming")


@functools.cache
def schema_of(types: pa.Schema) -> ibis.Schema:
    """The types that DuckDB gives to columns of these types."""
    with in_memory(threads=1) as con:
        put(con, "rows", types.empty_table())
        return con.table("rows").schema()


@pytest.fixture
def duckdb() -> Iterator[IbisDuckDB]:
    """An empty DuckDB in memory."""
    with in_memory(threads=1) as con:
        yield con


@pytest.fixture
def built(duckdb: IbisDuckDB) -> Callable[..., Built]:
    """A function from raw events and users, of these types, to the models built on them."""

    def build(
        *events: Row,
        users: Iterable[Row] = (),
        events_as: Mapping[str, pa.DataType] | None = None,
        users_as: Mapping[str, pa.DataType] | None = None,
    ) -> Built:
        raw = {
            "raw_sync_events": arrow(events, events_as or event_types()),
            "raw_users": arrow(list(users), users_as or user_types()),
        }
        return Built(duckdb, raw)

    return build


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the sample, built once without checks; tests must not change it."""
    database = tmp_path_factory.mktemp("sample") / "pipeline.duckdb"
    pipeline.connect("duckdb", database=database).build(checks=False)
    return database


Evaluate = Callable[[Callable[[ir.Table], ir.Table], pa.Table], list[Row]]


def _on_duckdb(make: Callable[[ir.Table], ir.Table], rows: pa.Table) -> list[Row]:
    with in_memory(threads=1) as con:
        put(con, "rows", rows)
        sql = to_sql(make(ibis.table(schema_of(rows.schema), name="rows")), "duckdb")
        return con.con.execute(sql).to_arrow_table().to_pylist()


def _on_googlesql(make: Callable[[ir.Table], ir.Table], rows: pa.Table) -> list[Row]:
    # DuckDB's types, with microseconds as in BigQuery's tables
    table = ibis.table(schema_of(rows.schema), name="rows", catalog="project", database="dataset")
    sql = to_sql(make(table), "bigquery")
    return googlesql.query(sql, {"project.dataset.rows": rows}).to_pylist()


@pytest.fixture(params=[_on_duckdb, _on_googlesql], ids=["duckdb", "bigquery"])
def evaluate(request: pytest.FixtureRequest) -> Evaluate:
    """A function that runs an expression of one table on each engine in turn."""
    return request.param
