"""From what people type to the files that are meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import InputError

Kind = Literal["parquet", "ndjson", "csv"]

UNCHANGED = "The last build is unchanged."
_KINDS: dict[str, Kind] = {
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".ndjson.gz": "ndjson",
    ".jsonl.gz": "ndjson",
    ".csv.gz": "csv",
}


def find(patterns: Sequence[str | Path]) -> tuple[Path, ...]:
    """Return the files that paths and globs name, each once and sorted within a glob.

    Raises:
        InputError: a file is missing, a glob finds none, or one is a folder, of another kind, or
            of a name that the engine can't be told.
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
    # Both are allowed on disk. The engine's paths are UTF-8, and where it looks for the letters
    # of a glob as such, it takes a backslash for a slash.
    text = str(path.absolute())
    name = os.fsencode(path).decode(errors="backslashreplace")
    if name != str(path) or ("\\" in text and glob.has_magic(text)):
        raise InputError(
            f"{name} has a name that can't be used: letters that are no UTF-8, or a backslash "
            "together with *, ? or [.",
            f"Rename it. {UNCHANGED}",
        )


def kind_of(path: Path) -> Kind:
    """Tell a file's kind by its name.

    Raises:
        InputError: the name ends in none of the kinds that are read.
    """
    name = path.name.lower()
    for ending, kind in _KINDS.items():
        if name.endswith(ending):
            return kind
    raise InputError(
        f"{path} is of an unknown kind.",
        "Name a .parquet, .ndjson, .jsonl or .csv file; the last three may end in .gz too. "
        + UNCHANGED,
    )


def is_gzip(path: Path) -> bool:
    """Tell whether a file is compressed, by its name."""
    return path.name.lower().endswith(".gz")


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    # a file may be named with the letters of a glob: what exists is meant as it stands
    if path.is_dir():
        raise _folder(path)
    if path.exists():
        return [path]
    if not glob.has_magic(pattern):
        raise InputError(f"{pattern} does not exist.", f"Check the path. {UNCHANGED}")
    # Path.glob takes no absolute patterns
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    matches = [Path(match) for match in found]
    files = [match for match in matches if not match.is_dir()]
    for match in set(matches).difference(files):
        # other programs write one table as a folder named like a file: not to be left out silently
        if match.name.lower().endswith(tuple(_KINDS)):
            raise _folder(match)
    if not files:
        raise InputError(f"{pattern} matches no file.", f"Check the path. {UNCHANGED}")
    return files
