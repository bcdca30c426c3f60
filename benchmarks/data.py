"""The raw data of the benchmarks, generated once and kept."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.generate import generate

EVENTS_A_COMMAND = 10
_COMMANDS_A_DEVICE = 100
_DAYS = 60


@dataclass(frozen=True)
class Data:
    """Generated files: a glob of events, the users, the number of events, and their bytes."""

    events: str
    users: Path
    rows: int
    size: int


def generated(folder: Path, events: int) -> Data:
    """Return about so many events; generate them only if they are not there yet."""
    output = folder / f"events-{events}"
    if not (output / "raw_users.parquet").exists():
        _generate(output, events, "parquet")
    return _data(output)


def of_kind(folder: Path, events: int, kind: str) -> Data:
    """Return the same events and users in files of another kind, such as `csv` or `csv.gz`."""
    even = generated(folder, events)
    if kind == "parquet":
        return even
    output = folder / f"events-{events}-{kind}"
    if not (output / f"raw_users.{kind}").exists():
        format, _, packed = kind.partition(".")
        _generate(output, events, format)
        if packed:
            subprocess.run(["gzip", "-6", *output.iterdir()], check=True)
    files = list(output.glob("raw_sync_events*"))
    size = sum(file.stat().st_size for file in files)
    return Data(
        str(output / f"raw_sync_events*.{kind}"), output / f"raw_users.{kind}", even.rows, size
    )


def with_a_hot_device(folder: Path, even: Data) -> Data:
    """Return the same events, with those of every fifth device moved to a single device."""
    output = folder / f"hot-{even.rows}"
    if not output.exists():
        output.mkdir(parents=True)
        duckdb.connect().execute(
            "COPY (SELECT * REPLACE (CASE WHEN MapUniqueName LIKE '%0' OR MapUniqueName LIKE '%5'"
            " THEN 'device-hot' ELSE MapUniqueName END AS MapUniqueName) FROM read_parquet(?))"
            f" TO '{output / 'raw_sync_events.parquet'}'",
            [even.events],
        )
        (output / "raw_users.parquet").write_bytes(even.users.read_bytes())
    return _data(output)


def _generate(output: Path, events: int, format: str) -> None:
    commands = events // EVENTS_A_COMMAND
    generate(
        output,
        commands=commands,
        devices=max(4, commands // _COMMANDS_A_DEVICE),
        days=_DAYS,
        seed=1,
        format=format,
    )


def _data(output: Path) -> Data:
    events = str(output / "raw_sync_events*.parquet")
    files = list(output.glob("raw_sync_events*.parquet"))
    (rows,) = duckdb.sql(f"SELECT count(*) FROM read_parquet('{events}')").fetchone() or (0,)
    return Data(
        events, output / "raw_users.parquet", rows, sum(file.stat().st_size for file in files)
    )
