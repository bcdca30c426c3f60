"""Ranges of a file as files of their own, which DuckDB's threads read side by side.

DuckDB's parallel CSV reader guesses where records begin, and may take a line within a value for a
record. Ranges of whole records leave nothing to guess, and need no copy of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend

from pipeline.files.csv_survey import Range

_PROTOCOL = "range"
_HEADER = b"header"


@dataclass
class _Range:
    """A range of a file after a first line, as DuckDB reads it.

    DuckDB skips the first line, and takes its line break for that of all records.

    Each read opens the file anew: DuckDB drops what it has read without closing it.
    """

    path: Path
    start: int
    end: int
    first: bytes
    place: int = 0

    @property
    def size(self) -> int:
        return len(self.first) + self.end - self.start

    def seek(self, place: int) -> int:
        self.place = place
        return place

    def tell(self) -> int:
        return self.place

    def read(self, size: int) -> bytes:
        found = self.first[self.place : self.place + size]
        self.place += len(found)
        rest = min(size - len(found), self.size - self.place)
        with self.path.open("rb") as file:
            file.seek(self.start + max(0, self.place - len(self.first)))
            content = file.read(rest)
        self.place += len(content)
        return found + content

    def close(self) -> None:
        """Do nothing, since nothing is open."""


class _Ranges(AbstractFileSystem):
    """Ranges of this machine's files: `range://START-END-LINE_END/PATH`, the line's end as hex."""

    protocol: str = _PROTOCOL
    cachable = False

    def _open(self, path: str, mode: str = "rb", **_: Any) -> _Range:
        return _range(path)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": _range(path).size, "type": "file"}

    def glob(self, path: str, **_: Any) -> list[str]:
        # a name is exact, whatever letters it has
        return [path]


def _range(name: str) -> _Range:
    what, path = name.removeprefix(f"{_PROTOCOL}://").split("/", 1)
    start, end, line_end = what.split("-")
    return _Range(Path(path), int(start), int(end), _HEADER + bytes.fromhex(line_end))


def names(con: Backend, path: Path, ranges: Iterable[Range], line_end: bytes) -> list[str]:
    """Return the names under which this connection reads ranges of a file."""
    if not con.con.filesystem_is_registered(_PROTOCOL):
        con.con.register_filesystem(_Ranges())
    return [
        f"{_PROTOCOL}://{start}-{end}-{line_end.hex()}/{path.absolute()}" for start, end in ranges
    ]
