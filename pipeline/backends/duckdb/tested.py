"""The results of the last `test`, in a file beside the database until the next build.

`test` changes no byte of a database: readers have it open.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pipeline.disk import writing
from pipeline.errors import UsageError
from pipeline.results import LastTest


def file_of(database: Path) -> Path:
    """Return the file's path."""
    return database.with_name(f"{database.name}.tested.json")


def write(database: Path, tested: LastTest) -> None:
    """Write the results; the old file stays whole until the new one is.

    Raises:
        ResourceError: the disk is full.
        UsageError: the file can't be written.
    """
    file = file_of(database)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with writing(file):
        try:
            new.write_text(json.dumps(tested.to_json()), encoding="utf-8")
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


def read(database: Path) -> LastTest | None:
    """Return the results, None if there are none.

    Raises:
        UsageError: the file is damaged.
    """
    file = file_of(database)
    if not file.exists():
        return None
    try:
        return LastTest.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} does not hold the results of a test.", "Delete it, or test again."
        ) from error
