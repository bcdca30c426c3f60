from __future__ import annotations

import datetime as dt
from decimal import Decimal

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
        ("2022-01-01 13:30:00.5+0130", NOON.replace(microsecond=500_000)),
        ("2022-01-01T12:00:00-0000", NOON),
        ("2022-01-02 02:00:00+1400", NOON),
        ("2022-01-01 12:00:00+15", None),
        ("2022-01-01 12:00:00+1401", None),
        ("2022-01-01 12:00:00+0160", None),
        ("2022-01-01 12:00:00+100", None),
        ("2022-01-01 12:00:00 +0100", None),
        ("2022-01-01", None),
    ],
)
def test_a_source_time_may_also_end_as_warehouses_export_it(evaluate, text, time):
    assert read(evaluate, source_time, text) == time


EPOCHS = {
    "0": 0,
    "1641038400": 1_641_038_400_000_000,
    "-1": -1_000_000,
    "99999999999": 99_999_999_999_000_000,
    "100000000000": 100_000_000_000_000,
    "-100000000000": -100_000_000_000_000,
    "99999999999999": 99_999_999_999_999_000,
    "100000000000000": 100_000_000_000_000,
    "-100000000000000": -100_000_000_000_000,
    "99999999999999999": 99_999_999_999_999_999,
    "100000000000000000": 100_000_000_000_000,
    "1641038400123456789": 1_641_038_400_123_456,
    "-100000000000000001": -100_000_000_000_001,
    "9223372036854775807": 9_223_372_036_854_775,
    "-9223372036854775808": -9_223_372_036_854_776,
    "-62135596800": -62_135_596_800_000_000,
    "-62135596801": None,
    "-62135596800000": -62_135_596_800_000_000,
    "-62135596800001": None,
    "-62135596800000001": None,
}
"""Epoch numbers, and the microseconds from 1970 that each stands for."""


def times(microseconds):
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return [
        None if each is None else epoch + dt.timedelta(microseconds=each) for each in microseconds
    ]


@pytest.mark.parametrize("rule", [source_time, user_time])
@pytest.mark.parametrize(
    ("kind", "ending"),
    [(pa.int64(), ""), (pa.string(), ""), (pa.string(), ".9"), (pa.decimal128(38, 9), ".9")],
    ids=["integer", "text", "text with a fraction", "decimal with a fraction"],
)
def test_an_epoch_number_has_the_unit_that_its_size_tells(evaluate, rule, kind, ending):
    texts = [f"{number}{ending}" for number in EPOCHS]
    read_as = {pa.int64(): int, pa.string(): str}.get(kind, Decimal)
    rows = pa.table({"value": pa.array([read_as(text) for text in texts], kind)})

    found = evaluate(lambda table: table.select("value", time=rule(table.value)), rows)

    by_value = {row["value"]: row["time"] for row in found}
    assert [by_value[read_as(text)] for text in texts] == times(EPOCHS.values())


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "9" * 40, "1e9", ".5", "1.", "+1", "-"]
)
def test_what_is_no_epoch_number_or_beyond_int64_is_no_time(evaluate, text):
    assert read(evaluate, source_time, text) is None


@pytest.mark.parametrize(
    ("value", "kind", "time"),
    [
        (NOON, pa.timestamp("us", "UTC"), NOON),
        (dt.date(2022, 1, 1), pa.date32(), NOON.replace(hour=0)),
        (1_641_038_400.9, pa.float64(), NOON),
        (1_641_038_400_000.9, pa.float64(), NOON),
        (1.6410384e18, pa.float64(), NOON),
        (-1.9, pa.float64(), dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        (-0.9, pa.float64(), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (2.0**63, pa.float64(), None),
        (-(2.0**63), pa.float64(), dt.datetime(1677, 9, 21, 0, 12, 43, 145224, dt.UTC)),
        (1e300, pa.float64(), None),
        (float("nan"), pa.float64(), None),
        (float("-inf"), pa.float64(), None),
        (True, pa.bool_(), None),
    ],
    ids=repr,
)
def test_a_source_time_is_read_by_its_columns_type(evaluate, value, kind, time):
    assert read(evaluate, source_time, value, kind) == time


@pytest.mark.parametrize(
    ("value", "kind", "time"),
    [
        ("2022-01-01", pa.string(), NOON.replace(hour=0)),
        ("2022-02-29", pa.string(), None),
        ("2022-01-01 ", pa.string(), None),
        ("2022-01-01T12:00:00Z", pa.string(), NOON),
        ("2022-01-01 11:00:00-0100", pa.string(), NOON),
        ("soon", pa.string(), None),
        (None, pa.string(), None),
        (dt.date(2022, 1, 1), pa.date32(), NOON.replace(hour=0)),
        (True, pa.bool_(), None),
    ],
    ids=repr,
)
def test_a_users_time_is_a_source_time_or_a_bare_date(evaluate, value, kind, time):
    assert read(evaluate, user_time, value, kind) == time


@pytest.mark.parametrize(
    "micros", [-(2**63), 1 - 2**63, -62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1]
)
@pytest.mark.parametrize("zone", ["UTC", None])
def test_a_time_outside_the_calendar_is_no_time_and_stops_nothing(duckdb, micros, zone):
    duckdb.raw_sql("SET TimeZone = 'UTC'")
    values = pa.array([micros, 0], pa.int64()).cast(pa.timestamp("us", zone))
    rows = duckdb.create_table("rows", pa.table({"time": values}))

    found = duckdb.to_pyarrow(rows.select(time=source_time(rows.time)))

    assert found["time"].to_pylist() == times([None, 0])
