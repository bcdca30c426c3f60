"""Finds the files that paths and globs name."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import InputError
from pipeline.files.globs import is_folder, matches, split

Kind = Literal["parquet", "ndjson", "csv"]

UNCHANGED = "The last build is unchanged."

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://?[^/]", re.IGNORECASE)
_FETCH = {
    "s3": "Fetch it with `aws s3 cp`",
    "gs": "Fetch it with `gcloud storage cp`",
    "http": "Fetch it with `curl -O`",
    "https": "Fetch it with `curl -O`",
}
_FETCH_ANY = "Copy it to this machine"
_KINDS: dict[str, Kind] = {
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".ndjson.gz": "ndjson",
    ".jsonl.gz": "ndjson",
    ".json.gz": "ndjson",
    ".csv.gz": "csv",
}


def find(patterns: Sequence[str | Path]) -> tuple[Path, ...]:
    """Return the files that paths and globs name, each once and sorted within a glob.

    Raises:
        InputError: a path names no file, or a file of an unknown kind or with a name that DuckDB
            can't take; a glob finds no file, or meets a folder that can't be read.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _matches(str(pattern)):
            kind_of(path)
            _check_name(path)
            found.setdefault(os.path.realpath(path), path)
    return tuple(found.values())


def _folder(path: Path) -> InputError:
    return InputError(
        f"{path} is a folder.", f"Name the files in it, as {path}/*.parquet. {UNCHANGED}"
    )


def _check_name(path: Path) -> None:
    # Both are allowed on disk. DuckDB's paths are UTF-8; it takes a backslash for a slash where
    # it looks for the characters of a glob literally.
    text = str(path.absolute())
    name = os.fsencode(path).decode(errors="backslashreplace")
    if name != str(path) or ("\\" in text and glob.has_magic(text)):
        raise InputError(
            f"{name} has a name that can't be used: letters that are not UTF-8, or a backslash "
            "together with *, ? or [.",
            f"Rename it. {UNCHANGED}",
        )


def kind_of(path: Path) -> Kind:
    """Tell a file's kind by its name.

    Raises:
        InputError: the name has no known ending.
    """
    name = path.name.lower()
    for ending, kind in _KINDS.items():
        if name.endswith(ending):
            return kind
    raise InputError(
        f"{path} is of an unknown kind.",
        "Name a .parquet, .ndjson, .jsonl, .json or .csv file; all but the first may end in .gz "
        f"too. {UNCHANGED}",
    )


def is_gzip(path: Path) -> bool:
    """Tell by its name whether a file is compressed."""
    return path.name.lower().endswith(".gz")


def _matches(pattern: str) -> list[Path]:
    base, parts = split(pattern)
    try:
        if not parts:
            return [_file(base)]
        return _files(pattern, matches(base, parts))
    except FileNotFoundError as error:
        raise _missing(pattern, str(error.filename)) from error
    except OSError as error:
        raise unreadable(error.filename or pattern, error) from error
    except ValueError as error:
        raise InputError(f"{pattern!r} is not a path: {error}.", UNCHANGED) from error


def _file(path: Path) -> Path:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise _folder(path)
    if not stat.S_ISREG(mode):
        what = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise InputError(
            f"{path} is a {what}, not a file.",
            f"Write its content to a file, and name that one. {UNCHANGED}",
        )
    return path


def _files(pattern: str, found: Sequence[Path]) -> list[Path]:
    # Other programs write one table as a folder named like a file: a glob must not silently leave
    # it out. It leaves out any other folder.
    files = [
        _file(path)
        for path in found
        if not is_folder(path) or path.name.lower().endswith(tuple(_KINDS))
    ]
    if not files:
        raise _missing(pattern, None)
    return files


def _missing(pattern: str, path: str | None) -> InputError:
    if address := _ADDRESS.match(pattern):
        return InputError(
            f"{pattern} is an address; only files of this machine are read.",
            f"{_FETCH.get(address[1].lower(), _FETCH_ANY)}, and name the copy. {UNCHANGED}",
        )
    if pattern.startswith("~"):
        return InputError(
            f"{pattern} does not exist: the shell did not replace the ~ by your home folder.",
            f"Write $HOME, or leave out the quotes around it. {UNCHANGED}",
        )
    what = f"{path} does not exist." if path else f"{pattern} matches no file."
    return InputError(what, f"Check the path. {UNCHANGED}")


def unreadable(path: str | Path, error: OSError) -> InputError:
    """Return the error of a file or folder that the system does not let us read."""
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"{path} is too long a name for a file.", f"Check the path. {UNCHANGED}")
    return InputError(
        f"{path} can't be read: {error.strerror or error}.",
        f"Check that it exists and that you may read it. {UNCHANGED}",
    )
