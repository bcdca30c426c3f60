from __future__ import annotations

import datetime as dt
import json

import pytest
from command_line import type_, write_raw
from conftest import raw_user, reading

from pipeline.freshness import freshness
from pipeline.results import RunRecord, SourceRead

__all__ = ["type_"]

NOW = dt.datetime(2022, 1, 3, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def run(source="raw_sync_events", rows=1, read_at="1", event=NOW - 13 * HOUR):
    read = SourceRead((), rows, read_at=read_at, newest_event=event, newest_load=event)
    return RunRecord(NOW, 1.0, {source: read})


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ((None, None), "PASS"),
        ((12, None), "WARN"),
        ((12, 24), "WARN"),
        ((14, 24), "PASS"),
        ((None, 12), "ERROR"),
        ((24, 12), "ERROR"),
    ],
)
def test_the_age_of_the_newest_event_sets_the_status(limits, status):
    (found,) = freshness([run()], NOW, *(limit and limit * HOUR for limit in limits))

    assert (found.status, found.age) == (status, 13 * HOUR)


def test_a_source_without_times_has_no_age_and_is_never_too_old():
    (found,) = freshness([run(event=None)], NOW, HOUR, HOUR)

    assert (found.status, found.age) == ("PASS", None)


def test_the_rows_are_those_of_the_last_builds_that_read_the_source():
    runs = [run(rows=4, read_at="2"), run(rows=4, read_at="2"), run(rows=3, read_at="1")]

    assert freshness(runs, NOW)[0].rows == (4, 3)


def test_freshness_tells_of_the_published_build_and_ends_with_its_status(type_):
    event = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=2)
    raw = write_raw([reading("r", DateCreated=event, _scheduled_timestamp=event)], [raw_user()])
    type_("run", *raw, "-s", "stg_sync_events stg_user_versions")

    plain = type_("freshness", "--warn-after", "1d", "--format", "json")
    failed = type_("freshness", "--warn-after", "1d", "--error-after", "1d12h")
    odd = type_("freshness", "--warn-after", "12 parsecs")

    events, users = json.loads(plain.stdout)
    assert (plain.exit_code, failed.exit_code, odd.exit_code) == (0, 1, 2)
    assert (events["status"], users["status"]) == ("WARN", "PASS")
    assert events["newest_event"] == events["newest_load"] == event.isoformat()
    assert events["age_seconds"] > 2 * 86_400
    assert (events["rows"], users["age_seconds"]) == ([1], None)
    assert "ERROR" in failed.stdout
    assert "2 d 0 h" in failed.stdout
    assert "'12 parsecs' is not a length of time" in odd.stderr


def test_freshness_of_nothing_says_what_to_build(type_):
    typed = type_("freshness")

    assert typed.exit_code == 2
    assert "There is no database build/pipeline.duckdb yet." in typed.stderr
