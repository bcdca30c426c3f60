"""From the engine's error to the file and line at fault.

Files are read while models are built, so what the first look at them leaves to the readers comes
up as an error of the engine. It often names no place, or a wrong one, and may quote a PIN: the
place is looked up in the files again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipeline.contract import names_of
from pipeline.errors import InputError
from pipeline.files import csv_survey, ndjson_survey, parquet
from pipeline.files.finding import UNCHANGED, kind_of
from pipeline.files.parts import literal_path
from pipeline.sources import Source

_OF_READERS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)


def diagnose(error: duckdb.Error, source: Source, paths: Sequence[Path]) -> InputError | None:
    """Return what is wrong with which file, or None if the error is not about the files."""
    # what a corrupt Parquet page causes often has no class of its own
    if not isinstance(error, _OF_READERS) and type(error) is not duckdb.Error:
        return None
    for path in paths:
        fault = _fault(source, path)
        if fault:
            return fault
    named = [path for path in paths if _names(error, path)]
    if not named:
        return None
    return InputError(
        f"{named[0]} can't be read ({type(error).__name__}), or changed while it was read.",
        f"Try again, or export the file again. {UNCHANGED}",
    )


def _names(error: duckdb.Error, path: Path) -> bool:
    return any(name in str(error) for name in (str(path.absolute()), literal_path(path)))


def _fault(source: Source, path: Path) -> InputError | None:
    try:
        match kind_of(path):
            case "parquet":
                parquet.check(path, names_of(source.columns))
            case "csv":
                csv_survey.survey(path)
            case "ndjson":
                ndjson_survey.survey(path, names_of(source.columns))
                return ndjson_survey.first_fault(path)
    except InputError as fault:
        return fault
    return None
