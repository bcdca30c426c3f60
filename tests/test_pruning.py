"""Literal days and times narrow a table to all rows that they should, on each engine."""

from __future__ import annotations

import datetime as dt

import googlesql
import ibis
import pyarrow as pa
import pytest

from pipeline import pruning
from pipeline.digest import differing
from pipeline.sql import to_sql

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        ("day", pa.date32()),
        ("many", pa.list_(pa.struct([("x", pa.float64())]))),
    ]
)
MIDNIGHT = dt.datetime(2022, 1, 31, tzinfo=dt.UTC)
DAY, TICK = dt.timedelta(days=1), dt.timedelta(microseconds=1)
TIMES = [MIDNIGHT - TICK, MIDNIGHT, MIDNIGHT + DAY - TICK, MIDNIGHT + DAY, MIDNIGHT + 9 * DAY, None]
ROWS = [
    {"n": n, "at": at, "day": at and at.date(), "many": [{"x": float(n)}]}
    for n, at in enumerate(TIMES)
]


def on_duckdb(expr: ibis.Table, tables: dict[str, pa.Table]) -> list[dict]:
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql("SET TimeZone = 'UTC'")
    for name, rows in tables.items():
        con.con.register(name, rows)
    return con.con.execute(to_sql(expr, "duckdb")).to_arrow_table().to_pylist()


def on_googlesql(expr: ibis.Table, tables: dict[str, pa.Table]) -> list[dict]:
    return googlesql.query(to_sql(expr, "bigquery"), tables).to_pylist()


ENGINE = pytest.mark.parametrize("run", [on_duckdb, on_googlesql])
TABLE = ibis.table(ibis.Schema.from_pyarrow(SCHEMA), name="one")


def numbers(run, expr: ibis.Table, rows: list[dict] = ROWS) -> list[int]:
    tables = {name: pa.Table.from_pylist(rows, SCHEMA) for name in ("one", "other")}
    return sorted(row["n"] for row in run(expr, tables))


@ENGINE
@pytest.mark.parametrize("column", ["at", "day"])
def test_rows_of_named_days_are_all_rows_of_these_days(run, column):
    days = [MIDNIGHT.date(), (MIDNIGHT + DAY).date(), None]

    assert numbers(run, pruning.of_days(TABLE, column, days)) == [1, 2, 3, 5]
    assert numbers(run, pruning.of_days(TABLE, column, days[:1])) == [1, 2]
    assert numbers(run, pruning.of_days(TABLE, column, [None])) == [5]
    assert numbers(run, pruning.of_days(TABLE, column, [])) == []


@ENGINE
def test_days_in_a_row_are_one_range_and_a_window_makes_it_longer(run):
    def fetch(expr: ibis.Table) -> pa.Table:
        return pa.Table.from_pylist(run(expr, {"one": pa.Table.from_pylist(ROWS, SCHEMA)}))

    found = pruning.spans(fetch, TABLE["at"], by_day=True)

    assert found == [(TIMES[0], TIMES[3]), (TIMES[4], TIMES[4])]
    assert pruning.spans(fetch, TABLE["at"], by_day=False) == [(TIMES[0], TIMES[4])]
    around = [(TIMES[1], TIMES[1])]
    assert numbers(run, pruning.between(TABLE, "at", around, before=1)) == [0, 1]
    assert numbers(run, pruning.between(TABLE, "at", around, after=86_400_000_000)) == [1, 2, 3]
    assert numbers(run, pruning.between(TABLE, "at", [])) == []
    midnight = [(TIMES[1], TIMES[1])]
    assert numbers(run, pruning.on_days_between(TABLE, "day", midnight)) == [1, 2]
    assert numbers(run, pruning.on_days_between(TABLE, "day", midnight, before=1)) == [0, 1, 2]
    assert pruning.days(fetch, TABLE, "at")[MIDNIGHT.date()] == 2


def test_many_ranges_become_few_that_hold_them_all():
    days = [(MIDNIGHT + 2 * number * DAY).date() for number in range(300)]

    kept = on_duckdb(
        pruning.of_days(TABLE, "at", days), {"one": pa.Table.from_pylist(ROWS, SCHEMA)}
    )
    sql = to_sql(pruning.of_days(TABLE, "at", days), "bigquery")

    assert [row["n"] for row in kept if row["at"].date() in days] == [1, 2]
    assert sql.count("BETWEEN") == pruning.MOST_SPANS


@ENGINE
def test_rows_of_one_table_only_are_found_counting_copies(run):
    one, other = ROWS + ROWS[:2] + ROWS[:1], [*ROWS[1:], {**ROWS[1], "many": [{"x": None}]}]
    tables = {
        "one": pa.Table.from_pylist(one, SCHEMA),
        "other": pa.Table.from_pylist(other, SCHEMA),
    }
    expr = differing(TABLE, ibis.table(TABLE.schema(), name="other"))

    found = run(expr, tables)

    seen = sorted((row["_side"], row["n"], row["many"][0]["x"]) for row in found if row["n"] == 0)
    assert seen == [(0, 0, 0.0)] * 3
    assert sorted((row["_side"], row["many"][0]["x"]) for row in found if row["n"] == 1) == [
        (0, 1.0),
        (1, None),
    ]
    assert len(found) == 5


def test_days_next_to_others_stay_within_the_calendar():
    found = pruning.next_to([dt.date.min, dt.date(2022, 3, 1), None, dt.date.max])

    assert found == {
        *(dt.date.min, dt.date(1, 1, 2), None),
        *(dt.date(2022, 2, 28), dt.date(2022, 3, 1), dt.date(2022, 3, 2)),
        *(dt.date(9999, 12, 30), dt.date.max),
    }
