from __future__ import annotations

import datetime as dt
import os

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import raw_files

from pipeline import files
from pipeline.errors import InputError
from pipeline.results import FileRead
from pipeline.sources import SOURCES

con, read, fault, write = raw_files.con, raw_files.read, raw_files.fault, raw_files.write


NOON = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def read_each(read, tmp_path):
    """Read one Parquet file for each array, all of one column, and sort the values."""

    def read_each(*arrays):
        for place, array in enumerate(arrays):
            pq.write_table(pa.table({"uid": array}), tmp_path / f"{place}.parquet")
        return read("*.parquet", columns=("uid",), source="raw_users")

    return read_each


@pytest.mark.parametrize(
    ("arrays", "kind", "values"),
    [
        pytest.param([pa.array([1], pa.int8()), pa.array([2])], "int64", [1, 2], id="integers"),
        pytest.param(
            [pa.array([NOON], pa.timestamp("ms")), pa.array([NOON], pa.timestamp("ns", "UTC"))],
            "timestamp('UTC', 6)",
            [NOON, NOON],
            id="times of any unit and zone",
        ),
        pytest.param([pa.array([1]), pa.array([None])], "int64", [1, None], id="null has no say"),
        pytest.param([pa.nulls(1), pa.nulls(1)], "string", [None, None], id="nulls alone"),
        pytest.param(
            [pa.array([0.5], pa.float32()), pa.array([7]), pa.array(["x"])],
            "struct<float32: float32, int64: int64, string: string>",
            [
                {"float32": 0.5, "int64": None, "string": None},
                {"float32": None, "int64": 7, "string": None},
                {"float32": None, "int64": None, "string": "x"},
            ],
            id="each value keeps its type",
        ),
    ],
)
def test_a_column_has_the_type_that_all_files_agree_on(read_each, arrays, kind, values):
    found = read_each(*arrays)

    assert found.types == {"uid": kind}
    assert sorted((value for (value,) in found.values), key=str) == sorted(values, key=str)


def test_files_of_all_kinds_make_one_table(read, write, tmp_path):
    pq.write_table(pa.table({"ItemKey": ["1"], "ItemData": ["p"]}), tmp_path / "a.parquet")
    write("b.csv", b"ItemData,ItemKey\nc,k\n")
    write("c.csv", b"ItemKey,ItemData,Extra\nk,c,\n")
    write("d.csv.gz", b"ItemKey,ItemData\nk,z\n")
    write("e.ndjson", b'{"ItemKey": null, "ItemData": {"n": 1}}\n')
    write("f.jsonl.gz", b'{"ItemKey": 7.0, "ItemData": null}\n')

    found = read("*")

    assert found.rows == 6
    assert found.types == {"ItemKey": "string", "ItemData": "string"}
    assert found.values == [
        ("1", "p"),
        ("7", None),
        ("k", "c"),
        ("k", "c"),
        ("k", "z"),
        (None, '{"n":1}'),
    ]


def test_an_optional_column_is_null_in_a_file_that_lacks_it(read, write, tmp_path):
    pq.write_table(pa.table({"ItemKey": ["a"], "EventId": [7]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"ItemKey": ["b"]}), tmp_path / "b.parquet")
    write("c.csv", b"ItemKey\nc\n")
    write("d.ndjson", b'{"ItemKey": "d", "ItemData": "d"}\n')

    alone = read("b.parquet", "c.csv", "d.ndjson", columns=("EventId", "ItemKey"))

    assert alone.values == [(None, "b"), (None, "c"), (None, "d")]
    both = read("a.parquet", "b.parquet", columns=("EventId", "ItemKey"))
    assert sorted(both.values, key=str) == [(7, "a"), (None, "b")]
    assert both.types["EventId"] == "int64"


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "ndjson", "ndjson.gz"])
@pytest.mark.parametrize(
    "stem", ["ItemKey=x/a", "a[1]", "a*?", 'it\'s "q"', "ü and blanks", "back\\slash", "{a,b}"]
)
def test_a_path_of_text_is_taken_as_it_stands(read, write, ending, stem):
    texts = {"csv": b"ItemKey,ItemData\nk,d\n", "ndjson": b'{"ItemKey": "k", "ItemData": "d"}\n'}
    write("a1." + ending, b"ItemKey,ItemData\nwrong,wrong\n")
    name = write(f"{stem}.{ending}", texts[ending.removesuffix(".gz")])

    assert read(name).values == [("k", "d")]


