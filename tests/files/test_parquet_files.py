from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import raw_files

from pipeline.errors import InputError

con, read, fault, write = raw_files.con, raw_files.read, raw_files.fault, raw_files.write


NOON = dt.datetime(2022, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
NOON_NS = 1_641_038_400_123_456_000


@pytest.fixture
def put(tmp_path):
    """Write columns, given as names and arrays, into a Parquet file of the test's folder."""

    def put(name, *columns):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        names, arrays = zip(*columns, strict=True)
        pq.write_table(pa.table([pa.array(array) for array in arrays], names=list(names)), path)
        return name

    return put


@pytest.mark.parametrize(
    ("array", "kind", "value"),
    [
        pytest.param(pa.array(["x"]), "string", "x", id="text"),
        pytest.param(pa.array([""]), "string", "", id="empty text is a value"),
        pytest.param(pa.array(["x"], pa.large_string()), "string", "x", id="large text"),
        pytest.param(pa.array(["x"]).dictionary_encode(), "string", "x", id="dictionary"),
        pytest.param(pa.array(["é".encode()]), "string", "é", id="binary is text"),
        pytest.param(pa.array([b"ab"], pa.binary(2)), "string", "ab", id="fixed binary is text"),
        pytest.param(pa.array([True]), "boolean", True, id="boolean"),
        pytest.param(pa.array([-7], pa.int8()), "int64", -7, id="int8"),
        pytest.param(pa.array([7], pa.uint32()), "int64", 7, id="uint32"),
        pytest.param(pa.array([2**63 - 1]), "int64", 2**63 - 1, id="int64"),
        pytest.param(pa.array([2**64 - 1], pa.uint64()), "uint64", 2**64 - 1, id="uint64"),
        pytest.param(pa.array([0.5], pa.float32()), "float32", 0.5, id="float32"),
        pytest.param(pa.array([0.1]), "float64", 0.1, id="float64"),
        pytest.param(
            pa.array([Decimal("7.50")]), "decimal(3, 2)", Decimal("7.50"), id="decimal is exact"
        ),
        pytest.param(pa.array([dt.date(2022, 1, 1)]), "date", dt.date(2022, 1, 1), id="date"),
        pytest.param(
            pa.array([110_000_000], pa.date32()), "date", None, id="a date that no time can be"
        ),
        pytest.param(pa.array([dt.time(1, 2, 3)]), "string", "01:02:03", id="another type is text"),
        pytest.param(pa.array([None], pa.null()), "string", None, id="null"),
        pytest.param(pa.array([{"a": 1}]), "string", None, id="struct"),
        pytest.param(pa.array([[1, 2]]), "string", None, id="list"),
        pytest.param(
            pa.array([NOON_NS // 10**9], pa.timestamp("s")),
            "timestamp('UTC', 6)",
            NOON.replace(microsecond=0),
            id="seconds",
        ),
        pytest.param(
            pa.array([NOON_NS // 10**6], pa.timestamp("ms")),
            "timestamp('UTC', 6)",
            NOON.replace(microsecond=123000),
            id="milliseconds",
        ),
        pytest.param(
            pa.array([NOON_NS // 1000], pa.timestamp("us")),
            "timestamp('UTC', 6)",
            NOON,
            id="microseconds without a zone",
        ),
        pytest.param(
            pa.array([NOON_NS // 1000], pa.timestamp("us", "America/New_York")),
            "timestamp('UTC', 6)",
            NOON,
            id="microseconds of a zone",
        ),
        pytest.param(
            pa.array([NOON_NS + 999], pa.timestamp("ns")),
            "timestamp('UTC', 6)",
            NOON,
            id="nanoseconds are cut",
        ),
        pytest.param(
            pa.array([NOON_NS + 999], pa.timestamp("ns", "UTC")),
            "timestamp('UTC', 6)",
            NOON,
            id="nanoseconds of utc are cut",
        ),
        pytest.param(
            pa.array([-1], pa.timestamp("ns")),
            "timestamp('UTC', 6)",
            dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
            id="nanoseconds before 1970 are cut",
        ),
    ],
)
def test_a_column_keeps_its_type(read, put, array, kind, value):
    found = read(put("a.parquet", ("DateCreated", array)), columns=("DateCreated",))

    assert found.types == {"DateCreated": kind}
    assert found.values == [(value,)]
    assert found.rows == 1


@pytest.mark.parametrize(
    ("array", "text"),
    [
        pytest.param(
            pa.array([{"a": 1, "b": ["x y", None]}]), '{"a":1,"b":["x y",null]}', id="struct"
        ),
        pytest.param(pa.array([[1, 2]]), "[1,2]", id="list"),
        pytest.param(
            pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())), '{"a":"b"}', id="map"
        ),
        pytest.param(pa.array([None], pa.struct({"a": pa.int64()})), None, id="null struct"),
        pytest.param(pa.array(['{"a": 1.50}']), '{"a": 1.50}', id="text stays as it is"),
        pytest.param(
            pa.array(['{"a": 1.50}'], pa.json_()), '{"a": 1.50}', id="json stays as it is"
        ),
    ],
)
def test_item_data_is_json_text(read, put, array, text):
    found = read(put("a.parquet", ("ItemKey", ["k"]), ("ItemData", array)))

    assert found.values == [("k", text)]
    assert found.types["ItemData"] == "string"


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(["itemdata", "ItemKey", "ItemData"], id="lower case before"),
        pytest.param(["ItemData", "ItemKey", "itemdata"], id="lower case after"),
        pytest.param(["ITEMDATA", "itemdata", "ItemData_1", "ItemData", "ItemKey"], id="renamed"),
        pytest.param(["filename", "file_row_number", "ItemKey", "ItemData"], id="the reader's own"),
        pytest.param(["", "x", "x", "select", 'a"b', "ItemKey", "ItemData"], id="odd names"),
    ],
)
def test_other_columns_do_not_disturb(read, put, others):
    values = {"ItemKey": "k", "ItemData": "d"}
    columns = [(name, [values.get(name, "wrong")]) for name in others]
    put("a.parquet", *columns)
    put("b.parquet", *columns)

    assert read("a.parquet", "b.parquet").values == [("k", "d")] * 2


@pytest.mark.parametrize(
    "path",
    [
        "ItemKey=x/ItemData=y/a.parquet",
        "a[1].parquet",
        "a].parquet",
        "a*?.parquet",
        "[[a]].parquet",
        'it\'s "q".parquet',
        "with blanks and ü.parquet",
        "back\\slash.parquet",
        "{a,b}.parquet",
        "~/a.parquet",
        "s3:/a.parquet",
        "A.PARQUET",
    ],
)
def test_a_path_is_taken_as_it_stands(read, put, path):
    put("a1.parquet", ("ItemKey", ["wrong"]), ("ItemData", ["wrong"]))
    put(path, ("ItemKey", ["k"]), ("ItemData", ["d"]))

    assert read(path).values == [("k", "d")]


def test_a_lacking_column_is_named_only_if_it_is_used(read, fault, put):
    name = put("a.parquet", ("ItemKey", ["k"]), ("itemdata", ["d"]))

    assert fault(name) == "a.parquet has no column ItemData, but 'itemdata': case and blanks count."
    assert read(name, columns=("ItemKey",)).values == [("k",)]


def test_columns_come_in_the_order_of_the_source(read, put):
    name = put("a.parquet", ("ItemData", ["d"]), ("MapSid", ["m"]), ("ItemKey", ["k"]))

    found = read(name, columns=("ItemData", "MapSid", "ItemKey"))

    assert list(found.types) == ["MapSid", "ItemKey", "ItemData"]


def test_a_file_without_rows_is_read(read, put):
    name = put(
        "a.parquet", ("ItemKey", pa.array([], pa.string())), ("ItemData", pa.array([], pa.string()))
    )

    assert read(name).rows == 0


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="0 bytes"),
        pytest.param(b"ItemKey,ItemData\nk,d\n", id="a csv"),
        pytest.param(b"PAR1PAR1", id="marks alone"),
    ],
)
def test_what_is_no_parquet_is_named(fault, write, content):
    assert fault(write("a.parquet", content)).startswith("a.parquet can't be read as Parquet: ")


@pytest.mark.parametrize("cut", [1, 20, 500])
def test_a_cut_file_is_named(fault, put, tmp_path, cut):
    name = put("a.parquet", ("ItemKey", ["k"] * 99), ("ItemData", ["d"] * 99))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-cut])

    assert fault(name).startswith("a.parquet can't be read as Parquet: ")


