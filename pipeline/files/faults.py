"""From the engine's error to the file and line at fault.

Files are read while models are built, so what the first look at them leaves to the readers comes
up as an error of the engine. It often names no place, or a wrong one, and may quote a PIN: the
place is looked up in the files again.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import ibis

from pipeline.contract import names_of
from pipeline.errors import InputError
from pipeline.files import csv_survey, ndjson_survey, parquet
from pipeline.files.finding import UNCHANGED, kind_of
from pipeline.files.parts import literal_path
from pipeline.files.reading import Raw, read, require_unchanged
from pipeline.sources import Source

_OF_READERS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)


def diagnose(error: duckdb.Error, raw: Raw) -> InputError | None:
    """Return what is wrong with which file, or None if the error is not about the files."""
    # what a corrupt Parquet page causes often has no class of its own
    if not isinstance(error, _OF_READERS) and type(error) is not duckdb.Error:
        return None
    try:
        require_unchanged(raw)
    except InputError as changed:
        return changed
    for path in raw.paths:
        fault = _fault(raw.source, path)
        if fault:
            return fault
    named = [path for path in raw.paths if _names(error, path)]
    return _unreadable(named[0], error) if named else None


def _unreadable(path: Path, error: duckdb.Error) -> InputError:
    return InputError(
        f"{path} can't be read ({type(error).__name__}), or changed while it was read.",
        f"Try again, or export the file again. {UNCHANGED}",
    )


def _names(error: duckdb.Error, path: Path) -> bool:
    return any(name in str(error) for name in (str(path.absolute()), literal_path(path)))


def _fault(source: Source, path: Path) -> InputError | None:
    names = names_of(source.columns)
    try:
        match kind_of(path):
            case "parquet":
                parquet.check(path, names)
            case "csv":
                csv_survey.survey(path)
            case "ndjson":
                ndjson_survey.survey(path, names)
                if fault := ndjson_survey.first_fault(path):
                    return fault
        _read_alone(source, path)
    except InputError as fault:
        return fault
    except duckdb.Error as error:
        return _unreadable(path, error)
    return None


def _read_alone(source: Source, path: Path) -> None:
    """Let the engine read a file to its end: its errors often name none."""
    names = names_of(source.columns)
    con = ibis.duckdb.connect()
    try:
        table = read(con, source, [path], names, optional=names).table
        for _ in con.con.execute(con.compiler.to_sqlglot(table).sql("duckdb")).to_arrow_reader():
            pass
    finally:
        con.disconnect()
