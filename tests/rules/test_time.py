from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from pipeline.rules.time import item_time, source_time, user_time

NOON = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC)


def read(evaluate, rule, value, kind=None):
    rows = pa.table({"value": pa.array([value], kind or pa.string())})
    (row,) = evaluate(lambda table: table.select(time=rule(table.value)), rows)
    return row["time"]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2022-01-01T12:00:00Z", NOON),
        ("2022-01-01 12:00:00", NOON),
        ("2022-01-01T12:00:00.5+00:00", NOON.replace(microsecond=500_000)),
        ("2022-01-01T12:00:00.123456789Z", NOON.replace(microsecond=123_456)),
        ("2022-01-02T02:00:00+14:00", NOON),
        ("2022-01-01T11:29:00-00:31", NOON),
        ("2022-01-01T12:00:00+14:01", None),
        ("2022-01-01T12:00:00+15:00", None),
        ("2022-01-01T12:00:00+01:60", None),
        ("2022-01-01T12:00:00+0100", None),
        ("2022-01-01T12:00:00+01", None),
        ("2022-01-01T12:00:00 UTC", None),
        ("2022-01-01T12:00:00.Z", None),
        ("2022-01-01T12:00:00.1234567890Z", None),
        ("2022-01-01T12:00:00z", None),
        ("2022-01-01t12:00:00Z", None),
        ("2022-01-01T12:00Z", None),
        ("2022-1-01T12:00:00Z", None),
        ("2022-02-29T12:00:00Z", None),
        ("2022-01-01T24:00:00Z", None),
        ("2022-01-01T12:00:60Z", None),
        (" 2022-01-01T12:00:00Z", None),
        ("2022-01-01T12:00:00Z\n", None),
        ("2022-01-01", None),
        ("", None),
        (None, None),
    ],
)
def test_an_item_time_is_iso_8601_and_nothing_else(evaluate, text, time):
    assert read(evaluate, item_time, text) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2022-01-01 12:00:00 UTC", NOON),
        ("2022-01-01 14:00:00+02", NOON),
        ("2022-01-01 12:00:00.000000+00", NOON),
        ("2022-01-01 12:00:00+15", None),
        ("2022-01-01", None),
        ("1641038400", None),
    ],
)
def test_a_source_time_may_also_end_as_warehouses_export_it(evaluate, text, time):
    assert read(evaluate, source_time, text) == time


@pytest.mark.parametrize(
    ("value", "kind", "time"),
    [
        (NOON, pa.timestamp("us", "UTC"), NOON),
        (dt.date(2022, 1, 1), pa.date32(), NOON.replace(hour=0)),
        (5, pa.int64(), None),
        (True, pa.bool_(), None),
    ],
    ids=["a time", "a date is its midnight", "a number is none", "a boolean is none"],
)
def test_a_source_time_is_read_by_its_columns_type(evaluate, value, kind, time):
    assert read(evaluate, source_time, value, kind) == time


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2022-01-01", NOON.replace(hour=0)),
        ("2022-01-01T12:00:00Z", NOON),
        ("1641038400", NOON),
        ("1641038400.999", NOON),
        ("1641038400000", NOON),
        ("1641038400001.9", NOON.replace(microsecond=1_000)),
        ("-1", dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        ("-1.9", dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        ("99999999999", dt.datetime(5138, 11, 16, 9, 46, 39, tzinfo=dt.UTC)),
        ("100000000000", dt.datetime(1973, 3, 3, 9, 46, 40, tzinfo=dt.UTC)),
        ("-62135596800", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
        ("-62135596801", None),
        ("253402300799999", dt.datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=dt.UTC)),
        ("253402300800000", None),
        ("99999999999999999999999", None),
        ("1e9", None),
        (".5", None),
        ("1.", None),
        ("2022-13-01", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_users_time_as_text_may_be_a_date_or_an_epoch_number(evaluate, value, time):
    assert read(evaluate, user_time, value) == time


@pytest.mark.parametrize(
    ("value", "kind", "time"),
    [
        (1_641_038_400, pa.int64(), NOON),
        (1_641_038_400_000, pa.int64(), NOON),
        (2**63 - 1, pa.int64(), None),
        (-(2**63), pa.int64(), None),
        (1_641_038_400.9, pa.float64(), NOON),
        (-1.9, pa.float64(), dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        (float("nan"), pa.float64(), None),
        (float("inf"), pa.float64(), None),
        (1e300, pa.float64(), None),
        (NOON, pa.timestamp("us", "UTC"), NOON),
        (dt.date(2022, 1, 1), pa.date32(), NOON.replace(hour=0)),
        (True, pa.bool_(), None),
    ],
    ids=str,
)
def test_a_users_time_is_read_by_its_columns_type(evaluate, value, kind, time):
    assert read(evaluate, user_time, value, kind) == time
