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

from pipeline.backends.bigquery.statements import DIALECT, select
from pipeline.backends.bigquery.types import scalar
from pipeline.errors import InputError
from pipeline.sources import Source

DOCUMENT = "ItemData"
"""The one column that may hold a nested value: it is read as its JSON text."""


def raw_table(
    con: IbisBigQuery, source: Source, found: Table, columns: Collection[str]
) -> ir.Table:
    """Return a raw table with these columns, in the source's order.

    A value of a type that no raw column may have is NULL, an ItemData of one its JSON text.

    Raises:
        InputError: the table lacks one of the columns.
    """
    place = f"{found.project}.{found.dataset_id}.{found.table_id}"
    # names that differ in case only are the same to BigQuery
    fields = {field.name.casefold(): field for field in found.schema}
    names = [column.name for column in source.columns if column.name in columns]
    for name in names:
        if name.casefold() not in fields:
            raise InputError(
                f"{place} has no column {name}, which the models read.",
                "Load it with that column, or name another dataset with --source-dataset.",
            )
    used = {name: fields[name.casefold()] for name in names}
    schema = ibis.schema({name: scalar(field) or dt.string for name, field in used.items()})
    if all(scalar(field) for field in used.values()):
        return table(con, found, schema)
    query = select(_values(used), place)
    return ops.SQLQueryResult(query.sql(DIALECT), schema, con).to_expr()


def table(con: IbisBigQuery, found: Table, schema: ibis.Schema) -> ir.Table:
    """Return a table of the warehouse as an expression."""
    namespace = ops.Namespace(catalog=found.project, database=found.dataset_id)
    return ops.DatabaseTable(found.table_id, schema, con, namespace).to_expr()


def _values(used: Mapping[str, SchemaField]) -> list[sge.Alias]:
    return [
        sge.Alias(this=_value(name, field), alias=sge.to_identifier(name, quoted=True))
        for name, field in used.items()
    ]


def _value(name: str, field: SchemaField) -> sge.Expression:
    column = sge.column(name, quoted=True)
    if scalar(field):
        return column
    if name == DOCUMENT:
        return sge.Anonymous(this="TO_JSON_STRING", expressions=[column])
    return sge.cast(sge.null(), "STRING", dialect=DIALECT)
