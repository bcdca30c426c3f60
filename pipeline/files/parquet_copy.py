"""Copies sound Parquet that DuckDB can't read, with PyArrow.

DuckDB stops at one value that does not fit its column's type, such as text that is not UTF-8 or a
time in milliseconds near INT64's end. It lacks some codecs and encodings. It also truncates
nanoseconds with a zone toward 1970. In the copy, such a value is NULL, and times are microseconds.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Collection, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.disk import writing

_PER_MICROSECOND = {"ns": 1000, "us": 1}
_MICROSECONDS = {"ms": 1000, "s": 1_000_000}
_LIMIT = 2**63 - 1
_ROWS = 50_000


def copy(path: Path, names: Collection[str], target: Path) -> None:
    """Write these columns of a file to another one, with types and values that DuckDB can read.

    Raises:
        pa.ArrowException, OSError: PyArrow can't read the file either.
        ResourceError: the disk is full.
    """
    with (
        path.open("rb") as content,
        pq.ParquetFile(
            content, coerce_int96_timestamp_unit="us", page_checksum_verification=True
        ) as file,
    ):
        tables = (
            pa.table({name: _fitting(_first(batch, name)) for name in names})
            for batch in file.iter_batches(_ROWS, columns=[*names])
        )
        _write(tables, target)


def _first(batch: pa.RecordBatch, name: str) -> pa.Array:
    # by place, because two columns may have one name
    return batch.column(batch.schema.names.index(name))


def _write(tables: Iterable[pa.Table], target: Path) -> None:
    writer = None
    try:
        for table in tables:
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                writer = writer or pq.ParquetWriter(target, table.schema)
                writer.write_table(table)
    finally:
        if writer:
            writer.close()


def _fitting(values: pa.Array) -> pa.Array:
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _fitting(values.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return _times(values)
    if pa.types.is_nested(kind):
        return pa.array([_json(value) for value in _python(values)], pa.string())
    if _is_text(kind):
        return _texts(values)
    return values


def _is_text(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    blobs = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in (*texts, *blobs))


def _texts(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        found = values.cast(pa.large_binary()).to_pylist()
        return pa.array([_text(value) for value in found], pa.large_string())


def _text(value: bytes | None) -> str | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _times(values: pa.Array) -> pa.Array:
    unit, zone = values.type.unit, values.type.tz
    numbers = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    micros = _PER_MICROSECOND.get(unit, 1)
    times = _MICROSECONDS.get(unit, 1)
    is_none = values.is_null().to_numpy(zero_copy_only=False)
    # -2^63 is no time in any unit
    fits = (numbers >= -(_LIMIT // times)) & (numbers <= _LIMIT // times)
    whole = np.where(fits, numbers, 0) // micros * times
    return pa.array(whole, mask=is_none | ~fits).cast(pa.timestamp("us", zone and "UTC"))


def _python(values: pa.Array) -> list[Any]:
    return [_of_scalar(value) for value in values]


def _of_scalar(value: pa.Scalar) -> Any:
    """Return a value as in JSON; null if JSON can't hold it."""
    if not value.is_valid:
        return None
    kind = value.type
    if pa.types.is_struct(kind):
        return {field.name: _of_scalar(value[place]) for place, field in enumerate(kind)}
    if pa.types.is_map(kind):
        return {str(_of_scalar(e["key"])): _of_scalar(e["value"]) for e in value.values}
    if pa.types.is_nested(kind):
        return [_of_scalar(each) for each in value.values]
    if pa.types.is_timestamp(kind):
        return _time(_times(pa.array([value.value], pa.int64()).cast(kind))[0])
    if _is_text(kind):
        return _texts(pa.array([value]))[0].as_py()
    found = value.as_py()
    if isinstance(found, float):
        # a smaller float has a shorter form
        short = float(str(found if kind == pa.float64() else np.float32(found)))
        return short if math.isfinite(short) else None
    if isinstance(found, dt.date):
        return f"{found.isoformat()} 00:00:00"
    if isinstance(found, Decimal):
        return int(found) if found == found.to_integral_value() else float(found)
    return found if isinstance(found, int | float | str) else str(found)


def _time(value: pa.Scalar) -> str | None:
    try:
        time = value.as_py()
    except (OverflowError, ValueError):
        return None
    return time and time.replace(tzinfo=None).isoformat(" ") + ("Z" if value.type.tz else "")


def _json(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
