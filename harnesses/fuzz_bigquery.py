"""Run the statements for BigQuery on mutated rows, on Google's own engine for its SQL.

python -m harnesses.fuzz_bigquery --events 4000

The rows are those of `harnesses.fuzz`, as texts, in batches that the engine's evaluator takes; it
has no room for a few very long ones. No statement may fail, and every row must have one
disposition. If the contract leaves nothing to the engine, all models must have DuckDB's rows.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import click
import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from zetasql.core.exceptions import ZetaSQLError

import pipeline
from harnesses import values
from harnesses.edges import is_at_an_edge
from harnesses.fuzz import raw_events
from harnesses.verdict import KEEP, Verdict
from pipeline import catalog
from pipeline.expressions import expression
from pipeline.sources import SOURCES
from pipeline.sql import to_sql
from tests import googlesql

BATCH = 1_000
"""The rows of raw_sync_events that make two batches, by whether an engine may decide."""

LONGEST = 20_000
"""The most bytes of a value: the evaluator makes no struct of more than a megabyte."""

USERS = 40
"""The rows of raw_users in a batch."""

FIGURES = [
    *("events", "events_too_long", "events_left_to_the_engine", "users"),
    *("statements", "rows_compared"),
]
Raw = dict[str, pa.Table]


@click.command()
@click.option("--events", type=click.IntRange(1), default=4_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(events: int, seed: int, keep: bool) -> None:
    """Fuzz the statements for BigQuery."""
    verdict = Verdict("fuzz_bigquery", FIGURES)
    statements = _statements()
    for raw, at_an_edge in _batches(events, seed, verdict):
        built = _on_googlesql(raw, statements, verdict)
        if built is None:
            continue
        _add_up(built, raw, verdict)
        if not at_an_edge:
            _compare(built, _on_duckdb(raw), verdict)
    verdict.finish(keep=keep, seed=seed)


def _batches(events: int, seed: int, verdict: Verdict) -> Iterator[tuple[Raw, bool]]:
    """Yield raw tables, each with whether the contract leaves its events to the engine."""
    rows, random = raw_events(Random(seed), events), Random(seed)
    while batch := [values.plain(row) for _, row in islice(rows, BATCH)]:
        short = [row for row in batch if _fits(row)]
        verdict.figures["events"] += len(batch)
        verdict.figures["events_too_long"] += len(batch) - len(short)
        for at_an_edge in (True, False):
            some = [row for row in short if is_at_an_edge(row) == at_an_edge]
            users = [values.plain(values.user(random, n, good=n % 4 == 0)) for n in range(USERS)]
            users = [row for row in users if _fits(row)]
            verdict.figures["events_left_to_the_engine"] += at_an_edge * len(some)
            verdict.figures["users"] += len(users)
            tables = {"raw_sync_events": some, "raw_users": users}
            yield {name: _table(name, rows) for name, rows in tables.items()}, at_an_edge


def _fits(row: values.Row) -> bool:
    return all(len((value or "").encode()) <= LONGEST for value in row.values())


def _table(source: str, rows: list[values.Row]) -> pa.Table:
    names = SOURCES[source].schema
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names})


def _statements() -> dict[str, str]:
    """Return each model's statement for raw columns that are all texts."""
    models = catalog.load().models

    def table(name: str) -> ibis.Table:
        texts = dict.fromkeys(SOURCES[name].schema, "string") if name in SOURCES else None
        schema = texts or models[name].schema
        return ibis.table(schema, name=name, catalog="project", database="dataset")

    return {name: to_sql(expression(model, table), "bigquery") for name, model in models.items()}


def _on_googlesql(raw: Raw, statements: dict[str, str], verdict: Verdict) -> Raw | None:
    """Return the tables that the statements make, None if one of them fails."""
    tables = {f"project.dataset.{name}": table for name, table in raw.items()}
    for name, sql in statements.items():
        try:
            tables[f"project.dataset.{name}"] = googlesql.query(sql, tables)
        except ZetaSQLError as error:
            verdict.expect(False, f"{name} is made whatever the rows hold, but {error}")
            return None
        verdict.figures["statements"] += 1
    return {name: tables[f"project.dataset.{name}"] for name in statements}


def _on_duckdb(raw: Raw) -> Raw:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        files = {name: Path(folder) / f"{name}.parquet" for name in raw}
        for name, table in raw.items():
            pq.write_table(table, files[name])
        database = Path(folder) / "pipeline.duckdb"
        events, users = files["raw_sync_events"], files["raw_users"]
        project = pipeline.connect("duckdb", database=database, events=events, users=users)
        if not project.build(checks=False).published:
            raise RuntimeError("a build on DuckDB failed: harnesses.fuzz is to tell more")
        with duckdb.connect(str(database), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            return {name: con.table(name).to_arrow_table() for name in project.models}


def _add_up(built: Raw, raw: Raw, verdict: Verdict) -> None:
    told: Counter[str] = Counter()
    for row in built["audit_dispositions"].to_pylist():
        told[row["source"]] += row["number_of_rows"]
    for name, table in raw.items():
        verdict.expect(
            told[name] == len(table),
            f"the dispositions of {name} add up to its rows, not {told[name]}",
        )


def _compare(found: Raw, right: Raw, verdict: Verdict) -> None:
    for name, table in right.items():
        differ = _rows(table) - _rows(found[name])
        verdict.expect(
            not differ and len(table) == len(found[name]),
            f"{name} has the rows of DuckDB, and {len(differ)} do not: {[*differ][:1]}",
        )
        verdict.figures["rows_compared"] += len(table)


def _rows(table: pa.Table) -> Counter[str]:
    return Counter(repr(_plain(row)) for row in table.to_pylist())


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return (
        {name: _plain(field) for name, field in value.items()} if isinstance(value, dict) else value
    )


if __name__ == "__main__":
    main()
