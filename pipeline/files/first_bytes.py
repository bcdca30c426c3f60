"""Finds a file's kind by its first bytes, in case its name is wrong."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED, kind_of, unreadable

_KINDS = {
    b"PAR1": "Parquet",
    b"PARE": "encrypted Parquet",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "LZ4",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "a zip archive",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"SQLite format 3": "a SQLite database",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_NEXT = {
    "Parquet": "Let its name end in .parquet.",
    "encrypted Parquet": "Write it without encryption.",
    "gzip": "Let its name end in .gz as well.",
    "UTF-16": "Convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`.",
}
_LONGEST = max(map(len, _KINDS))


def kind_of_bytes(start: bytes) -> str | None:
    """Return the kind of a file, or of its unpacked content, by its start; None for plain text."""
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), None)


def other_kind(path: Path, start: bytes, as_what: str) -> InputError | None:
    """Return an error if a file's first bytes show another kind than its name, else None."""
    found = kind_of_bytes(start)
    if found is None or found == as_what:
        return None
    step = _NEXT.get(found, "Unpack it, or export it as one of the kinds that are read.")
    return InputError(f"{path} is {found}, not {as_what}.", f"{step} {UNCHANGED}")


def first_bytes(path: Path) -> bytes:
    """Return a file's first bytes, as they are on disk.

    Raises:
        InputError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise unreadable(path, error) from error


NAMES = {"parquet": "Parquet", "ndjson": "NDJSON", "csv": "CSV"}


def name_of_kind(path: Path) -> str:
    """Return the kind of a file by its name, as people write it."""
    return NAMES[kind_of(path)]
