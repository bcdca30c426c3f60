"""Arrow columns as Python values, without pandas.

PyArrow's own `to_pylist` loads pandas before it makes the first time, which takes as long as a
small build.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def dicts_of(rows: pa.Table) -> list[dict[str, Any]]:
    """Return the rows as `to_pylist` does."""
    columns = [values_of(column) for column in rows.columns]
    return [dict(zip(rows.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def values_of(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return the values as `to_pylist` does."""
    kind = column.type
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in values_of(chunk)]
    if pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz == "UTC":
        moments = column.view(pa.int64()).to_pylist()
        return [None if at is None else EPOCH + timedelta(microseconds=at) for at in moments]
    if pa.types.is_list(kind):
        return [values_of(each.values) if each.is_valid else None for each in column]
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        rows = zip(*(values_of(column.field(name)) for name in names), strict=True)
        return [
            dict(zip(names, row, strict=True)) if each.is_valid else None
            for each, row in zip(column, rows, strict=True)
        ]
    return column.to_pylist()
