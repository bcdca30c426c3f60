"""The raw tables, with their types in the warehouse."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.expressions as sge
from google.cloud.bigquery import SchemaField, Table
from ibis.backends.bigquery import Backend as IbisBigQuery
from ibis.backends.sql.datatypes import BigQueryType

from pipeline.backends.bigquery.load_days import STAMP
from pipeline.backends.bigquery.statements import DIALECT, quoted, select
from pipeline.backends.bigquery.types import scalar
from pipeline.contract import Column
from pipeline.errors import InputError
from pipeline.sources import Source

DOCUMENT = "ItemData"
"""The one column that may hold a nested value; the pipeline reads it as JSON text."""

_FIRST = {
    "DATE": "DATE '0001-01-01'",
    "DATETIME": "DATETIME '0001-01-01'",
    # without a zone it would be in the project's default one
    "TIMESTAMP": "TIMESTAMP '0001-01-01 00:00:00+00'",
}
"""The first value of each type that a partition column may have."""


def used_fields(
    source: Source, found: Table, columns: Collection[str]
) -> Mapping[Column, SchemaField | None]:
    """Return the fields of a raw table that hold these columns, in the source's order.

    None stands for an optional column that the table lacks.

    Raises:
        InputError: the table lacks one of the other columns.
    """
    # BigQuery ignores the case of names
    fields = {field.name.casefold(): field for field in found.schema}
    used = {
        column: fields.get(column.name.casefold())
        for column in source.columns
        if column.name in columns
    }
    for column, field in used.items():
        if field is None and not column.optional:
            raise InputError(
                f"{name_of(found)} has no column {column.name}, which the models read.",
                "Load it with that column, or name another dataset with --source-dataset.",
            )
    return used


def raw_table(
    con: IbisBigQuery, source: Source, found: Table, columns: Collection[str]
) -> ir.Table:
    """Return a raw table with these columns, in the source's order.

    A column of a type that no raw column may have is NULL; ItemData of such a type is JSON text.
    An optional column that the table lacks is NULL.

    Raises:
        InputError: the table lacks one of the other columns.
    """
    used = used_fields(source, found, columns)
    schema = ibis.schema({column.name: _type(column, field) for column, field in used.items()})
    where = every_row(found)
    if not where and all(field and scalar(field) for field in used.values()):
        return table(con, found, schema)
    query = select(_values(used), name_of(found), where)
    return ops.SQLQueryResult(query.sql(DIALECT), schema, con).to_expr()


def every_row(found: Table) -> str:
    """Return a condition on the partition column that each row meets, empty if none is required.

    A table may require a partition filter: BigQuery then refuses a query without one.
    """
    by_time, by_range = found.time_partitioning, found.range_partitioning
    if not found.require_partition_filter:
        return ""
    if by_range is not None:
        column, least = quoted(by_range.field), str(-(2**63))
    elif by_time.field is None:
        column, least = "_PARTITIONTIME", _FIRST["TIMESTAMP"]
    else:
        kind = {field.name: field.field_type for field in found.schema}[by_time.field]
        column, least = quoted(by_time.field), _FIRST[kind]
    return f"({column} >= {least} OR {column} IS NULL)"


def has_load_times(source: Source, found: Table) -> bool:
    """Tell whether a raw table says when each of its rows was loaded."""
    fields = used_fields(source, found, {STAMP})
    return any(field is not None and scalar(field) is not None for field in fields.values())


def is_by_load_day(found: Table) -> bool:
    """Tell whether a query of some load days reads these days alone."""
    layout = found.time_partitioning
    return layout is not None and (layout.field or "").casefold() == STAMP


def name_of(found: Table) -> str:
    """Return a table's name with project and dataset."""
    return f"{found.project}.{found.dataset_id}.{found.table_id}"


def table(con: IbisBigQuery, found: Table, schema: ibis.Schema) -> ir.Table:
    """Return a table of the warehouse as an expression."""
    namespace = ops.Namespace(catalog=found.project, database=found.dataset_id)
    return ops.DatabaseTable(found.table_id, schema, con, namespace).to_expr()


def _type(column: Column, field: SchemaField | None) -> dt.DataType:
    if field is None:
        return dt.dtype(column.type)
    return scalar(field) or dt.string


def _values(used: Mapping[Column, SchemaField | None]) -> list[sge.Alias]:
    return [
        sge.Alias(this=_value(column, field), alias=sge.to_identifier(column.name, quoted=True))
        for column, field in used.items()
    ]


def _value(column: Column, field: SchemaField | None) -> sge.Expression:
    value = sge.column(column.name, quoted=True)
    if field and scalar(field):
        return value
    if field and column.name == DOCUMENT:
        return sge.Anonymous(this="TO_JSON_STRING", expressions=[value])
    kind = BigQueryType.to_string(_type(column, field))
    return sge.cast(sge.null(), kind, dialect=DIALECT)
