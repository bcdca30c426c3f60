"""The record of a build as a row of the database's table of builds, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.results import CheckResult, ModelResult, RunRecord, SourceRead


def row_of(record: RunRecord) -> dict[str, Any]:
    """Return a record as a row of the database's `runs`; all but time and seconds is JSON."""
    return {
        "started_at": record.started_at,
        "seconds": record.seconds,
        "sources": json.dumps({name: read.to_json() for name, read in record.sources.items()}),
        "models": json.dumps([made.to_json() for made in record.models]),
        "checks": json.dumps([found.to_json() for found in record.checks]),
        "mode": record.mode,
        "code": record.code,
        "engine": record.engine,
    }


def record_of(row: Mapping[str, Any]) -> RunRecord:
    """Read the row that `row_of` made, in this version or an older one."""
    sources = json.loads(row["sources"])
    return RunRecord(
        row["started_at"],
        row["seconds"],
        {name: SourceRead.from_json(read) for name, read in sources.items()},
        tuple(ModelResult.from_json(made) for made in json.loads(row["models"])),
        tuple(CheckResult.from_json(found) for found in json.loads(row["checks"])),
        row.get("mode") or "full",
        row.get("code") or "",
        row.get("engine") or "",
    )
