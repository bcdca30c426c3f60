"""The statements that materialize a model, with all that it declares about its storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import ibis.expr.datatypes as dt
import sqlglot.expressions as sge
from ibis.backends.sql.datatypes import BigQueryType

from pipeline.contract import Model

DIALECT = "bigquery"


def create(model: Model, name: str, query: str, expires: datetime | None = None) -> str:
    """Return the one atomic statement that makes a model's table or view, replacing another.

    `name` is project.dataset.table, `query` the model's SELECT, its columns as declared.
    """
    table = model.materialized == "table"
    lines = [f"CREATE OR REPLACE {model.materialized.upper()} {quoted(name)} ("]
    lines += [",\n".join(_columns(model, typed=table)), ")"]
    if table and model.partition_by:
        lines.append(f"PARTITION BY {_partition(model)}")
    if table and model.cluster_by:
        lines.append(f"CLUSTER BY {', '.join(map(quoted, model.cluster_by))}")
    # named once more, so that each goes to the column of its name
    names = ", ".join(map(quoted, model.schema.names))
    lines += [_options(model, expires), f"AS SELECT {names} FROM (", query, ")"]
    return "\n".join(lines)


def quoted(name: str) -> str:
    """Return a name, of a column or of a table with its project and dataset, in backticks."""
    # a project's name may hold a dot of its own
    return ".".join(f"`{part}`" for part in name.rsplit(".", 2))


def text(value: str) -> str:
    """Return a text as a literal."""
    return sge.convert(value).sql(DIALECT)


def renamed(query: sge.Query, names: Mapping[str, str]) -> sge.Query:
    """Return a query that reads other tables: in place of each name the one it maps to."""

    copy = query.copy()
    for table in copy.find_all(sge.Table):
        if table.name in names:
            table.set("this", sge.to_identifier(names[table.name], quoted=True))
    return copy


def _columns(model: Model, *, typed: bool) -> Iterable[str]:
    schema: Mapping[str, dt.DataType] = model.schema
    for column in model.columns:
        kind = f" {BigQueryType.to_string(schema[column.name])}" if typed else ""
        yield f"  {quoted(column.name)}{kind} OPTIONS(description={text(column.description)})"


def _partition(model: Model) -> str:
    assert model.partition_by is not None
    column = quoted(model.partition_by)
    is_time = model.schema[model.partition_by].is_timestamp()
    return f"TIMESTAMP_TRUNC({column}, DAY)" if is_time else column


def _options(model: Model, expires: datetime | None) -> str:
    options = [f"description={text(model.grain)}"]
    if expires is not None:
        options.append(f"expiration_timestamp=TIMESTAMP {text(expires.isoformat())}")
    return f"OPTIONS({', '.join(options)})"


def select(expressions: Iterable[Any], table: str) -> sge.Select:
    """Return a query of expressions over a table given as project.dataset.table."""
    return sge.Select(expressions=list(expressions)).from_(
        sge.to_table(quoted(table), dialect=DIALECT)
    )
