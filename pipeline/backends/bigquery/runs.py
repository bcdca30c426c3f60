"""The table of builds beside the models: what each read, made and found."""

from __future__ import annotations

import io
import json

from google.cloud.bigquery import SchemaField

from pipeline.backends.base import record_of, row_of
from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.statements import quoted
from pipeline.results import RunRecord

RUNS = "_pipeline_runs"


SCHEMA = (
    SchemaField("started_at", "TIMESTAMP", description="when the build began (UTC)"),
    SchemaField("seconds", "FLOAT64", description="how long it took"),
    SchemaField("sources", "STRING", description="JSON: what was read of each source"),
    SchemaField("models", "STRING", description="JSON: the models built"),
    SchemaField("checks", "STRING", description="JSON: the checks and what came of them"),
)


def write(jobs: Jobs, dataset: str, record: RunRecord) -> None:
    """Add a record to the table; `dataset` is with its project."""
    row = row_of(record) | {"started_at": record.started_at.isoformat()}
    # loaded, not inserted: that costs nothing, and makes the table where it is missing
    line = io.BytesIO(json.dumps(row).encode())
    jobs.load(line, f"{dataset}.{RUNS}", SCHEMA, "NEWLINE_DELIMITED_JSON")


def last(jobs: Jobs, dataset: str) -> RunRecord | None:
    """Return the latest record of a table that is there."""
    found = jobs.rows(
        "SELECT started_at, seconds, sources, models, checks"
        f" FROM {quoted(f'{dataset}.{RUNS}')} ORDER BY started_at DESC LIMIT 1"
    ).to_pylist()
    return record_of(found[0]) if found else None
