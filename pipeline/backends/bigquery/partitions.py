"""Writes more days than one job may: first into a table aside, then range of days by range."""

from __future__ import annotations

from google.cloud import bigquery

from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.statements import quoted
from pipeline.errors import EngineError

MOST = 4_000
"""The most partitions that one job may write, by BigQuery's quotas."""

_TOO_MANY = "Too many partitions"


def are_too_many(error: EngineError) -> bool:
    """Tell whether a statement failed because it would write too many partitions."""
    return _TOO_MANY in error.what


def parts_of(jobs: Jobs, rows: str, table: bigquery.Table, **labels: str) -> list[str]:
    """Return conditions that split rows into parts of at most 4,000 partitions each.

    `rows` names the table that has them now, `table` is the one to fill.
    """
    layout = table.time_partitioning
    column = quoted(layout.field)
    (kind,) = (field.field_type for field in table.schema if field.name == layout.field)
    # without a zone, a time would be in the project's default one
    in_utc, midnight = (", 'UTC'", " 00:00:00+00") if kind == "TIMESTAMP" else ("", "")
    start = f"DATE_TRUNC(DATE({column}{in_utc}), {layout.type_})"
    found = jobs.rows(f"SELECT DISTINCT {start} AS day FROM {quoted(rows)}", **labels)
    days = sorted(day for day in found["day"].to_pylist() if day is not None)
    # one less, because rows without a day are a partition too
    bounds = [f"{kind} '{day.isoformat()}{midnight}'" for day in days[:: MOST - 1]]
    parts = [f"{column} >= {lower}" for lower in bounds]
    parts = [
        f"{part} AND {column} < {upper}" for part, upper in zip(parts, bounds[1:], strict=False)
    ] + parts[-1:]
    return [*parts[:-1], f"({parts[-1]}) OR {column} IS NULL"]
