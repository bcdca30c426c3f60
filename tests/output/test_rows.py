from __future__ import annotations

import datetime as dt
import io

import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.output.rows import rows_table


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def shown(values, kind, width=200) -> list[str]:
    """The printed lines of a column, below its heading."""
    console = Console(file=io.StringIO(), width=width)
    rows = pa.table({"c": pa.array(values, kind)})
    console.print(rows_table(rows), crop=False)
    return [line.strip() for line in console.file.getvalue().splitlines()][2:]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2022-01-01", None], ["2022-01-01", "NULL"]),
        (["2022-01-01", "0001-01-01T00:00:07"], ["2022-01-01 00:00:00", "0001-01-01 00:00:07"]),
        (
            ["2022-01-01T10:00:00.5", "2022-01-01T10:00:00.030860"],
            ["2022-01-01 10:00:00.50000", "2022-01-01 10:00:00.03086"],
        ),
        (["9999-12-31T23:59:59.999999"], ["9999-12-31 23:59:59.999999"]),
    ],
    ids=["days", "seconds", "as many digits as needed", "the last time there is"],
)
def test_times_are_without_the_zeros_that_all_of_a_column_have(times, expected):
    given = [time and at(time) for time in times]

    assert shown(given, pa.timestamp("us", "UTC")) == expected
    assert shown([time and time.replace(tzinfo=None) for time in given], pa.timestamp("us")) == (
        expected
    )


def test_times_of_another_zone_are_shown_in_utc():
    kind = pa.timestamp("us", "Europe/Berlin")

    assert shown([at("2022-07-01T10:00:01")], kind) == ["2022-07-01 10:00:01"]


def test_fractions_have_six_digits_but_never_look_like_zero():
    values = [0.7603686635944701, 0.0, 1e-9, 123456789.5, None]

    assert shown(values, pa.float64()) == ["0.760369", "0.0", "1e-09", "123456789.5", "NULL"]


def test_an_array_of_structs_is_one_line_in_a_table_and_blocks_where_it_does_not_fit():
    kind = pa.list_(pa.struct([("id", pa.string()), ("at", pa.timestamp("us", "UTC"))]))
    values = [[{"id": "r1", "at": at("2022-01-01T10:00:01")}], []]
    console = Console(file=io.StringIO(), width=40)
    console.print(rows_table(pa.table({"c": pa.array(values, kind)})), crop=False)

    assert shown(values, kind) == ['[{"id": "r1", "at": "2022-01-01T10:00:01+00:00"}]', "[]"]
    assert console.file.getvalue().splitlines() == [
        *("c", "  - id  r1", "    at  2022-01-01 10:00:01"),
        "",
        "c  []",
    ]
