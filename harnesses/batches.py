"""Splits raw events into batches, with late copies of some events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

SHIFTS = (-86_400, -40, -20, -15, -1, -0.000001, 0, 0.000001, 1, 15, 20, 40, 86_400)
SPLITS = ("rows", "devices", "time", "uneven", "moved")
"""Ways to split events into batches."""


def split(random: Random, events: pa.Table, how: str, number: int) -> list[pa.Table]:
    """Return the events in so many batches, some of them empty; `moved` adds late copies."""
    rows = events.num_rows
    if how == "time":
        order = events.append_column("n", pa.array(range(rows))).sort_by("DateCreated")["n"]
        place = {row: at for at, row in enumerate(order.to_pylist())}
        batch = [place[row] * number // max(1, rows) for row in range(rows)]
    elif how == "devices":
        of_device: dict[Any, int] = {}
        names = events["MapUniqueName"].to_pylist()
        batch = [of_device.setdefault(name, random.randrange(number)) for name in names]
    else:
        weights = [10 ** random.randrange(3) for _ in range(number)] if how == "uneven" else None
        batch = random.choices(range(number), weights, k=rows)
    parts = [events.filter(pa.array([each == part for each in batch])) for part in range(number)]
    if how == "moved":
        whole = pa.concat_tables(parts)
        parts = [whole, *(moved(random, whole, random.choice((1, 2, 5))) for _ in range(number))]
    return parts


def moved(random: Random, events: pa.Table, number: int) -> pa.Table:
    """Return late copies of some events: at another time, sometimes from another device."""
    devices = [name for name in set(events["MapUniqueName"].to_pylist()) if name]
    rows = []
    for row in random.choices(events.to_pylist(), k=number) if events.num_rows else []:
        time = row["DateCreated"]
        if isinstance(time, dt.datetime):
            time += dt.timedelta(seconds=random.choice(SHIFTS))
        device = random.choice(devices) if devices and random.random() < 0.3 else None
        rows.append(
            row
            | {"DateCreated": time, "MapUniqueName": device or row["MapUniqueName"]}
            | ({"MapRevision": random.choice("19af")} if random.random() < 0.3 else {})
        )
    return pa.Table.from_pylist(rows, schema=events.schema)


def write(random: Random, folder: Path, parts: list[pa.Table]) -> Iterator[Path]:
    """Write each batch to a file of a random kind, and yield its path."""
    for number, part in enumerate(parts):
        kind = random.choice(("parquet", "parquet", "text.parquet", "csv"))
        path = folder / f"events-{number:02}.{kind}"
        if kind == "parquet":
            pq.write_table(part, path)
        else:
            texts = _as_texts(part)
            pv.write_csv(texts, path) if kind == "csv" else pq.write_table(texts, path)
        yield path


def _as_texts(table: pa.Table) -> pa.Table:
    columns = {
        name: pa.array(
            [None if value is None else _text(value) for value in table[name].to_pylist()],
            pa.string(),
        )
        for name in table.column_names
    }
    return pa.table(columns)


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "microseconds")
    return str(value).lower() if isinstance(value, bool) else str(value)
