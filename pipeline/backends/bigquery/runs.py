"""The table of builds beside the models: each build's sources, models and checks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.statements import quoted, require, text, time
from pipeline.backends.rows import record_of, row_of
from pipeline.results import RunRecord

RUNS = "_pipeline_runs"
DESCRIPTION = "One row per build that was published."

SCHEMA = (
    SchemaField("started_at", "TIMESTAMP", description="when the build began (UTC)"),
    SchemaField("seconds", "FLOAT64", description="how long it took"),
    SchemaField("sources", "STRING", description="JSON: the rows read of each source"),
    SchemaField("models", "STRING", description="JSON: the models built"),
    SchemaField("checks", "STRING", description="JSON: the checks and their results"),
    SchemaField("mode", "STRING", description="full or partial"),
    SchemaField("code", "STRING", description="stands for the pipeline's code"),
    SchemaField("engine", "STRING", description="the engine's version, where it has one"),
    SchemaField(
        "indexed", "STRING", description="JSON: the columns of _pipeline_days that are complete"
    ),
    SchemaField("run", "STRING", description="the build's own name, on its jobs' labels too"),
    SchemaField(
        "published_at",
        "TIMESTAMP",
        description="a moment (UTC) at which this build's rows were the published ones in every"
        " table: FOR SYSTEM_TIME AS OF it reads one build, for seven days",
    ),
)
MEANWHILE = "Another build was published since this one began"
# the record of a build is there before its time of publication is
_PUBLISHED = (
    "COALESCE(published_at, IF(run IS NULL, started_at,"
    " TIMESTAMP_ADD(started_at, INTERVAL CAST(seconds * 1000000 AS INT64) MICROSECOND)))"
)


def table_of(dataset: str) -> bigquery.Table:
    """Return the empty table; `dataset` includes its project."""
    table = bigquery.Table(f"{dataset}.{RUNS}", SCHEMA)
    table.description = DESCRIPTION
    return table


def with_new_columns(found: bigquery.Table) -> bool:
    """Add the columns that an older version's table lacks; tell whether it lacked any."""
    there = {field.name for field in found.schema}
    lacking = [field for field in SCHEMA if field.name not in there]
    found.schema = [*found.schema, *lacking]
    return bool(lacking)


def insert(dataset: str, record: RunRecord, run: str) -> str:
    """Return the statement that adds a record; `published_at` stays NULL until all is published.

    It adds the record only once: if BigQuery fails after the commit, the job is sent again.
    """
    row = row_of(record)
    values = {
        "started_at": time(row.pop("started_at")),
        "seconds": repr(row.pop("seconds")),
        **{name: text(value) for name, value in row.items()},
        "indexed": text(json.dumps(record.indexed)),
        "run": text(run),
    }
    names = ", ".join(map(quoted, values))
    place = quoted(f"{dataset}.{RUNS}")
    once = f"NOT EXISTS (SELECT 1 FROM {place} WHERE run = {text(run)})"
    row_of_values = f"SELECT {', '.join(values.values())} FROM UNNEST([1])"
    return f"INSERT INTO {place} ({names})\n{row_of_values}\nWHERE {once}"


def mark_published(dataset: str, run: str) -> str:
    """Return the statement that records when a run was published."""
    return (
        f"UPDATE {quoted(f'{dataset}.{RUNS}')} SET published_at = CURRENT_TIMESTAMP()\n"
        f"WHERE run = {text(run)}"
    )


def is_recorded(jobs: Jobs, dataset: str, run: str) -> bool:
    """Tell whether the record of a run is there, so its transaction was committed."""
    place = quoted(f"{dataset}.{RUNS}")
    return bool(jobs.rows(f"SELECT run FROM {place} WHERE run = {text(run)}").num_rows)


def latest(jobs: Jobs, found: bigquery.Table, limit: int) -> list[RunRecord]:
    """Return the records of the last published builds, the latest first."""
    rows = _rows(jobs, found, f"ORDER BY {_order(found)} DESC LIMIT {limit:d}")
    # an older version wrote no such column, and kept no days up to date
    return [
        replace(record_of(row), indexed=tuple(json.loads(row.get("indexed") or "[]")))
        for row in rows
    ]


def published_since(jobs: Jobs, found: bigquery.Table, moment: datetime) -> list[str]:
    """Return the names of the builds that were published after a moment."""
    if _lacks_time(found):
        return []
    rows = _rows(jobs, found, f"WHERE {_PUBLISHED} > {time(moment)} ORDER BY {_PUBLISHED}")
    return [row["run"] for row in rows if row["run"]]


def require_none_since(dataset: str, moment: datetime) -> str:
    """Return the statement that fails if another build was published after a moment."""
    since = (
        f"SELECT COUNT(*) FROM {quoted(f'{dataset}.{RUNS}')} WHERE {_PUBLISHED} > {time(moment)}"
    )
    return require(f"({since}) = 0", text(f"{MEANWHILE}: build again."))


def models_ever_made(jobs: Jobs, found: bigquery.Table) -> set[str]:
    """Return the names of all models that any recorded build made."""
    return {made["name"] for row in _rows(jobs, found, "") for made in json.loads(row["models"])}


def _rows(jobs: Jobs, found: bigquery.Table, rest: str) -> list[dict[str, Any]]:
    place = f"{found.project}.{found.dataset_id}.{found.table_id}"
    return jobs.rows(f"SELECT * FROM {quoted(place)} {rest}".rstrip()).to_pylist()


def _lacks_time(found: bigquery.Table) -> bool:
    return "published_at" not in {field.name for field in found.schema}


def _order(found: bigquery.Table) -> str:
    return "started_at" if _lacks_time(found) else _PUBLISHED
