"""Build from raw rows mutated in every column, and check the build's promises.

python -m harnesses.fuzz --events 1000000

Whatever the rows hold, the build goes on. Every raw row has one disposition. The good rows among
the bad ones give the same results as alone; they have devices, ids and users of their own.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import click
import duckdb

import pipeline
from harnesses import values
from pipeline.errors import PipelineError

Row = dict[str, Any]
BATCH = 50_000
GOOD_EVERY = 20
_COMPARED = {
    "stg_commands": "device_id LIKE 'good-%'",
    "stg_command_actives": "device_id LIKE 'good-%'",
    "stg_command_results": "device_id LIKE 'good-%'",
    "stg_readings": "device_id LIKE 'good-%'",
    "stg_users": "user_id LIKE '900000%'",
    "dim_users": "user_id LIKE '900000%'",
    "fct_command_statuses": "device_id LIKE 'good-%'",
    "fct_command_readings": "device_id LIKE 'good-%'",
}
"""The condition for the rows of good ones, by model."""


@click.command()
@click.option("--events", type=click.IntRange(1), default=20_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Keep files and databases here.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(events: int, seed: int, folder: Path | None, output: Path | None) -> None:
    """Fuzz a build; status 1 if it breaks a promise."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        found = fuzz(folder or Path(temporary), events, seed)
    click.echo(json.dumps(found, indent=2))
    if output:
        output.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(1 if found["broken"] else 0)


def fuzz(folder: Path, events: int, seed: int) -> dict[str, Any]:
    """Write the rows, build the good ones alone and all together, and compare."""
    folder.mkdir(parents=True, exist_ok=True)
    files = values.Files(folder)
    rows = raw_events(Random(seed), events)
    while batch := list(islice(rows, BATCH)):
        files.write(batch)
    files.write_users(Random(seed), max(100, events // 20))
    alone = _build(folder / "alone.duckdb", files.good)
    started = time.perf_counter()
    together = _build(folder / "together.duckdb", files.all)
    seconds = time.perf_counter() - started
    broken = [each for each in (alone, together) if each] or list(
        _broken(folder, files.events, files.users)
    )
    return {
        "seed": seed,
        "events": files.events,
        "good_events": files.good_events,
        "users": files.users,
        "seconds_of_the_build": round(seconds, 1),
        "dispositions": {} if together else _dispositions(folder / "together.duckdb"),
        "broken": broken,
    }


def raw_events(random: Random, events: int) -> Iterator[tuple[bool, Row]]:
    """Yield each event with whether it is good; no good one comes twice."""
    start = dt.datetime(2022, 1, 1, tzinfo=dt.UTC)
    for number in range(events):
        good = number % GOOD_EVERY < 4
        story = number // GOOD_EVERY
        at = start + dt.timedelta(seconds=story * 2 % 5_000_000)
        row = values.event(number % 4, f"{story}", at, "good" if good else "bad")
        yield good, row if good else values.mutated(random, row, story)


def _build(database: Path, inputs: dict[str, list[Path]]) -> str | None:
    """Build without checks; return the error, if there is one."""
    try:
        built = pipeline.connect("duckdb", database=database, **inputs).build(checks=False)
    except PipelineError as error:
        return f"{database.stem}: {error}"
    return None if built.ok else f"{database.stem}: {built}"


def _dispositions(database: Path) -> dict[str, int]:
    with duckdb.connect(str(database), read_only=True) as con:
        query = "SELECT source || ' ' || disposition, sum(number_of_rows)::BIGINT FROM"
        return dict(con.execute(f"{query} audit_dispositions GROUP BY 1 ORDER BY 1").fetchall())


def _broken(folder: Path, events: int, users: int) -> Iterator[str]:
    together = _dispositions(folder / "together.duckdb")
    for source, rows in (("raw_sync_events", events), ("raw_users", users)):
        told = sum(number for name, number in together.items() if name.startswith(source))
        if told != rows:
            yield f"{source} has {rows} rows, the dispositions add up to {told}"
    with duckdb.connect() as con:
        for name in ("alone", "together"):
            con.execute(f"ATTACH '{folder / name}.duckdb' AS {name} (READ_ONLY)")
        for model, good in _COMPARED.items():
            one, every = (f"FROM {name}.{model} WHERE {good}" for name in ("alone", "together"))
            differ = f"(({one}) EXCEPT ALL ({every})) UNION ALL (({every}) EXCEPT ALL ({one}))"
            (rows,) = con.execute(f"SELECT count(*) {one}").fetchone() or (0,)
            (found,) = con.execute(f"SELECT count(*) FROM ({differ})").fetchone() or (0,)
            if found or not rows:
                yield f"{model}: {found} good rows differ among the bad ones, of {rows} alone"


if __name__ == "__main__":
    main()
