"""Parquet files whose columns are not those of the files beside them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from harnesses.faulty_bytes import Fault, Must
from pipeline import catalog
from pipeline.expressions import columns_read

_GRAPH = catalog.load()
USED = {
    source: tuple(sorted(names)) for source, names in columns_read(_GRAPH, _GRAPH.models).items()
}
"""The columns that the models read, by source."""

_ARRAYS = {
    "text": pa.array(["x", None, "2022-01-01T00:00:00Z", "\u20ac"]),
    "large text": pa.array(["x", None], pa.large_string()),
    "bytes of UTF-8": pa.array([b"x", None]),
    "a dictionary": pa.array(["x", "y", None, "x"]).dictionary_encode(),
    "small integers": pa.array([1, -1, None], pa.int8()),
    "big integers": pa.array([2**64 - 1, 0], pa.uint64()),
    "floats": pa.array([1.5, 1e300, None, 7.0]),
    "small floats": pa.array([1.5, None], pa.float32()),
    "decimals": pa.array([1, None], pa.int64()).cast(pa.decimal128(38, 9)),
    "booleans": pa.array([True, False, None]),
    "dates": pa.array([0, None, 20_000], pa.date32()),
    "seconds": pa.array([0, None, 1_700_000_000], pa.timestamp("s")),
    "nanoseconds": pa.array([0, None, 1_700_000_000], pa.timestamp("ns", "UTC")),
    "times at the ends": pa.array([0, None, 2**63 - 1, -(2**63)]).cast(pa.timestamp("ms")),
    "text of no UTF-8": pa.array([b"x", None, b"x\xff"]).view(pa.string()),
    "bytes of no UTF-8": pa.array([b"x", None, b"\xff"]),
    "tiny floats": pa.array([1.5, None], pa.float16()),
    "durations": pa.array([1, None], pa.duration("us")),
    "times of day": pa.array([0, None, 1], pa.time64("us")),
    "text marked as JSON": pa.array(["{", None, "{}"], pa.json_()),
    "nothing": pa.nulls(1),
    "lists": pa.array([["x"], None, []]),
    "structs": pa.array([{"a": 1}, None]),
    "maps": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
}
"""Values of each type, repeated over a column."""


def shifted(source: str, content: bytes) -> Iterator[Fault]:
    """Yield the faults of a sound file's schema."""
    table = pq.read_table(io.BytesIO(content))
    names = table.column_names
    for place, name in enumerate(names):
        column = table[name]
        used = name in USED[source]
        must: Must = "be refused" if used else "be read"
        told = f"has no column {name}" if used else ""
        yield Fault("a column lacking", must, parquet(table.drop_columns([name])), told)
        for fault, other in (("renamed", f"{name}_"), ("in another case", name.swapcase())):
            renamed = table.rename_columns({name: other})
            yield Fault(f"a column {fault}", must, parquet(renamed), told)
        twice = table.append_column(name.swapcase(), column)
        yield Fault("a column twice in two cases", "be read", parquet(twice))
        for kind, values in _ARRAYS.items():
            others = pa.concat_arrays([values] * (len(table) // len(values) + 1))[: len(table)]
            retyped = table.set_column(place, name, others)
            yield Fault(f"a column of {kind}", "be read", parquet(retyped))
    more = table.append_column("more", pa.nulls(len(table)))
    yield Fault("columns in another order", "be read", parquet(table.select(names[::-1])))
    yield Fault("a column too many", "be read", parquet(more))
    yield Fault("no rows", "be read", parquet(table.slice(0, 0)))
    yield Fault("no columns", "be refused", parquet(table.select([])))


def parquet(table: pa.Table, **options: object) -> bytes:
    """Write a table as a Parquet file."""
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()
