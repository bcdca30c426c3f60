"""The table of builds beside the models: what each read, made and found."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

from google.cloud.bigquery import SchemaField

from pipeline.backends.base import RunRecord, SourceRead
from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.statements import quoted

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
    sources = {name: asdict(read) for name, read in record.sources.items()}
    row = {
        "started_at": record.started_at.isoformat(),
        "seconds": record.seconds,
        "sources": json.dumps(sources),
        "models": json.dumps(record.models),
        "checks": json.dumps(record.checks),
    }
    # loaded, not inserted: that costs nothing, and makes the table where it is missing
    line = io.BytesIO(json.dumps(row).encode())
    jobs.load(line, f"{dataset}.{RUNS}", SCHEMA, "NEWLINE_DELIMITED_JSON")


def last(jobs: Jobs, dataset: str) -> RunRecord | None:
    """Return the latest record of a table that is there."""
    found = jobs.rows(
        "SELECT started_at, seconds, sources, models, checks"
        f" FROM {quoted(f'{dataset}.{RUNS}')} ORDER BY started_at DESC LIMIT 1"
    ).to_pylist()
    return _record_of(found[0]) if found else None


def _record_of(row: dict[str, Any]) -> RunRecord:
    sources = {
        name: SourceRead(tuple(read["inputs"]), read["rows"])
        for name, read in json.loads(row["sources"]).items()
    }
    return RunRecord(
        row["started_at"],
        row["seconds"],
        sources,
        tuple(json.loads(row["models"])),
        tuple(json.loads(row["checks"])),
    )
