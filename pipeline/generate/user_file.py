"""Writes raw users as a file: typed in Parquet, otherwise text as different tools export it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pipeline.generate.event_files import Format
from pipeline.generate.texts import time_at
from pipeline.generate.users import RawUser

_ROWS_AT_ONCE = 50_000
_TIME = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    {
        "uid": pa.int64(),
        "username": pa.string(),
        "dateRegistered": _TIME,
        "last_modified": _TIME,
    }
)


def write_users(users: Iterable[RawUser], path: Path, file_format: Format) -> int:
    """Write users as one file; return the rows."""
    writers = {"parquet": _write_parquet, "ndjson": _write_ndjson, "csv": _write_csv}
    return sum(writers[file_format](iter(users), path))


def _write_parquet(users: Iterator[RawUser], path: Path) -> Iterator[int]:
    with pyarrow.parquet.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        while batch := list(islice(users, _ROWS_AT_ONCE)):
            columns = [
                [user.uid for user in batch],
                [user.username for user in batch],
                [_time(user.date_registered) for user in batch],
                [_time(user.last_modified) for user in batch],
            ]
            writer.write_table(pa.table(columns, schema=_SCHEMA))
            yield len(batch)


def _time(at: int | None) -> Any:
    return None if at is None else time_at(at)


def _write_ndjson(users: Iterator[RawUser], path: Path) -> Iterator[int]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, user in enumerate(users):
            uid = str(user.uid) if user.uid and number % 3 == 0 else user.uid
            row = dict(zip(_SCHEMA.names, (uid, *_values(user, number)), strict=True))
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
            yield 1


def _write_csv(users: Iterator[RawUser], path: Path) -> Iterator[int]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_SCHEMA.names)
        for number, user in enumerate(users):
            uid = "unknown" if user.uid is None and number % 2 else user.uid
            writer.writerow((uid, *_values(user, number)))
            yield 1


def _values(user: RawUser, number: int) -> tuple[Any, ...]:
    registered = _mixed_time(user.date_registered, number)
    return user.username, registered, _mixed_time(user.last_modified, number // 2)


def _mixed_time(at: int | None, form: int) -> str | int | float | None:
    if at is None:
        return "never" if form % 2 else None
    time = time_at(at)
    seconds = int(time.timestamp())
    forms: tuple[str | int | float, ...] = (
        f"{time:%Y-%m-%dT%H:%M:%SZ}",
        f"{time:%Y-%m-%d %H:%M:%S} UTC",
        seconds,
        f"{time:%Y-%m-%d %H:%M:%S.%f}+00",
        seconds * 1_000,
        str(seconds),
        f"{time:%Y-%m-%d}",
        seconds + 0.5,
    )
    return forms[form % len(forms)]
