"""NDJSON files: a JSON object a line; all of it is read as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.files.parts import Part, scan, view
from pipeline.sources import Source


def parts(con: Backend, source: Source, paths: Sequence[Path], names: Sequence[str]) -> list[Part]:
    rows = scan("read_ndjson_objects", paths, {"hive_partitioning": False})
    values = {
        name: sge.Anonymous(
            this="json_extract_string", expressions=[sge.column("json"), sge.convert(f'$."{name}"')]
        )
        for name in names
    }
    table = view(con, source.name, values, rows)
    return [Part(table, int(con.to_pyarrow(table.count()).as_py()))]
