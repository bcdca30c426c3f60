"""The raw rows that came since a build, from the rows of each load day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.backends.bigquery.load_days import Arrived, LoadDay, arrived
from pipeline.errors import InputError

FIRST, SECOND = date(2022, 5, 1), date(2022, 5, 2)
WATERMARK = datetime(2022, 5, 2, 12, tzinfo=UTC)
BEFORE = {FIRST.isoformat(): 10, SECOND.isoformat(): 4, "": 2}
"""The rows that the last build read: of two days, and without a load time."""


def days(first: int = 10, second: int = 4, later: int = 0, none: int = 2, new: int = 0):
    """Return the load days now; `later` rows of the second day are later than the watermark."""
    midnight = datetime(2022, 5, 1, tzinfo=UTC)
    found = [
        LoadDay(FIRST, first, 0, midnight),
        LoadDay(SECOND, second, later, WATERMARK),
        LoadDay(None, none, 0, None),
        LoadDay(date(2022, 5, 3), new, new, midnight + timedelta(days=2)),
    ]
    return [day for day in found if day.rows]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (days(), Arrived(0)),
        (days(new=3), Arrived(3, whole=(date(2022, 5, 3),))),
        (days(second=6, later=2), Arrived(2, after=WATERMARK)),
        (days(second=6, later=1), Arrived(2, mixed=(SECOND,), late=2)),
        (days(second=6), Arrived(2, mixed=(SECOND,), late=2)),
        (days(first=11), Arrived(1, mixed=(FIRST,), late=1)),
        (days(none=5), Arrived(3, mixed=(None,), late=3)),
        (
            days(first=12, second=7, later=3, new=1),
            Arrived(6, (date(2022, 5, 3),), WATERMARK, (FIRST,), 2),
        ),
    ],
    ids=[
        *("nothing", "a new day", "after the watermark", "one of two late", "equal stamps"),
        *("an older day", "no stamps", "all at once"),
    ],
)
def test_rows_that_came_are_found_by_their_load_day(now, expected):
    assert arrived("raw_sync_events", BEFORE, WATERMARK, now) == expected


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (days(first=9), "has 9 of the 10 rows loaded on 2022-05-01"),
        (days(first=0), "has 0 of the 10 rows loaded on 2022-05-01"),
        (days(second=4, later=1), "has 3 of the 4 rows loaded on 2022-05-02"),
        (days(none=1), "has 1 of the 2 rows without _scheduled_timestamp"),
    ],
    ids=["fewer", "none left", "an old row gave way to a later one", "fewer without a stamp"],
)
def test_rows_that_are_gone_are_an_error(now, told):
    with pytest.raises(InputError, match=told):
        arrived("raw_sync_events", BEFORE, WATERMARK, now)


def test_a_day_that_had_no_rows_is_new():
    before = {SECOND.isoformat(): 4, FIRST.isoformat(): 0}

    found = arrived("raw_sync_events", before, WATERMARK, days(none=0))

    assert found == Arrived(10, whole=(FIRST,))
