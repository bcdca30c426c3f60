from __future__ import annotations

import datetime as dt
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from pipeline.rules.source_values import as_text

KINDS = [
    "string",
    "int64",
    "uint64",
    "boolean",
    "float64",
    "float32",
    "decimal(38, 9)",
    "timestamp('UTC', 6)",
    "timestamp",
    "date",
    "time",
]


@pytest.fixture(scope="module")
def con():
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    yield con
    con.disconnect()


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        pytest.param("007", pa.string(), "007", id="text as it is"),
        pytest.param("", pa.string(), "", id="empty text as it is"),
        pytest.param(-7, pa.int64(), "-7", id="integer"),
        pytest.param(2**64 - 1, pa.uint64(), "18446744073709551615", id="unsigned integer"),
        pytest.param(True, pa.bool_(), "true", id="true"),
        pytest.param(False, pa.bool_(), "false", id="false"),
        pytest.param(7.0, pa.float64(), "7", id="whole float"),
        pytest.param(-7.0, pa.float64(), "-7", id="negative whole float"),
        pytest.param(-0.0, pa.float64(), "0", id="negative zero"),
        pytest.param(7.5, pa.float64(), "7.5", id="float"),
        pytest.param(-0.1, pa.float64(), "-0.1", id="negative float"),
        pytest.param(0.1, pa.float32(), "0.1", id="short float"),
        pytest.param(2.0**53 - 1, pa.float64(), "9007199254740991", id="largest exact float"),
        pytest.param(1 - 2.0**53, pa.float64(), "-9007199254740991", id="least exact float"),
        pytest.param(2.0**53, pa.float64(), "9007199254740992.0", id="float as the engine has it"),
        pytest.param(float("nan"), pa.float64(), "nan", id="nan"),
        pytest.param(float("-inf"), pa.float64(), "-inf", id="infinity"),
        pytest.param(Decimal("7.00"), pa.decimal128(9, 2), "7", id="whole decimal"),
        pytest.param(Decimal("7.50"), pa.decimal128(9, 2), "7.50", id="decimal"),
        pytest.param(Decimal("-7"), pa.decimal128(38, 37), "-7", id="decimal of many places"),
        pytest.param(Decimal(10**37), pa.decimal128(38, 0), "1" + "0" * 37, id="long decimal"),
        pytest.param(Decimal("-9999.99"), pa.decimal128(6, 2), "-9999.99", id="decimal at its end"),
        pytest.param(Decimal("-0.50"), pa.decimal128(2, 2), "-0.50", id="decimal without a digit"),
        pytest.param(
            dt.datetime(2022, 1, 2, 3, 4, 5, 600000, tzinfo=dt.UTC),
            pa.timestamp("us", "UTC"),
            "2022-01-02 03:04:05.600000+00",
            id="time",
        ),
        pytest.param(
            dt.datetime(2022, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
            pa.timestamp("s"),
            "2022-01-02 03:04:05.000000+00",
            id="time without a zone",
        ),
        pytest.param(dt.date(2022, 1, 2), pa.date32(), "2022-01-02 00:00:00.000000+00", id="date"),
        pytest.param(dt.time(3, 4, 5), pa.time64("us"), "03:04:05", id="anything else"),
        pytest.param(None, pa.string(), None, id="null text"),
        pytest.param(None, pa.bool_(), None, id="null boolean"),
        pytest.param(None, pa.float64(), None, id="null float"),
        pytest.param(None, pa.decimal128(9, 2), None, id="null decimal"),
        pytest.param(None, pa.timestamp("us"), None, id="null time"),
        pytest.param(None, pa.date32(), None, id="null date"),
        pytest.param(None, pa.null(), None, id="null"),
    ],
)
def test_a_value_is_written_as_text(con, value, kind, text):
    table = ibis.memtable(pa.table({"x": pa.array([value], kind)}))

    assert con.to_pyarrow(as_text(table.x)).to_pylist() == [text]


@pytest.mark.parametrize("micros", [-(2**63), 1 - 2**63, 2**63 - 2, 2**63 - 1])
@pytest.mark.parametrize("zone", ["UTC", None])
def test_a_time_at_the_ends_of_int64_stops_nothing(con, micros, zone):
    times = pa.array([micros, 0], pa.int64()).cast(pa.timestamp("us", zone))
    table = ibis.memtable(pa.table({"x": times}))

    found = con.to_pyarrow(table.select(x=as_text(table.x)))["x"].to_pylist()

    assert found[1] == "1970-01-01 00:00:00.000000+00"


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_type_compiles_for_each_engine(kind, dialect):
    text = as_text(ibis.table({"x": kind}, name="t").x)

    assert text.type().is_string()
    assert ibis.to_sql(text, dialect=dialect)
