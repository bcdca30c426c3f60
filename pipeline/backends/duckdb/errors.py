"""Turns DuckDB's errors into expected failures, in our own words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from pipeline.disk import is_full
from pipeline.errors import (
    EngineError,
    OutOfMemoryError,
    PipelineError,
    ResourceError,
    UsageError,
)
from pipeline.files import Raw, diagnose


class DatabaseLockedError(UsageError):
    """The database is open for writing, in another program or in this one."""


class StrayLogError(UsageError):
    """Another database's log lies beside this one, so DuckDB can't read it."""


@contextlib.contextmanager
def engine_errors(read: Sequence[Raw] = ()) -> Iterator[None]:
    """Turn the errors of a statement into expected failures; `read` are the files it reads.

    Raises:
        InputError: one of the files is faulty.
        ResourceError: memory or disk ran out.
        EngineError: DuckDB can't run the statement.
    """
    try:
        with _interruptible():
            yield
    except duckdb.OutOfMemoryException as error:
        raise _ran_out(error) from error
    except duckdb.Error as error:
        if full := _disk_full(error):
            raise full from error
        for raw in read:
            if fault := diagnose(error, raw):
                # DuckDB's message may quote a line with a PIN
                raise fault from None
        raise EngineError(f"DuckDB: {first_line(error)}") from error


@contextlib.contextmanager
def opening(path: Path | None) -> Iterator[None]:
    """Turn the errors of opening a database into expected failures; None is one in memory.

    Raises:
        DatabaseLockedError: it is open for writing.
        StrayLogError: another database's log lies beside it.
        UsageError: it is not a DuckDB database, or DuckDB does not take the limits.
    """
    try:
        yield
    except (duckdb.ParserException, duckdb.InvalidInputException) as error:
        raise UsageError(
            f"DuckDB does not take these limits: {first_line(error)}",
            "Write --memory-limit like 4GB or 512MB.",
        ) from error
    except (duckdb.IOException, duckdb.BinderException, duckdb.SerializationException) as error:
        raise _cannot_open(path, error) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C: DuckDB reports it as an error of its own."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0]


def _cannot_open(path: Path | None, error: duckdb.Error) -> PipelineError:
    if full := _disk_full(error):
        return full
    if "lock" in str(error) or "already attached" in str(error):
        return DatabaseLockedError(
            f"{path} is open for writing elsewhere: {first_line(error)}",
            "Close that program or connection, or let it open the file read-only.",
        )
    if "replaying WAL" in str(error):
        return _unusable_log(path, error)
    return UsageError(
        f"{path} can't be opened as a DuckDB database: {first_line(error)}",
        "Name another file with --database, or move this one away.",
    )


def _unusable_log(path: Path | None, error: duckdb.Error) -> UsageError:
    log = f"{path.resolve() if path and path.is_symlink() else path}.wal"
    if re.search(r"does not match (the )?database file", str(error)):
        return StrayLogError(
            f"Another program wrote to an older build of {path}: its changes are in {log} and "
            "belong to that older build.",
            f"Close that program, then delete {log}, or build again. The last build is whole.",
        )
    return UsageError(
        f"DuckDB can't read {log}, the changes that another program made to {path} last: "
        f"{first_line(error)}",
        f"Move {log} away to go on without them. The last build is whole.",
    )


def _ran_out(error: duckdb.OutOfMemoryException) -> ResourceError:
    # DuckDB spills until a tenth of the disk is left, and reports that as out of memory too
    if "max_temp_directory_size" in str(error):
        return ResourceError(
            f"The disk is too full for what does not fit into memory: {first_line(error)}",
            "Free space beside the database, or give more memory with --memory-limit. "
            "The last build is unchanged.",
        )
    return OutOfMemoryError(
        f"DuckDB ran out of memory: {first_line(error)}",
        "Give it more with --memory-limit. The last build is unchanged.",
    )


def _disk_full(error: duckdb.Error) -> ResourceError | None:
    if not is_full(error):
        return None
    return ResourceError(
        f"The disk is full: {first_line(error)}",
        "Free space beside the database. The last build is unchanged.",
    )
