"""The files that the published raw events came from, and which are new, gone or changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline import files
from pipeline.backends.duckdb.tables import RECORDS
from pipeline.errors import InputError
from pipeline.files import globs
from pipeline.files.finding import UNCHANGED
from pipeline.results import FileRead

FILES = "files"
_TABLE = f"{RECORDS}.{FILES}"
_NAMED = 20
"""The most files that a message names."""


def read(con: IbisDuckDB) -> tuple[FileRead, ...] | None:
    """Return the files that the current database has a record of; None if it has no record."""
    if RECORDS not in con.list_databases() or FILES not in con.list_tables(database=RECORDS):
        return None
    rows = con.con.execute(f"SELECT path, bytes, modified_ns, rows FROM {_TABLE}").fetchall()
    return tuple(FileRead(*row) for row in rows)


def write(con: IbisDuckDB, read_files: Sequence[FileRead], run: datetime, *, whole: bool) -> None:
    """Record the files of a run: all there are if `whole`, else added to earlier runs' files."""
    con.raw_sql(
        f"CREATE TABLE IF NOT EXISTS {_TABLE} (path VARCHAR, bytes BIGINT, modified_ns BIGINT,"
        " rows BIGINT, run TIMESTAMPTZ)"
    )
    if whole:
        con.raw_sql(f"DELETE FROM {_TABLE}")
    rows = [(each.path, each.bytes, each.modified_ns, each.rows, run) for each in read_files]
    if rows:
        con.raw_sql(sge.insert(sge.values(rows), _TABLE).sql("duckdb"))


@dataclass(frozen=True)
class Compared:
    """The difference between the files that inputs name now and those recorded."""

    new: tuple[Path, ...]
    gone: tuple[FileRead, ...]


def compare(recorded: Sequence[FileRead], found: Sequence[Path]) -> Compared:
    """Compare the files found now with those recorded.

    Raises:
        InputError: a recorded file has another size or time of change.
    """
    known = {each.path for each in recorded}
    gone = []
    for each in recorded:
        try:
            state = Path(each.path).stat()
        except FileNotFoundError:
            gone.append(each)
            continue
        if not _is_as_read(each, state):
            raise InputError(
                f"{each.path} has changed since a build read it: it had {each.bytes:,} bytes, "
                f"now {state.st_size:,}.",
                "Put new events into new files, and build once without --incremental, which reads "
                f"all files anew. {UNCHANGED}",
            )
    return Compared(
        tuple(path for path in found if os.path.realpath(path) not in known), tuple(gone)
    )


def require_as_read(recorded: Sequence[FileRead]) -> None:
    """Check that all recorded files are there, with the size and time that they had.

    Raises:
        InputError: files are gone or have changed.
    """
    faulty = [f"{each.path} {what}" for each in recorded if (what := _change_of(each))]
    if faulty:
        some = ", ".join(faulty[:_NAMED])
        more = f", and {len(faulty) - _NAMED:,} more" if len(faulty) > _NAMED else ""
        raise InputError(
            f"The published build can't be compared with its files: {some}{more}.",
            "Put the files back as they were, or build in full: `python cli.py build`.",
        )


def _change_of(recorded: FileRead) -> str:
    try:
        state = Path(recorded.path).stat()
    except OSError as error:
        return "is gone" if isinstance(error, FileNotFoundError) else f"({error.strerror})"
    return "" if _is_as_read(recorded, state) else "has changed"


def _is_as_read(recorded: FileRead, state: os.stat_result) -> bool:
    return (state.st_size, state.st_mtime_ns) == (recorded.bytes, recorded.modified_ns)


def find(patterns: Sequence[str], recorded: Collection[str]) -> tuple[Path, ...]:
    """Return the files that patterns name; a recorded pattern may name none any more.

    Raises:
        InputError: a pattern that is not recorded names no file, or a file can't be used.
    """
    there = [
        pattern
        for pattern in patterns
        if files.absolute(pattern) not in recorded or _names_any(pattern)
    ]
    return files.find(there)


def lost(recorded: Sequence[FileRead], found: Sequence[Path]) -> tuple[FileRead, ...]:
    """Return the recorded files that are not among those found."""
    real = {os.path.realpath(path) for path in found}
    return tuple(each for each in recorded if each.path not in real)


def told(gone: Sequence[FileRead]) -> str:
    """Say how many files these are, and how many rows they had."""
    rows = sum(each.rows for each in gone)
    return f"{len(gone):,} file{'s' * (len(gone) != 1)} ({rows:,} row{'s' * (rows != 1)})"


def verbs(gone: Sequence[FileRead]) -> tuple[str, str]:
    """Return "are" and "their" for these files, or the same for a single one."""
    return ("is", "its") if len(gone) == 1 else ("are", "their")


def _names_any(pattern: str) -> bool:
    base, parts = globs.split(pattern)
    try:
        return bool(globs.matches(base, parts)) if parts else os.path.lexists(base)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # files.find raises the error