@pytest.mark.parametrize("flipped", [0x01, 0x10, 0xFF])
def test_damage_to_a_footer_is_named_or_harmless(read, put, tmp_path, flipped):
    path = tmp_path / put("a.parquet", ("ItemKey", ["k"] * 9), ("ItemData", ["d"] * 9))
    sound = path.read_bytes()
    start = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    # the bytes after the mark are PyArrow's own
    for place in range(start, sound.index(b"ARROW:schema")):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ flipped]) + sound[place + 1 :])
        try:
            found = read("a.parquet")
            came = found.rows, found.values
        except InputError as error:
            came = error.what.split()[0], error.what.isprintable()
        assert came in [("a.parquet", True), (9, [("k", "d")] * 9)]


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_footer_that_counts_otherwise_than_its_row_groups_is_named(fault, put, tmp_path, which):
    path = tmp_path / put("a.parquet", ("ItemKey", ["k"] * 3000), ("ItemData", ["d"] * 3000))
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    rows, fewer = b"\x16\xf0\x2e", b"\x16\xee\x2e"  # 3000 and 2999 as Thrift writes them
    place = content.index(rows, start) if which == "first" else content.rindex(rows)
    path.write_bytes(content[:place] + fewer + content[place + 3 :])

    assert fault("a.parquet").startswith("a.parquet can't be read as Parquet: ")


