"""Nested ItemData of Parquet becomes the JSON of its fields under their own names."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import raw_files

from pipeline.rules.time import item_time

con, read, fault, write = raw_files.con, raw_files.read, raw_files.fault, raw_files.write

NOON = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC)
BEFORE = dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)


def struct(value, **types):
    return pa.array([value], pa.struct(list(types.items())))


VALUES = [
    pytest.param(pa.array([{"State": "x", "state": "y", "STATE": None}]), id="names by case"),
    pytest.param(pa.array([{'a"b': 1, "": 2, "ä.\n": [3]}]), id="odd names"),
    pytest.param(
        struct({"": 2, "a": [3]}, **{"": pa.int64(), "a": pa.list_(pa.int64())}), id="no name first"
    ),
    pytest.param(pa.array([{"a": [{"b": [1, None], "B": "x"}, None], "c": []}]), id="lists"),
    pytest.param(pa.array([{"a": '"\\ \n\u2028 😀', "t": True}]), id="texts"),
    pytest.param(pa.array([{"a": 2**62, "b": -7, "c": 7.0, "d": 72.5, "e": 1e300}]), id="numbers"),
    pytest.param(struct({"a": 0.1, "b": 2**64 - 1}, a=pa.float32(), b=pa.uint64()), id="small"),
    pytest.param(pa.array([{"a": {"b": {"c": None}}, "d": None}]), id="nulls"),
]


@pytest.mark.parametrize("array", VALUES)
@pytest.mark.parametrize("copied", [False, True])
def test_a_struct_is_the_json_of_its_fields(read, tmp_path, array, copied):
    expected = array.to_pylist()[0]
    if "b" in expected and expected["b"] == 2**64 - 1:
        expected["a"] = 0.1

    text = json_of(read, tmp_path, array, copied)

    assert json.loads(text) == expected
    assert list(json.loads(text)) == list(expected)


def json_of(read, tmp_path, array, copied):
    """The text of ItemData, from DuckDB or from PyArrow's copy."""
    keys = pa.array([b"\xff" if copied else b"k"]).view(pa.string())
    table = pa.table({"ItemKey": keys, "ItemData": array})
    pq.write_table(table, tmp_path / "a.parquet")
    [(key, text)] = read("a.parquet").values
    assert key == (None if copied else "k")
    return text


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(
    ("array", "text"),
    [
        (
            struct({"a": float("nan"), "b": float("-inf")}, a=pa.float32(), b=pa.float64()),
            '{"a":null,"b":null}',
        ),
        (struct({"a": None}, a=pa.null()), '{"a":null}'),
        (struct({"a": b"x", "b": b"\xff"}, a=pa.binary(), b=pa.binary(1)), '{"a":"x","b":null}'),
        (pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int64())), '{"a":1,"b":null}'),
        (pa.array([[1, None]]), "[1,null]"),
        (pa.array([None], pa.struct({"a": pa.int64()})), None),
        (pa.array([{}], pa.struct({"a": pa.int64()})), '{"a":null}'),
    ],
)
def test_what_has_no_place_in_json_is_null(read, tmp_path, array, text, copied):
    assert json_of(read, tmp_path, array, copied) == text


def test_decimals_are_numbers(read, tmp_path):
    array = pa.array([{"a": Decimal("72.50"), "b": Decimal("-7")}])

    assert json_of(read, tmp_path, array, False) == '{"a":72.50,"b":-7}'
    assert json_of(read, tmp_path, array, True) == '{"a":72.5,"b":-7}'


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(
    ("kind", "number", "time"),
    [
        (pa.timestamp("us"), 1_641_038_400_000_000, NOON),
        (pa.timestamp("us", "America/New_York"), 1_641_038_400_000_000, NOON),
        (pa.timestamp("ms", "UTC"), 1_641_038_400_000, NOON),
        (pa.timestamp("ns"), 1_641_038_400_000_000_999, NOON),
        (pa.timestamp("ns"), -1, BEFORE),
        (pa.timestamp("ns", "UTC"), -1, BEFORE),
        (pa.timestamp("us", "UTC"), -(2**63), None),
        (pa.timestamp("us"), 2**63 - 1, None),
        (pa.timestamp("ms", "UTC"), -(2**63), None),
        (pa.timestamp("ms"), 2**62, None),
        (pa.date32(), 18_993, NOON.replace(hour=0)),
    ],
)
def test_a_time_is_written_as_the_rule_of_times_takes_it(
    con, read, tmp_path, kind, number, time, copied
):
    integers = pa.array([number], pa.int32() if kind == pa.date32() else pa.int64())
    array = pa.StructArray.from_arrays([integers.cast(kind)], ["timestamp"])

    text = json.loads(json_of(read, tmp_path, array, copied))["timestamp"]

    table = con.create_table("t", pa.table({"text": pa.array([text], pa.string())}))
    assert con.to_pyarrow(item_time(table.text)).to_pylist() == [time]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{'uuid': 'c1', 'state': [true, NULL]}", {"uuid": "c1", "state": [True, None]}),
        ("'{\"a\": 1.50}'", {"a": 1.5}),
        ("'{\"a\": 1.50}'::JSON", {"a": 1.5}),
        (
            "{'a': 'nan'::FLOAT, 'b': 'NaN', 'c': ['-inf'::FLOAT]}",
            {"a": None, "b": "NaN", "c": [None]},
        ),
        (
            "{'timestamp': TIMESTAMPTZ '2022-01-01 13:00:00+01'}",
            {"timestamp": "2022-01-01 12:00:00Z"},
        ),
        ("{'timestamp': TIMESTAMP '2022-01-01 12:00:00'}", {"timestamp": "2022-01-01 12:00:00Z"}),
        ("{'timestamp': DATE '2022-01-01'}", {"timestamp": "2022-01-01 00:00:00Z"}),
        ("{'timestamp': '2022-01-01 12:00:00+00'}", {"timestamp": "2022-01-01 12:00:00+00"}),
        ("[1, 2]", [1, 2]),
        ("7", 7),
        ("NULL", None),
    ],
)
def test_a_variant_is_its_json(read, tmp_path, value, expected):
    with duckdb.connect() as other:
        query = f"SELECT 'k' AS ItemKey, ({value})::VARIANT AS ItemData"
        other.execute(f"COPY ({query}) TO '{tmp_path}/a.parquet'")

    [(key, text)] = read("a.parquet").values

    assert key == "k"
    assert (json.loads(text) if text else text) == expected


