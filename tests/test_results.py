from __future__ import annotations

import datetime as dt
import json

from pipeline.backends.rows import record_of, row_of
from pipeline.results import CheckResult, ModelResult, RunRecord, SourceRead

NOON = dt.datetime(2022, 3, 4, 12, tzinfo=dt.UTC)
RECORD = RunRecord(
    NOON,
    1.5,
    {"raw_users": SourceRead(("users-*.csv",), 7)},
    (ModelResult("dim_users", "table", "OK", 7, 0.5, "", 10, 20, NOON),),
    (CheckResult("dim_users", "unique_key", "warn", "uid is unique", "WARN", 2, 0.25, "two"),),
)


def test_a_record_is_the_same_after_the_database_kept_it():
    assert record_of(row_of(RECORD)) == RECORD


def test_a_record_of_version_0_1_0_is_read():
    models = [{"name": "dim_users", "rows": 7, "seconds": 0.5, "built_at": NOON.isoformat()}]
    checks = [{"model": "dim_users", "name": "unique_key", "status": "PASS"}]
    sources = {"raw_users": {"inputs": ["users.csv"], "rows": 7}}
    row = {
        "started_at": NOON,
        "seconds": 1.5,
        "sources": json.dumps(sources),
        "models": json.dumps(models),
        "checks": json.dumps(checks),
    }

    record = record_of(row)

    assert record.models == (ModelResult("dim_users", "table", "OK", 7, 0.5, built_at=NOON),)
    assert (record.checks[0].status, record.checks[0].message) == ("PASS", "")
    assert record.sources["raw_users"].rows == 7