def test_a_table_can_be_read_twice(con, write, tmp_path):
    write("a.csv", b"ItemKey,ItemData\nk,d\n")

    raw = files.read(
        con,
        SOURCES["raw_sync_events"],
        files.find([tmp_path / "a.csv"]),
        {"ItemKey"},
        scratch=tmp_path,
    )

    assert con.to_pyarrow(raw.table.union(raw.table)).num_rows == 2


class TestDiagnose:
    @pytest.fixture
    def raw(self, con, write, tmp_path):
        write("a.csv", b"ItemKey,ItemData\nk,d\n")
        write("b.ndjson", b'{"ItemKey": "k", "ItemData": "d"}\n')
        pq.write_table(pa.table({"ItemKey": ["k"], "ItemData": ["d"]}), tmp_path / "c.parquet")
        paths = files.find([tmp_path / "*"])
        columns = ["ItemKey", "ItemData"]
        return files.read(con, SOURCES["raw_sync_events"], paths, columns, scratch=tmp_path)

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(duckdb.OutOfMemoryException("no memory"), id="memory"),
            pytest.param(duckdb.ConversionException("no number"), id="a model's cast"),
            pytest.param(duckdb.IOException("No space left on device"), id="disk"),
            pytest.param(duckdb.InvalidInputException("bad argument"), id="a model's argument"),
        ],
    )
    def test_an_error_of_something_else_is_not_about_the_files(self, raw, error):
        assert files.diagnose(error, raw) is None

    def test_a_file_that_has_gone_meanwhile_is_named(self, raw):
        raw.paths[1].unlink()

        fault = files.diagnose(duckdb.IOException("gone"), raw)

        assert fault is not None
        assert fault.what.startswith(f"{raw.paths[1]} can't be read: ")

    def test_a_file_that_has_changed_meanwhile_is_named(self, raw):
        raw.paths[0].write_bytes(b"")

        fault = files.diagnose(duckdb.InvalidInputException("nonsense"), raw)

        assert fault is not None
        assert fault.what == (f"{raw.paths[0]} changed while it was read: it had 21 bytes, now 0.")

    def test_a_sound_file_that_the_engine_names_is_named(self, raw):
        error = duckdb.InvalidInputException(f'secret value in file "{raw.paths[0]}"')

        fault = files.diagnose(error, raw)

        assert fault is not None
        assert str(raw.paths[0]) in fault.what
        assert "secret" not in str(fault)


def test_each_file_is_told_with_its_state_and_its_rows(con, write, tmp_path):
    write("a.csv", b"ItemKey,ItemData\nk,d\nk,d\n")
    write("b.ndjson.gz", b'{"ItemKey": "k", "ItemData": "d"}\n')
    (tmp_path / "link.csv").symlink_to("a.csv")
    os.utime(tmp_path / "a.csv", ns=(7, 1_641_038_400_123_456_789))

    raw = files.read(
        con,
        SOURCES["raw_sync_events"],
        files.find([tmp_path / "link.csv", tmp_path / "b*"]),
        ["ItemKey", "ItemData"],
        scratch=tmp_path,
    )

    a, b = raw.files
    assert a == FileRead(os.path.realpath(tmp_path / "a.csv"), 25, 1_641_038_400_123_456_789, 2)
    assert (b.bytes, b.rows) == ((tmp_path / "b.ndjson.gz").stat().st_size, 1)
    assert raw.rows == 3


def test_a_file_that_grows_is_told(con, write, tmp_path):
    write("a.csv", b"ItemKey,ItemData\nk,d\n")
    raw = files.read(
        con,
        SOURCES["raw_sync_events"],
        files.find([tmp_path / "a.csv"]),
        ["ItemKey", "ItemData"],
        scratch=tmp_path,
    )
    files.require_unchanged(raw)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("k,d\n")

    with pytest.raises(InputError, match="grew while it was read: it had 21 bytes, now 25"):
        files.require_unchanged(raw)
