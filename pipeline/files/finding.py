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
        InputError: a file is missing, a glob finds none, or one is a folder or of another kind.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _matches(str(pattern)):
            kind_of(path)
            found.setdefault(os.path.realpath(path), path)
    return tuple(found.values())


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
        raise InputError(
            f"{pattern} is a folder.", f"Name the files in it, as {pattern}/*.parquet. {UNCHANGED}"
        )
    if path.exists():
        return [path]
    if not glob.has_magic(pattern):
        raise InputError(f"{pattern} does not exist.", f"Check the path. {UNCHANGED}")
    files = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]
    files = [file for file in files if not file.is_dir()]
    if not files:
        raise InputError(f"{pattern} matches no file.", f"Check the path. {UNCHANGED}")
    return files