def test_a_map_with_an_optional_key_matters_only_where_it_is_read(read, tmp_path):
    maps = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))
    table = pa.table({"other": maps, "ItemKey": ["k"], "ItemData": ["d"]})
    (tmp_path / "a.parquet").write_bytes(with_optional_keys(table))

    found = read("a.parquet")

    assert (found.values, found.rows) == ([("k", "d")], 1)


def with_optional_keys(table):
    content = io.BytesIO()
    pq.write_table(table, content, store_schema=False)
    # Thrift: the repetition of a column, then its name
    required, optional = b"%\x00\x18\x03key", b"%\x02\x18\x03key"
    assert required in content.getvalue()
    return content.getvalue().replace(required, optional)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(pa.array([Decimal(7)], pa.decimal256(39, 0)), id="decimal"),
        pytest.param(struct({"a": Decimal(7)}, a=pa.decimal256(76, 38)), id="in a struct"),
    ],
)
def test_a_number_wider_than_the_engine_holds_is_refused_where_it_is_read(
    read, fault, tmp_path, array
):
    pq.write_table(pa.table({"ItemKey": ["k"], "ItemData": array}), tmp_path / "a.parquet")

    assert fault("a.parquet").startswith("a.parquet has its column ItemData as DECIMAL of ")
    assert read("a.parquet", columns=("ItemKey",)).values == [("k",)]


@pytest.mark.parametrize("how", ["encoding", "codec"])
def test_an_encoding_or_codec_that_the_engine_lacks_is_read_all_the_same(read, tmp_path, how):
    times = pa.array([NOON, None], pa.timestamp("us", "UTC"))
    table = pa.table({"ItemKey": ["k", "l"], "DateCreated": times})
    if how == "encoding":
        options = {"use_dictionary": False, "column_encoding": {"DateCreated": "BYTE_STREAM_SPLIT"}}
        pq.write_table(table, tmp_path / "a.parquet", **options)
    else:
        pq.write_table(table, tmp_path / "a.parquet", compression="lz4")
        content = (tmp_path / "a.parquet").read_bytes()
        for name in table.column_names:
            mark = bytes([len(name)]) + name.encode() + b"\x15"
            content = content.replace(mark + b"\x0e", mark + b"\x0a")  # LZ4_RAW to LZ4
        (tmp_path / "a.parquet").write_bytes(content)

    found = read("a.parquet", columns=("DateCreated", "ItemKey"))

    assert found.values == [(None, "l"), (NOON, "k")]


def test_files_whose_physical_types_differ_are_read_in_any_order(con, read, tmp_path):
    arrays = {
        "b": pa.array([Decimal("7.50")], pa.decimal128(5, 2)),
        "c": pa.array([7]),
        "d": pa.array(["x"]),
        "e": pa.array([b"x"]),
        "f": pa.array([{"a": 1}]),
        "g": pa.array([NOON], pa.timestamp("ns")),
    }
    for name, array in arrays.items():
        pq.write_table(
            pa.table({"ItemKey": [name], "ItemData": array}), tmp_path / f"{name}.parquet"
        )
    pq.write_table(
        pa.table({"ItemKey": ["i"], "ItemData": arrays["g"]}),
        tmp_path / "i.parquet",
        use_deprecated_int96_timestamps=True,
    )

    there = read(*[f"{name}.parquet" for name in "bcdefgi"])
    back = read(*[f"{name}.parquet" for name in "igfedcb"])

    assert there.values == back.values
    assert len(there.values) == 7


def test_an_encrypted_column_is_called_so(read, fault, tmp_path):
    encrypted(tmp_path / "a.parquet", plaintext_footer=True)
    encrypted(tmp_path / "b.parquet", plaintext_footer=False)

    assert read("a.parquet", columns=("ItemKey",)).values == [("k",)]
    assert fault("a.parquet") == "a.parquet is encrypted: its column ItemData can't be read."
    assert fault("b.parquet") == "b.parquet is encrypted Parquet, not Parquet."


def encrypted(path, **options):
    pe = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(pe.KmsClient):
        def __init__(self, _):
            super().__init__()

        def wrap_key(self, key, _):
            return key.hex()

        def unwrap_key(self, key, _):
            return bytes.fromhex(key.decode())

    table = pa.table({"ItemKey": ["k"], "ItemData": ["d"]})
    how = pe.EncryptionConfiguration(footer_key="a", column_keys={"b": ["ItemData"]}, **options)
    keys = pe.CryptoFactory(Keys).file_encryption_properties(pe.KmsConnectionConfig(), how)
    with pq.ParquetWriter(path, table.schema, encryption_properties=keys) as writer:
        writer.write_table(table)
