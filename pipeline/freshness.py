"""The age of the published build's sources, and their rows in the last builds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from pipeline.errors import UsageError
from pipeline.results import Freshness, RunRecord
from pipeline.results.records import FreshnessStatus

BUILDS = 5
"""The most builds in `Freshness.rows`."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def freshness(
    runs: Sequence[RunRecord],
    now: datetime,
    warn_after: timedelta | None = None,
    error_after: timedelta | None = None,
) -> list[Freshness]:
    """Return the freshness of each source by the records of builds, the latest first."""
    return [
        Freshness(
            source,
            read.newest_load,
            read.newest_event,
            age := now - read.newest_event if read.newest_event else None,
            _rows(source, runs),
            _status(age, warn_after, error_after),
        )
        for source, read in sorted(runs[0].sources.items())
    ]


def span(text: str) -> timedelta:
    """Read a length of time such as 12h, 90m or 1d12h.

    Raises:
        UsageError: the text is not a length of time.
    """
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(
            f"{text!r} is not a length of time.", "Write a number and s, m, h or d, such as 12h."
        )
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def _rows(source: str, runs: Sequence[RunRecord]) -> tuple[int, ...]:
    # a build that did not read the source repeats the record of the build before
    read = [run.sources[source] for run in runs if source in run.sources]
    by_time = {each.read_at: each.rows for each in read}
    return tuple(by_time.values())[:BUILDS]


def _status(
    age: timedelta | None, warn_after: timedelta | None, error_after: timedelta | None
) -> FreshnessStatus:
    if age is not None and error_after is not None and age > error_after:
        return "ERROR"
    if age is not None and warn_after is not None and age > warn_after:
        return "WARN"
    return "PASS"