def test_a_column_name_that_is_no_utf8_is_named(fault, put, tmp_path):
    path = tmp_path / put("a.parquet", ("ItemKey", ["k"]), ("ItemData", ["d"]), ("Other", ["o"]))
    path.write_bytes(path.read_bytes().replace(b"Other", b"Oth\xe9r"))

    assert fault("a.parquet").startswith("a.parquet can't be read as Parquet: ")


def test_a_damaged_page_is_named_with_its_column(fault, put, tmp_path):
    put("a.parquet", ("ItemKey", ["k"]), ("ItemData", ["d"]))
    name = put(
        "b.parquet", ("ItemKey", ["k"] * 30_000), ("ItemData", [str(i) for i in range(30_000)])
    )
    content = bytearray((tmp_path / name).read_bytes())
    content[50_000:50_200] = b"\xee" * 200
    (tmp_path / name).write_bytes(content)

    assert fault("a.parquet", name) == "b.parquet is damaged: its column ItemData can't be read."


TIMES = {"ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("statistics", [True, False])
def test_a_time_that_no_time_can_be_is_null_and_finer_ones_are_cut_towards_earlier(
    read, tmp_path, unit, zone, statistics
):
    ends = [-(2**63), 2**63 - 1, -(2**63) + 1] if unit != "ns" else [-(2**63)]
    sound = [1_641_038_400 * TIMES[unit], -1, -TIMES[unit]]
    for name, values in (("a", sound), ("b", [*ends, *sound, None])):
        times = pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone))
        table = pa.table({"DateCreated": times})
        pq.write_table(table, tmp_path / f"{name}.parquet", write_statistics=statistics)

    found = read("a.parquet", "b.parquet", columns=("DateCreated",))

    finest = {"ms": 1000}.get(unit, 1)
    before = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) - dt.timedelta(microseconds=finest)
    expected = [NOON.replace(microsecond=0), before, before.replace(microsecond=0)] * 2
    expected += [None] * (len(ends) + 1)
    assert found.types == {"DateCreated": "timestamp('UTC', 6)"}
    assert found.values == sorted(((each,) for each in expected), key=str)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(pa.array([b"k\xff", b"k", None]).view(pa.string()), id="text"),
        pytest.param(pa.array([b"k\xff", b"k", None]), id="bytes"),
        pytest.param(pa.array([b"k\xff", b"k ", None], pa.binary(2)), id="bytes of two"),
        pytest.param(
            pa.array([b"k\xff", b"k", None]).view(pa.string()).dictionary_encode(), id="dictionary"
        ),
    ],
)
def test_text_that_is_no_utf8_is_null(read, put, array):
    put("a.parquet", ("ItemKey", ["a", "b"]), ("ItemData", ["d", "e"]))
    name = put("b.parquet", ("ItemKey", array), ("ItemData", ["f", "g", "h"]))

    found = read("a.parquet", name)

    assert [(key and key.strip(), data) for key, data in found.values] == [
        ("a", "d"),
        ("b", "e"),
        ("k", "g"),
        (None, "f"),
        (None, "h"),
    ]
    assert found.rows == 5


def test_a_text_column_marked_as_json_may_hold_any_text(read, put):
    name = put("a.parquet", ("ItemKey", ["k"]), ("ItemData", pa.array(["{no json"], pa.json_())))

    assert read(name).values == [("k", "{no json")]
