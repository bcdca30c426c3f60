"""All models built on raw rows, on DuckDB and on Google's own engine for BigQuery's SQL."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Container, Mapping
from typing import Any

import googlesql
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from conftest import arrow, event_types, user_types

from pipeline import catalog
from pipeline.expressions import expression
from pipeline.sql import to_sql

Row = dict[str, Any]
Types = Mapping[str, Mapping[str, pa.DataType]]
"""By source, the pyarrow types of its columns."""


def types_of(events: Mapping[str, pa.DataType], users: Mapping[str, pa.DataType]) -> Types:
    return {"raw_sync_events": events, "raw_users": users}


KINDS = {
    "typed": types_of(event_types(), user_types()),
    "text": types_of(
        event_types(DateCreated=pa.string()), user_types(uid=pa.string(), time=pa.string())
    ),
    "numbers": types_of(
        event_types(DateCreated=pa.int64()), user_types(uid=pa.float64(), time=pa.int64())
    ),
}
"""The types that sources come in."""

ALL = frozenset(catalog.load().models)


class OnDuckDB:
    """All models on DuckDB; their SQL is compiled once and built many times."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._con = ibis.duckdb.connect(threads=1)
        raw = {name: arrow([], columns) for name, columns in types.items()}
        tables = {name: self._con.create_table(name, table) for name, table in raw.items()}
        self._statements = {}
        for name, model in catalog.load().models.items():
            expr = expression(model, tables.__getitem__)
            self._statements[name] = to_sql(expr, "duckdb")
            self._con.raw_sql(f"CREATE TABLE {name} AS {self._statements[name]}")
            tables[name] = self._con.table(name)

    def build(
        self, events: list[Row], users: list[Row], only: Container[str] = ALL
    ) -> dict[str, list[Row]]:
        for name, rows in (("raw_sync_events", events), ("raw_users", users)):
            table = arrow(rows, self._types[name])
            self._con.con.register("incoming", table)
            self._con.con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM incoming")
            self._con.con.unregister("incoming")
        built = {}
        for name in [name for name in self._statements if name in only]:
            sql = self._statements[name]
            self._con.con.execute(f"CREATE OR REPLACE TABLE {name} AS {sql}")
            built[name] = self._con.con.execute(f"FROM {name}").to_arrow_table().to_pylist()
        return built


class OnGoogleSQL:
    """All models by BigQuery's SQL, each on the rows of the models before it."""

    def __init__(self, types: Types) -> None:
        self._types = types
        tables = {name: _in_warehouse(name, _schema(types[name])) for name in types}
        self.statements: dict[str, str] = {}
        for name, model in catalog.load().models.items():
            self.statements[name] = to_sql(expression(model, tables.__getitem__), "bigquery")
            tables[name] = _in_warehouse(name, model.schema)

    def build(self, events: list[Row], users: list[Row]) -> dict[str, list[Row]]:
        tables = {
            f"project.dataset.{name}": arrow(rows, self._types[name])
            for name, rows in (("raw_sync_events", events), ("raw_users", users))
        }
        built = {}
        for name, sql in self.statements.items():
            rows = tables[f"project.dataset.{name}"] = googlesql.query(sql, tables)
            built[name] = rows.to_pylist()
            # the rows have the declared types, because the next model reads the stored rows
            assert rows.schema == catalog.load().models[name].schema.to_pyarrow(), name
        return built


def _in_warehouse(name: str, schema: ibis.Schema) -> ir.Table:
    return ibis.table(schema, name=name, catalog="project", database="dataset")


def _schema(columns: Mapping[str, pa.DataType]) -> ibis.Schema:
    return ibis.Schema.from_pyarrow(pa.schema(list(columns.items())))


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
    """Check that each expected model has these rows, in the expected columns."""
    for name, rows in expected.items():
        names = list(rows[0]) if rows else []
        assert len(built[name]) == len(rows), name
        found, right = comparable(built[name], names), comparable(rows, names)
        assert found == right, f"{name}\n wrong: {found - right}\n right: {right - found}"
