"""Writes rows of a model as a table for people, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from rich.text import Text

from pipeline.arrow_values import dicts_of, values_of
from pipeline.output.fitting import Fields, Sheet
from pipeline.output.moments import moments

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def rows_table(rows: pa.Table) -> Sheet:
    """Return rows as a table for people.

    Times are UTC. A part that is zero in all rows of a column is left out: the time of day, or the
    last digits of the seconds. Fractions have six digits; JSON and CSV have all of them.
    """
    return Sheet(
        rows.column_names,
        list(zip(*map(_cells, rows.columns), strict=True)),
        right=[field.name for field in rows.schema if _is_number(field.type)],
        blocks=_blocks(rows),
    )


def rows_json(rows: pa.Table) -> str:
    """Return rows as a JSON list of objects; times are ISO-8601."""
    return json.dumps(_plain(dicts_of(rows)), ensure_ascii=False, indent=2)


def rows_csv(rows: pa.Table) -> str:
    """Return rows as CSV with a header; arrays and structs are JSON, NULL is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    for row in dicts_of(rows):
        writer.writerow("" if value is None else _cell(value) for value in row.values())
    return text.getvalue()


def _cells(column: pa.ChunkedArray) -> list[Text]:
    """Return each value of a column on one line."""
    values = values_of(column)
    if pa.types.is_timestamp(column.type):
        return [Text(each) for each in moments(values)]
    if pa.types.is_floating(column.type):
        values = [_rounded(value) for value in values]
    return [Text(_on_screen(value)) for value in values]


def _fields(column: pa.ChunkedArray) -> list[Text] | list[Sequence[Fields]]:
    """Return each value of a column; an array of structs is a list of blocks."""
    if not (pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type)):
        return _cells(column)
    structs = (each.values if each.is_valid else None for each in column)
    return [_blocks(pa.RecordBatch.from_struct_array(each)) if each else [] for each in structs]


def _blocks(rows: pa.Table | pa.RecordBatch) -> Sequence[Fields]:
    columns = [_fields(column) for column in rows.columns]
    return [list(zip(rows.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _rounded(value: float | None) -> float | None:
    # a number that is not 0 must not look like 0
    return value if value is None else round(value, 6) or value


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _on_screen(value: Any) -> str:
    # control characters in the data must not move the cursor or break the line
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), _cell(value))


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | dict):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return str(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(field) for name, field in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
