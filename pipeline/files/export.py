"""Writes the files of one source as Parquet, with the columns and types of a warehouse."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from pipeline.contract import names_of
from pipeline.disk import is_full
from pipeline.errors import EngineError, ResourceError
from pipeline.files.faults import diagnose, mended
from pipeline.files.finding import find
from pipeline.files.reading import Raw, read, require_unchanged
from pipeline.rules.numbers import whole_number
from pipeline.rules.source_values import as_text
from pipeline.rules.time import source_time
from pipeline.sources import Source

_PART = "256MB"


@dataclass(frozen=True)
class Export:
    """Parquet files that together hold the rows of a source, all with the same columns."""

    source: Source
    schema: ibis.Schema
    parts: tuple[Path, ...]
    rows: int


def export(
    source: Source,
    patterns: Sequence[str],
    as_they_come: Collection[str],
    folder: Path,
    there: Mapping[str, dt.DataType],
) -> Export:
    """Write all columns of the source into files in a folder, in its order, with bounded memory.

    An optional column that a file lacks is NULL. The columns `as_they_come` keep the files' type.
    They are text if the warehouse lacks that type, or if the raw table `there` has text. All other
    columns have the source's type; a value that has another type is NULL.

    Raises:
        InputError: a file can't be used.
        ResourceError: the disk is full.
    """
    paths = find(patterns)
    con = ibis.duckdb.connect(preserve_insertion_order=False)
    try:
        names = names_of(source.columns)
        raw = read(con, source, paths, names, scratch=folder / "scratch")
        table = raw.table.select(
            **{
                name: _kept(raw.table[name], there.get(name))
                if name in as_they_come
                else _declared(raw.table[name], source.schema[name])
                for name in names
            }
        )
        _write(con, table, raw, folder)
        require_unchanged(raw)
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        return Export(source, table.schema(), tuple(sorted(folder.glob("*.parquet"))), raw.rows)
    finally:
        con.disconnect()


def _write(con: Backend, table: ir.Table, raw: Raw, folder: Path) -> None:
    query = con.compiler.to_sqlglot(table).sql("duckdb")
    target = str(folder).replace("'", "''")
    copy = (
        f"COPY ({query}) TO '{target}' (FORMAT parquet, FILE_SIZE_BYTES '{_PART}',"
        " OVERWRITE_OR_IGNORE)"
    )
    try:
        _execute(con, copy, raw)
    except duckdb.Error as error:
        if fault := diagnose(error, raw):
            # DuckDB's message may quote a line with a PIN
            raise fault from None
        message = str(error).splitlines()[0]
        if isinstance(error, duckdb.OutOfMemoryException) or is_full(error):
            raise ResourceError(
                f"Memory or the disk for temporary files is full: {message}",
                "Free some, or let TMPDIR name a folder with more. Nothing was loaded.",
            ) from error
        raise EngineError(f"DuckDB: {message}") from error


def _execute(con: Backend, statement: str, raw: Raw) -> None:
    try:
        con.con.execute(statement)
        return
    except duckdb.Error as error:
        failed = error
    if not mended(failed, [raw]):
        raise failed
    con.con.execute(statement)


def _kept(column: ir.Column, there: dt.DataType | None) -> ir.Column:
    kind = column.type()
    if there is not None and there.is_string():
        return as_text(column)
    if kind.is_timestamp():
        return source_time(column)
    if kind.is_date() or kind.is_boolean() or kind == dt.int64 or kind == dt.float64:
        return column
    return as_text(column)


def _declared(column: ir.Column, declared: dt.DataType) -> ir.Column:
    if declared.is_timestamp():
        return source_time(column)
    if declared.is_boolean():
        return column if column.type().is_boolean() else as_text(column).try_cast("boolean")
    return whole_number(column) if declared.is_integer() else as_text(column)
