"""Finds the file and line that caused an engine's error.

DuckDB reads files while it builds models, so a fault that the first look missed becomes an error of
DuckDB. Its message often names no place, or a wrong one, and may quote a PIN. So we look for the
place in the files again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import duckdb
import ibis

from pipeline.errors import InputError
from pipeline.files import csv_survey, ndjson_survey, parquet
from pipeline.files.finding import UNCHANGED, kind_of
from pipeline.files.parts import literal_path
from pipeline.files.reading import Raw, read, require_unchanged

_OF_READERS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)


def mended(error: duckdb.Error, raws: Iterable[Raw]) -> bool:
    """Replace sound files that DuckDB could not read by copies; tell whether to try again.

    Raises:
        InputError: a file changed while it was read, or is not sound.
    """
    if not _is_of_readers(error):
        return False
    for raw in raws:
        require_unchanged(raw)
    # all of them: any() would stop at the first
    return sum(raw.mend() for raw in raws) > 0


def _is_of_readers(error: duckdb.Error) -> bool:
    # the error of a corrupt Parquet page often has no class of its own
    return isinstance(error, _OF_READERS) or type(error) is duckdb.Error


def diagnose(error: duckdb.Error, raw: Raw) -> InputError | None:
    """Return the fault of a file as an error, or None if the error is not about files."""
    if not _is_of_readers(error):
        return None
    try:
        require_unchanged(raw)
    except InputError as changed:
        return changed
    for path in raw.paths:
        fault = _fault(raw, path)
        if fault:
            return fault
    named = [path for path in raw.paths if _names(error, path)]
    if not named and type(error) is duckdb.Error:
        # DuckDB reads some damage in one way now and in another way the next time
        parquets = [path for path in raw.paths if kind_of(path) == "parquet"]
        named = parquets if len(parquets) == 1 else []
    return _unreadable(named[0], error) if named else None


def _unreadable(path: Path, error: duckdb.Error) -> InputError:
    return InputError(
        f"{path} can't be read ({type(error).__name__}), or changed while it was read.",
        f"Try again, or export the file again. {UNCHANGED}",
    )


def _names(error: duckdb.Error, path: Path) -> bool:
    return any(name in str(error) for name in (str(path.absolute()), literal_path(path)))


def _fault(raw: Raw, path: Path) -> InputError | None:
    try:
        match kind_of(path):
            case "parquet":
                parquet.check(path, raw.names)
            case "csv":
                csv_survey.check(path)
            case "ndjson":
                ndjson_survey.survey(path, raw.source.known_by)
                if fault := ndjson_survey.first_fault(path):
                    return fault
        _read_alone(raw, path)
    except InputError as fault:
        return fault
    except duckdb.Error as error:
        return _unreadable(path, error)
    return None


def _read_alone(raw: Raw, path: Path) -> None:
    """Let DuckDB read one file to its end, because its errors often name no file."""
    con = ibis.duckdb.connect()
    try:
        with tempfile.TemporaryDirectory(prefix="pipeline-fault-") as folder:
            scratch = Path(folder)
            table = read(con, raw.source, [path], raw.names, scratch=scratch).table
            query = con.compiler.to_sqlglot(table).sql("duckdb")
            for _ in con.con.execute(query).to_arrow_reader():
                pass
    finally:
        con.disconnect()
