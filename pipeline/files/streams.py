"""The bytes of text files, plain or compressed, in bounded memory."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from pipeline.disk import writing
from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED, is_gzip, unreadable
from pipeline.files.first_bytes import kind_of_bytes, name_of_kind, other_kind

CHUNK = 2**19
"""The bytes of a piece: they fit into a core's cache, so several looks at them cost little.

What a look at a larger piece makes would take fresh memory from the system each time.
"""

_GZIP = b"\x1f\x8b"
_NAME = 0x08
_THREADS = min(4, os.cpu_count() or 1)

Piece = TypeVar("Piece")
Found = TypeVar("Found")


class Text:
    """The bytes of a file piece by piece; a .gz is unpacked, and its checksum checked.

    DuckDB's readers silently accept a .gz that is cut or damaged. They refuse a sound one whose
    header has more than a name, or that has zeros after its end: it `is_odd`, which is known once
    all pieces have been read, as their number of `bytes` is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_odd = False
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces.

        Raises:
            InputError: the file can't be read, its first bytes are no text, or it is no whole .gz.
        """
        try:
            with self.path.open("rb") as file:
                pieces = self._unpacked(file) if is_gzip(self.path) else iter_of(file)
                for number, piece in enumerate(pieces):
                    if number == 0 and (fault := self._other_kind(piece)):
                        raise fault
                    self.bytes += len(piece)
                    yield piece
        except zlib.error as error:
            raise self._damaged() from error
        except OSError as error:
            raise unreadable(self.path, error) from error

    def copy_to(self, target: Path, changed: Callable[[bytes], bytes] = bytes) -> Path:
        """Write the pieces, each `changed`, to another file; return it.

        Raises:
            ResourceError: the disk is full.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for piece in self:
                with writing(target):
                    file.write(changed(piece))
        return target

    def _unpacked(self, file: IO[bytes]) -> Iterator[bytes]:
        rest = file.read(CHUNK)
        if not rest:
            raise self._damaged()
        if not rest.startswith(_GZIP):
            raise other_kind(self.path, rest, "gzip") or InputError(
                f"{self.path} is not compressed, although its name ends in .gz.",
                f"Let its name end in .{name_of_kind(self.path).lower()}. {UNCHANGED}",
            )
        while rest:
            rest = yield from self._member(file, rest)
            zeros = len(rest)
            while rest and not (rest := rest.lstrip(b"\0")):
                rest = file.read(CHUNK)
            self.is_odd |= bool(zeros) and not rest.startswith(_GZIP)
            if rest and not rest.startswith(_GZIP):
                raise self._damaged()

    def _member(self, file: IO[bytes], rest: bytes) -> Generator[bytes, None, bytes]:
        """Yield the content of one gzip member, and return the bytes after it."""
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.is_odd |= bool(rest[3:4]) and bool(rest[3] & ~_NAME)
        while not member.eof:
            if piece := member.decompress(rest, CHUNK):
                yield piece
            rest = member.unconsumed_tail or (b"" if member.eof else file.read(CHUNK))
            if not rest and not member.eof:
                raise self._damaged()
        return member.unused_data or file.read(CHUNK)

    def _other_kind(self, start: bytes) -> InputError | None:
        kind = kind_of_bytes(start)
        if kind == "gzip" and is_gzip(self.path):
            return InputError(f"{self.path} is gzip twice.", f"Unpack it once. {UNCHANGED}")
        return other_kind(self.path, start, name_of_kind(self.path))

    def _damaged(self) -> InputError:
        return InputError(
            f"{self.path} is cut off or damaged: it can't be decompressed to its end.",
            f"Copy or export it again. {UNCHANGED}",
        )


def iter_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's content, piece by piece."""
    while piece := file.read(CHUNK):
        yield piece


def side_by_side(
    function: Callable[[Piece], Found], pieces: Iterable[Piece]
) -> Iterator[tuple[Piece, Found]]:
    """Yield pieces with a function's result for each, in order; a few run at the same time."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[tuple[Piece, Future[Found]]] = deque()
        try:
            for piece in pieces:
                waiting.append((piece, pool.submit(function, piece)))
                if len(waiting) > 2 * _THREADS:
                    first, found = waiting.popleft()
                    yield first, found.result()
            while waiting:
                first, found = waiting.popleft()
                yield first, found.result()
        finally:
            for _, found in waiting:
                found.cancel()


def compression(path: Path) -> str:
    """Return DuckDB's name of a file's compression."""
    return "gzip" if is_gzip(path) else "uncompressed"


def readable(path: Path, scratch: Path) -> Path:
    """Unpack a file that DuckDB's readers refuse into a folder; return the copy."""
    return Text(path).copy_to(next_name(path, scratch))


def next_name(path: Path, scratch: Path) -> Path:
    """Return the path of a new file in a folder, named like another one but uncompressed."""
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch / f"{len(list(scratch.iterdir()))}.{name_of_kind(path).lower()}"
