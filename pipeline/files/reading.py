"""Files of one source, of any kinds and types, as one lazy table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from pipeline.files import csv, ndjson, parquet
from pipeline.files.finding import kind_of
from pipeline.files.parts import Part
from pipeline.files.types import unite
from pipeline.sources import Source

_READERS = {"parquet": parquet.parts, "csv": csv.parts, "ndjson": ndjson.parts}


@dataclass(frozen=True)
class Raw:
    """A source as a table with the types as they came, and its rows counted independently."""

    table: ir.Table
    rows: int


def read(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    columns: Collection[str],
    optional: Collection[str] = (),
) -> Raw:
    """Return files as one lazy table: these columns, in the source's order.

    Where all files agree on a column's type it keeps it, else it is text. An `optional` column is
    NULL where a file lacks it.

    Raises:
        InputError: a file can't be read, or lacks a column.
    """
    names = [column.name for column in source.columns if column.name in columns]
    parts: list[Part] = []
    for kind, parts_of in _READERS.items():
        of_kind = [path for path in paths if kind_of(path) == kind]
        if of_kind:
            parts += parts_of(con, source, of_kind, names, optional)
    return Raw(unite([part.table for part in parts], names), sum(part.rows for part in parts))
