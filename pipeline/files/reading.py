"""Reads the files of one source, of any kinds and types, as one lazy table."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from pipeline.errors import InputError
from pipeline.files import csv, ndjson, parquet
from pipeline.files.finding import UNCHANGED, kind_of, unreadable
from pipeline.files.parts import Part
from pipeline.files.types import unite
from pipeline.results import FileRead
from pipeline.sources import Source

_READERS = {"parquet": parquet.parts, "csv": csv.parts, "ndjson": ndjson.parts}


@dataclass(frozen=True)
class Raw:
    """A source as a table with the types that it came with, and the files that hold its rows.

    `paths` are the files as the user named them, `names` the columns to read.
    """

    source: Source
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    table: ir.Table
    files: tuple[FileRead, ...]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """The number of rows, counted without DuckDB's reader."""
        return sum(file.rows for file in self.files)

    def mend(self) -> bool:
        """Replace sound files that DuckDB can't read; tell whether there were any.

        If so, a failed statement may be tried again.

        Raises:
            InputError: a file is not sound.
        """
        # all of them: any() would stop at the first
        return sum(part.mend() for part in self.parts) > 0


def read(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    columns: Collection[str],
    *,
    scratch: Path,
) -> Raw:
    """Return these files as one lazy table: these columns, in the source's order.

    Other files never change a row. If all files agree on a column's type, it has that type;
    otherwise it is a struct with a field for each type (see `rules.mixed`). The folder `scratch`
    takes copies of sound files that DuckDB can't read; it must last as long as the table.

    Raises:
        InputError: a file can't be read, or lacks a column that is not optional.
    """
    names = [column.name for column in source.columns if column.name in columns]
    states = {path: _state(path) for path in paths}
    parts: list[Part] = []
    for kind, parts_of in _READERS.items():
        of_kind = [path for path in paths if kind_of(path) == kind]
        if of_kind:
            parts += parts_of(con, source, of_kind, names, scratch)
    rows = {path: count for part in parts for path, count in part.rows.items()}
    files = tuple(FileRead(os.path.realpath(path), *states[path], rows[path]) for path in paths)
    table = unite([part.table for part in parts], names)
    return Raw(source, tuple(paths), tuple(names), table, files, tuple(parts))


def require_unchanged(raw: Raw) -> None:
    """Check that the files have not changed since the first look at them.

    Raises:
        InputError: a file has another size or time of change, or is gone.
    """
    for path, file in zip(raw.paths, raw.files, strict=True):
        size, modified_ns = _state(path)
        if (size, modified_ns) != (file.bytes, file.modified_ns):
            how = "grew" if size > file.bytes else "changed"
            raise InputError(
                f"{path} {how} while it was read: it had {file.bytes:,} bytes, now {size:,}.",
                f"Build again when nothing writes to it any more. {UNCHANGED}",
            )


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return found.st_size, found.st_mtime_ns
