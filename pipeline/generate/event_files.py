"""Writes raw events as files: streamed, with the same bytes for the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from pipeline.generate.delivery import EVENT_SCHEMA
from pipeline.generate.texts import HOUR, Ints, joined, rewritten

Format = Literal["parquet", "ndjson", "csv"]
Write = Callable[[pa.Table], None]

ROWS_A_FILE = 2_000_000
_NESTED_EVERY = 16  # in one of so many NDJSON rows, ItemData is an object, not text
_FEW_VALUES = ["AccountSid", "ServiceSid", "EventType", "ItemKey", "_source_file", "Identity"]
_TIMES = ["DateCreated", "_scheduled_timestamp"]
_TEXT_SCHEMA = pa.schema(
    [pa.field(field.name, pa.string()) if field.name in _TIMES else field for field in EVENT_SCHEMA]
)


def write_events(
    events: Iterable[pa.Table], folder: Path, file_format: Format, progress: Callable[[int], None]
) -> tuple[tuple[Path, ...], int]:
    """Write events as one file, or as several numbered ones; return the files and the rows."""
    tables = iter(events)
    paths: list[Path] = []
    rows = 0
    table = next(tables, EVENT_SCHEMA.empty_table())
    while table is not None:
        full = rows + ROWS_A_FILE
        paths.append(folder / f"raw_sync_events-{len(paths) + 1:05d}.{file_format}")
        with _WRITERS[file_format](paths[-1]) as write:
            while table is not None and rows < full:
                write(table)
                rows += len(table)
                progress(rows)
                table = next(tables, None)
    if len(paths) == 1:
        paths = [paths[0].replace(folder / f"raw_sync_events.{file_format}")]
    return tuple(paths), rows


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    with pyarrow.parquet.ParquetWriter(
        path, EVENT_SCHEMA, compression="zstd", use_dictionary=_FEW_VALUES
    ) as writer:
        yield writer.write_table


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with pyarrow.csv.CSVWriter(path, _TEXT_SCHEMA) as writer:
        yield lambda table: writer.write_table(_with_time_texts(table))


@contextmanager
def _ndjson(path: Path) -> Iterator[Write]:
    with path.open("wb") as file:
        yield lambda table: _write_lines(file, table)


def _write_lines(file: BinaryIO, table: pa.Table) -> None:
    if len(table):
        file.write(_lines(_with_time_texts(table)))


_WRITERS: dict[Format, Callable[[Path], AbstractContextManager[Write]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "ndjson": _ndjson,
}


def _with_time_texts(table: pa.Table) -> pa.Table:
    number = table["EventId"].to_numpy()
    texts = {
        "DateCreated": _created_texts(_micros(table["DateCreated"]), number),
        "_scheduled_timestamp": joined(_clock(_micros(table["_scheduled_timestamp"])), " UTC"),
    }
    columns = [texts.get(name, table[name]) for name in table.column_names]
    return pa.table(columns, schema=_TEXT_SCHEMA)


def _created_texts(micros: pa.Array, number: Ints) -> pa.Array:
    """Write times as different tools export them; some are missing, some are no time."""
    clock = _clock(micros)
    elsewhere = _clock(pc.add(micros, 2 * HOUR))
    forms = (
        joined(clock, " UTC"),
        joined(clock, "+00"),
        joined(pc.binary_replace_slice(elsewhere, 10, 11, "T"), "+02:00"),
        clock,
        joined(pc.binary_replace_slice(clock, 10, 11, "T"), "Z"),
    )
    texts = pc.choose(pa.array(np.minimum(number % 20, 4)), *forms)
    is_unreadable = pc.and_(pc.is_null(texts), pa.array(number % 2 == 0))
    return pc.if_else(is_unreadable, "unknown", texts)


def _micros(times: pa.ChunkedArray) -> pa.Array:
    return times.combine_chunks().cast(pa.int64())


def _clock(micros: pa.Array) -> pa.Array:
    return micros.cast(pa.timestamp("us")).cast(pa.string())


def _lines(table: pa.Table) -> pa.Buffer:
    """Return the rows as lines of JSON, in one buffer."""
    members = [
        joined(f',"{name}":', _json_values(table[name].combine_chunks(), name, table["EventId"]))
        for name in table.column_names
    ]
    lines = joined("{", pc.utf8_slice_codeunits(members[0], 1), *members[1:], "}\n")
    return lines.buffers()[2].slice(0, pc.sum(pc.binary_length(lines)).as_py())


def _json_values(column: pa.Array, name: str, number: pa.ChunkedArray) -> pa.Array:
    if name == "ItemData":
        return _item_values(column, number.to_numpy())
    text = column.cast(pa.string())
    return pc.coalesce(joined('"', text, '"') if column.type == pa.string() else text, "null")


def _item_values(items: pa.Array, number: Ints) -> pa.Array:
    escaped = items
    for letter, escape in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
        escaped = pc.replace_substring(escaped, letter, escape)
    values = pc.coalesce(joined('"', escaped, '"'), "null")
    rows = np.flatnonzero(number % _NESTED_EVERY == 0)
    texts = dict(zip(rows.tolist(), items.take(rows).to_pylist(), strict=True))
    return rewritten(values, rows, lambda value, row: _as_object(texts[row]) or value)


def _as_object(text: str | None) -> str | None:
    try:
        value = json.loads(text or "")
    except ValueError:
        return None
    return text if text and isinstance(value, dict) and "\n" not in text else None
