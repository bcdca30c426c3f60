"""The kind of a file by its first bytes, where its name says another one."""

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
    """Name the kind that a file or what it is compressed from begins as; None for plain text."""
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), None)


def other_kind(path: Path, start: bytes, as_what: str) -> InputError | None:
    """Say what a file is by its first bytes, None where they fit its name or tell nothing."""
    found = kind_of_bytes(start)
    if found is None or found == as_what:
        return None
    step = _NEXT.get(found, "Unpack it, or export it as one of the kinds that are read.")
    return InputError(f"{path} is {found}, not {as_what}.", f"{step} {UNCHANGED}")


def first_bytes(path: Path) -> bytes:
    """Return a file's first bytes, as they lie on disk.

    Raises:
        InputError: the system does not give us the file.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise unreadable(path, error) from error


NAMES = {"parquet": "Parquet", "ndjson": "NDJSON", "csv": "CSV"}


def name_of_kind(path: Path) -> str:
    """Return the kind that a file's name says, as people write it."""
    return NAMES[kind_of(path)]
