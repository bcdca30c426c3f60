"""CSV files: text with a header; no type is guessed."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.files.finding import is_gzip
from pipeline.files.parts import Part, scan, view
from pipeline.sources import Source


def parts(con: Backend, source: Source, paths: Sequence[Path], names: Sequence[str]) -> list[Part]:
    return [_part(con, source, path, names) for path in paths]


def _part(con, source, path, names):
    opener = gzip.open if is_gzip(path) else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    options = {
        "auto_detect": False,
        "header": True,
        "columns": {f"c{i}": "VARCHAR" for i, _ in enumerate(header)},
        "delim": ",",
        "quote": '"',
        "escape": '"',
        "nullstr": "",
        "strict_mode": True,
        "hive_partitioning": False,
    }
    rows = scan("read_csv", [path], options)
    values = {name: sge.column(f"c{header.index(name)}", quoted=True) for name in names}
    table = view(con, source.name, values, rows)
    return Part(table, int(con.to_pyarrow(table.count()).as_py()))
