"""More days than one job may write: the rows go aside first, then in by ranges of days."""

from __future__ import annotations

from google.cloud import bigquery

from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.statements import quoted
from pipeline.errors import EngineError

MOST = 4_000
"""The partitions that one job may write, by BigQuery's quotas."""

_TOO_MANY = "Too many partitions"


def are_too_many(error: EngineError) -> bool:
    """Tell whether a statement failed because it would write too many partitions."""
    return _TOO_MANY in error.what


def parts_of(jobs: Jobs, rows: str, table: bigquery.Table, **labels: str) -> list[str]:
    """Return conditions that cut a table's rows into parts of at most 4,000 partitions each.

    `rows` is the name of the table that has them now, `table` the one that they are for.
    """
    layout = table.time_partitioning
    column = quoted(layout.field)
    (kind,) = (field.field_type for field in table.schema if field.name == layout.field)
    start = f"DATE_TRUNC(DATE({column}), {layout.type_})"
    found = jobs.rows(f"SELECT DISTINCT {start} AS day FROM {quoted(rows)}", **labels)
    days = sorted(day for day in found["day"].to_pylist() if day is not None)
    # one less, since rows without a day are a partition too
    bounds = [f"{kind} '{day.isoformat()}'" for day in days[:: MOST - 1]]
    parts = [f"{column} >= {lower}" for lower in bounds]
    parts = [
        f"{part} AND {column} < {upper}" for part, upper in zip(parts, bounds[1:], strict=False)
    ] + parts[-1:]
    return [*parts[:-1], f"({parts[-1]}) OR {column} IS NULL"]
