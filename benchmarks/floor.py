"""The floor: one DuckDB statement that reads the events, parses each ItemData once, and stores all.

python -m benchmarks.floor EVENTS DATABASE MEMORY_LIMIT [tuned]

It stores the raw columns that the models use and every scalar that they read from the JSON, and
nothing else: no dedup, no checks, no marts. It runs with DuckDB's default settings; tuned, with
those of builds: no build of these tables can be faster.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from pipeline.backends.duckdb.backend import STORAGE_VERSION

_RAW = (
    "EventType, DateCreated, MapRevision, ItemKey, ItemRevision, EndpointId, ItemData,"
    " MapUniqueName, _source_file"
)
_SCALARS = (
    *("command_id", "uuid", "timestamp", "client", "user", "origin", "origin_id"),
    *("node_id", "result", "failure_string"),
)
_NESTED = ("desired_state", "state")


_TUNED = {
    "preserve_insertion_order": False,
    "storage_compatibility_version": STORAGE_VERSION,
    "write_buffer_row_group_count": 1,
}


def store(events: str, database: Path, memory_limit: str, *, tuned: bool) -> None:
    """Read, parse and store the events of a glob of Parquet files in a new database."""
    members = [f'"{name}":"VARCHAR"' for name in _SCALARS] + [f'"{n}":"JSON"' for n in _NESTED]
    config = {"threads": 2, "memory_limit": memory_limit} | (_TUNED if tuned else {})
    with duckdb.connect(str(database), config=config) as con:
        con.execute(
            f"CREATE TABLE events AS SELECT {_RAW}, parsed.* FROM (SELECT {_RAW}, CASE WHEN"
            f" json_valid(ItemData) THEN json_transform(ItemData, '{{{','.join(members)}}}') END"
            " AS parsed FROM read_parquet(?))",
            [events],
        )
        con.execute("CHECKPOINT")


if __name__ == "__main__":
    store(sys.argv[1], Path(sys.argv[2]), sys.argv[3], tuned=sys.argv[4:] == ["tuned"])
