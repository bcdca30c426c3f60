"""Reading a file together with files of other types does not change its rows."""

from __future__ import annotations

import datetime as dt
import functools
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import in_memory
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import files
from pipeline.rules.source_values import as_text
from pipeline.sources import SOURCES
from pipeline.sql import to_sql
from pipeline.staging import stg_user_versions

NOON = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC)
ARRAYS = [
    pa.array(["007", "1e5", "1641038400", "2022-01-01", "1.50", None]),
    pa.array([7, -1, 1_641_038_400, 2**62]),
    pa.array([2**64 - 1, 7], pa.uint64()),
    pa.array([7.0, 0.1, -0.0, 2.0**53 + 2, 1.7e18, float("nan"), float("inf")]),
    pa.array([0.1, 1_641_038_400.0, 2.0**60], pa.float32()),
    pa.array([Decimal("1641038400.500"), Decimal("-0.5"), Decimal("7")]),
    pa.array([True, False]),
    pa.array([dt.date(2022, 1, 1), dt.date(1, 1, 1)]),
    pa.array([NOON, NOON.replace(year=1)], pa.timestamp("us")),
    pa.array([NOON], pa.timestamp("ns", "UTC")),
    pa.array([-1], pa.timestamp("ns")),
    pa.array([b"7", b"x"]),
    pa.nulls(2),
]
COLUMNS = ("uid", "username", "dateRegistered", "last_modified")
TEXTS = {
    "a.csv": ",".join(COLUMNS) + "\n1.0,x,1641038400,2022-01-01 12:00:00 UTC\n",
    "b.ndjson": '{"uid": 1e16, "username": 7.0, "last_modified": 1641038400.5}\n',
}


def parquet(path, arrays):
    length = max(map(len, arrays))
    columns = [pa.concat_arrays([array] * length)[:length] for array in arrays]
    pq.write_table(pa.table(columns, names=list(COLUMNS)), path)


def rows(paths):
    """The users and the texts of all columns from files that are read together."""
    with in_memory() as con:
        scratch = paths[0].parent / "scratch"
        raw = files.read(con, SOURCES["raw_users"], paths, COLUMNS, scratch=scratch).table
        texts = raw.select(**{name: as_text(raw[name]) for name in COLUMNS})
        queries = [to_sql(each, "duckdb") for each in (stg_user_versions(raw), texts)]
        tables = [con.con.execute(query).to_arrow_table() for query in queries]
        return Counter(repr(row) for table in tables for row in table.to_pylist())


def text(folder, name):
    path = Path(folder) / name
    path.write_text(TEXTS[name])
    return path


@functools.cache
def rows_of_text(name):
    with tempfile.TemporaryDirectory() as folder:
        return rows([text(folder, name)])


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(st.sampled_from(range(len(ARRAYS))), min_size=4, max_size=4), max_size=4))
@example([[0, 1, 2, 3], [3, 4, 5, 6], [7, 8, 9, 10], [10, 11, 12, 0], [1, 0, 3, 1]])
@example([[place] * 4 for place in range(len(ARRAYS))])
def test_rows_do_not_depend_on_the_files_beside_them(shapes):
    with tempfile.TemporaryDirectory() as folder:
        texts, paths = [text(folder, name) for name in TEXTS], []
        for place, shape in enumerate(shapes):
            paths.append(Path(folder) / f"{place}.parquet")
            parquet(paths[-1], [ARRAYS[each] for each in shape])

        together = rows([*texts, *paths])

        alone = [*map(rows_of_text, TEXTS), *(rows([path]) for path in paths)]
        assert together == sum(alone, Counter())
