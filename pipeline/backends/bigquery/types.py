"""BigQuery's types as the pipeline's; every time is UTC in microseconds."""

from __future__ import annotations

from collections.abc import Iterable

import ibis
import ibis.expr.datatypes as dt
from google.cloud.bigquery import SchemaField

from pipeline.contract import TIMESTAMP

_SCALARS = {
    "STRING": "string",
    "INTEGER": "int64",
    "INT64": "int64",
    "FLOAT": "float64",
    "FLOAT64": "float64",
    "BOOLEAN": "boolean",
    "BOOL": "boolean",
    "DATE": "date",
    "DATETIME": "timestamp(6)",
    "TIMESTAMP": TIMESTAMP,
    "NUMERIC": "decimal(38, 9)",
    "BIGNUMERIC": "decimal(76, 38)",
}


def scalar(field: SchemaField) -> dt.DataType | None:
    """Return the type of a column of plain values, None for a nested or repeated column."""
    kind = None if field.mode == "REPEATED" else _SCALARS.get(field.field_type)
    return dt.dtype(kind) if kind else None


def schema_of(fields: Iterable[SchemaField]) -> ibis.Schema:
    """Return the schema of a built table; a column that no model makes has an unknown type."""
    return ibis.schema({field.name: _type(field) for field in fields})


def _type(field: SchemaField) -> dt.DataType:
    if field.field_type in ("RECORD", "STRUCT"):
        element: dt.DataType = dt.Struct({inner.name: _type(inner) for inner in field.fields})
    else:
        element = dt.dtype(_SCALARS.get(field.field_type, "unknown"))
    return dt.Array(element) if field.mode == "REPEATED" else element
