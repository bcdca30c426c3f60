"""Generated rows as files: streamed, in batches, the same bytes for the same rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.generate.history import HOUR, RawEvent
from pipeline.generate.users import RawUser
from pipeline.generate.values import time_at
from pipeline.sources import SOURCES

Format = Literal["parquet", "ndjson", "csv"]
Row = dict[str, Any]
BATCH = 50_000
BATCHES_A_FILE = 40

_TIME = pa.timestamp("us", "UTC")
EVENT_SCHEMA = SOURCES["raw_sync_events"].schema.to_pyarrow()
USER_SCHEMA = pa.schema(
    {
        "uid": pa.int64(),
        "username": pa.string(),
        "dateRegistered": _TIME,
        "last_modified": _TIME,
    }
)


def write_events(
    events: Iterable[RawEvent], folder: Path, file_format: Format, progress: Callable[[int], None]
) -> tuple[tuple[Path, ...], int]:
    """Write events as one file, or as several numbered ones; return the files and the rows."""
    batches = _batched(map(_event_row, events))
    paths: list[Path] = []
    rows = 0
    while part := list(islice(batches, 1)) or ([] if paths else [[]]):
        path = folder / f"raw_sync_events-{len(paths) + 1:05d}.{file_format}"
        for written in _write(path, file_format, EVENT_SCHEMA, _chained(part, batches)):
            rows += written
            progress(rows)
        paths.append(path)
    if len(paths) == 1:
        paths = [paths[0].replace(folder / f"raw_sync_events.{file_format}")]
    return tuple(paths), rows


def write_users(users: Iterable[RawUser], path: Path, file_format: Format) -> int:
    """Write users as one file, their times as this kind of export has them; return the rows."""
    times = _typed_times if file_format == "parquet" else _mixed_times
    rows = [
        {
            "uid": user.uid,
            "username": user.username,
            "dateRegistered": times(user.date_registered, number),
            "last_modified": times(user.last_modified, number + 1),
        }
        for number, user in enumerate(users)
    ]
    return sum(_write(path, file_format, USER_SCHEMA, iter([rows])))


def _event_row(event: RawEvent) -> Row:
    loaded = time_at(event.loaded)
    return {
        "MapSid": event.map_sid,
        "AccountSid": "AC00000000000000000000000000000001",
        "ServiceSid": "IS00000000000000000000000000000001",
        "ListSid": None,
        "ListUniqueName": None,
        "EndpointId": event.endpoint,
        "Identity": event.endpoint,
        "ProtocolVersion": "3",
        "IsIdentityOnline": event.loaded % 50 != 0,
        "EventId": event.event_id,
        "EventType": event.event_type,
        "DateCreated": None if event.created is None else time_at(event.created),
        "MapRevision": event.revision,
        "ItemRevision": event.item_revision,
        "ItemKey": event.item_key,
        "ItemData": event.item_data,
        "MapUniqueName": event.device_id,
        "_source_file": f"sync-events/{loaded:%Y/%m/%d/%H}/{event.loaded // 60_000_000:08d}.json",
        "_scheduled_timestamp": time_at((event.loaded // HOUR + 1) * HOUR),
    }


def _typed_times(micros: int | None, number: int) -> datetime | None:
    return None if micros is None else time_at(micros)


def _mixed_times(micros: int | None, number: int) -> str | int | None:
    # text exports have been made by several tools over the years
    if micros is None:
        return "unknown" if number % 2 else None
    time = time_at(micros)
    formats: tuple[Callable[[], str | int], ...] = (
        lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda: time.strftime("%Y-%m-%d %H:%M:%S UTC"),
        lambda: int(time.timestamp()),
        lambda: int(time.timestamp()) * 1_000,
        lambda: time.strftime("%Y-%m-%d %H:%M:%S.000000+00"),
        lambda: time.strftime("%Y-%m-%d"),
    )
    return formats[number % len(formats)]()


def _batched(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _chained(first: list[list[Row]], rest: Iterator[list[Row]]) -> Iterator[list[Row]]:
    yield from first
    yield from islice(rest, BATCHES_A_FILE - len(first))


def _write(
    path: Path, file_format: Format, schema: pa.Schema, batches: Iterator[list[Row]]
) -> Iterator[int]:
    writers = {"parquet": _write_parquet, "ndjson": _write_ndjson, "csv": _write_csv}
    return writers[file_format](path, schema, batches)


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterator[list[Row]]) -> Iterator[int]:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            columns = [[row[name] for row in batch] for name in schema.names]
            writer.write_table(pa.table(columns, schema=schema))
            yield len(batch)


def _write_ndjson(path: Path, schema: pa.Schema, batches: Iterator[list[Row]]) -> Iterator[int]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in batches:
            file.writelines(_json_line(row, number) for number, row in enumerate(batch))
            yield len(batch)


def _json_line(row: Row, number: int) -> str:
    item = row.get("ItemData")
    if item and number % 4 == 0 and (nested := _as_object(item)):
        row = row | {"ItemData": nested}
    return json.dumps(row, default=_time_text, separators=(",", ":")) + "\n"


def _as_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _write_csv(path: Path, schema: pa.Schema, batches: Iterator[list[Row]]) -> Iterator[int]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(schema.names)
        for batch in batches:
            writer.writerows([_csv_text(value) for value in row.values()] for row in batch)
            yield len(batch)


def _csv_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return _time_text(value) if isinstance(value, datetime) else value


def _time_text(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f UTC")
