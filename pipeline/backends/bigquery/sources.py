"""The raw tables, with the types that they have in the warehouse."""

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

from pipeline.backends.bigquery.statements import DIALECT, select
from pipeline.backends.bigquery.types import scalar
from pipeline.contract import Column
from pipeline.errors import InputError
from pipeline.sources import Source

DOCUMENT = "ItemData"
"""The one column that may hold a nested value: it is read as its JSON text."""


def raw_table(
    con: IbisBigQuery, source: Source, found: Table, columns: Collection[str]
) -> ir.Table:
    """Return a raw table with these columns, in the source's order.

    A value of a type that no raw column may have is NULL, an ItemData of one its JSON text, an
    optional column that the table lacks NULL.

    Raises:
        InputError: the table lacks one of the other columns.
    """
    place = f"{found.project}.{found.dataset_id}.{found.table_id}"
    # names that differ in case only are the same to BigQuery
    fields = {field.name.casefold(): field for field in found.schema}
    used = {
        column: fields.get(column.name.casefold())
        for column in source.columns
        if column.name in columns
    }
    for column, field in used.items():
        if field is None and not column.optional:
            raise InputError(
                f"{place} has no column {column.name}, which the models read.",
                "Load it with that column, or name another dataset with --source-dataset.",
            )
    schema = ibis.schema({column.name: _type(column, field) for column, field in used.items()})
    if all(field and scalar(field) for field in used.values()):
        return table(con, found, schema)
    query = select(_values(used), place)
    return ops.SQLQueryResult(query.sql(DIALECT), schema, con).to_expr()


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
