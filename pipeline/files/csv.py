"""CSV files with a header. Every column is text: the reader guesses no types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.files.csv_survey import Survey, survey
from pipeline.files.finding import is_gzip
from pipeline.files.parts import Part, grouped, require, scan, view
from pipeline.files.streams import compression, readable
from pipeline.sources import Source

_OPTIONS = {
    "auto_detect": False,
    # a parallel reader guesses where records begin, and may take a line within a value for one
    "parallel": False,
    "header": True,
    "delim": ",",
    "quote": '"',
    "escape": '"',
    "nullstr": "",
    # of DuckDB's own 32 MiB, a range's bytes would be copied into fresh memory each time
    "buffer_size": 4 * 2**20,
    "hive_partitioning": False,
}
_LONG_RECORD = 1_000_000


def parts(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    names: Sequence[str],
    scratch: Path,
) -> list[Part]:
    """Return a part for each shape among the files; all columns are text.

    Raises:
        InputError: a file is not CSV, or lacks one of the columns.
    """
    surveys = {path: survey(path) for path in paths}
    for path, found in surveys.items():
        require(path, found.header, source, names)
    shapes = grouped(paths, lambda path: (surveys[path].header, _options(path, surveys[path])))
    return [
        _part(con, source, alike, header, dict(options), names, surveys, scratch)
        for (header, options), alike in shapes.items()
    ]


def _options(path: Path, found: Survey) -> tuple[tuple[str, Any], ...]:
    options = _OPTIONS | {
        "compression": "uncompressed" if found.is_odd else compression(path),
        # a strict reader refuses a file with two kinds of line breaks
        "strict_mode": found.line_end is not None,
    }
    if found.longest > _LONG_RECORD:
        options |= {"max_line_size": 2 * found.longest, "buffer_size": 8 * found.longest}
    return tuple(options.items())


def _files(con: Backend, path: Path, found: Survey, scratch: Path) -> Sequence[Path | str]:
    """Return a file as DuckDB reads it: as it is, or if it is odd or large, in ranges."""
    if not found.is_odd and (len(found.ranges) == 1 or is_gzip(path)):
        return [path]
    # most builds read no such file, and need not wait for this import
    from pipeline.files import ranges

    unpacked = readable(path, scratch) if found.is_odd else path
    return ranges.names(con, unpacked, found.ranges, found.line_end or b"\n")


def _part(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    header: Sequence[str],
    options: Mapping[str, Any],
    names: Sequence[str],
    surveys: Mapping[Path, Survey],
    scratch: Path,
) -> Part:
    # by place, not by name: a header may hold any name, also twice
    columns = {f"c{place}": "VARCHAR" for place, _ in enumerate(header)}
    read = [file for path in paths for file in _files(con, path, surveys[path], scratch)]
    rows = scan("read_csv", read, {**options, "columns": columns})
    values = {
        name: sge.column(f"c{header.index(name)}", quoted=True) for name in names if name in header
    }
    table = view(con, source.name, [(values, rows)])
    return Part(table, {path: surveys[path].rows for path in paths})
