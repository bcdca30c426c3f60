"""A first look at an NDJSON file: its rows, counted without the engine's reader.

It closes what that reader leaves open: a .gz that is cut or damaged, lines that are JSON but no
object, and files of something else.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.files.streams import chunks

LONGEST = 256 * 2**20
"""A line is at most this many bytes long."""

_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_VALID = "SELECT json_valid(line) FROM (SELECT unnest(?::VARCHAR[]) AS line)"


@dataclass(frozen=True)
class Survey:
    """What an NDJSON file is like: `longest` is a bound of its lines' bytes."""

    rows: int
    longest: int


def survey(path: Path, keys: Collection[str]) -> Survey:
    """Look through an NDJSON file.

    Raises:
        InputError: the file is cut, a line is no object, or no line has one of the keys.
    """
    rows, longest, known = 0, 0, False
    for block in line_blocks(path):
        objects = _count_objects(block)
        if objects is None:
            raise first_fault(path) or _error(f"{path} changed while it was read.")
        known = known or _has_one_of(keys, block)
        rows += objects
        longest = max(longest, len(block))
    if rows and not known:
        raise InputError(
            f"{path} has none of the keys {', '.join(keys)}: it is the file of something else.",
            f"Name the right file; --events and --users may be mixed up. {UNCHANGED}",
        )
    return Survey(rows, longest)


def line_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines; a piece is a chunk long, or as long as one line."""
    pieces: list[bytes] = []
    size = 0
    for chunk in chunks(path):
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, chunk[:end]])
            pieces, size = [], 0
        pieces.append(chunk[end:])
        size += len(chunk) - end
        if size > LONGEST:
            raise _error(f"{path} has a line of more than {LONGEST} bytes.")
    if size:
        yield b"".join(pieces)


def first_fault(path: Path) -> InputError | None:
    """Look at each line with the engine's own parser, and return what is wrong with the first."""
    number = 1
    with duckdb.connect() as con:
        for block in line_blocks(path):
            lines = list(io.BytesIO(block))
            valid = con.execute(_VALID, [[_judged(line) for line in lines]]).fetchall()
            for place, line in enumerate(lines):
                if not valid[place][0]:
                    return _error(f"{path}, line {number + place}, {_reason(line)}")
            number += len(lines)
    return None


def _judged(line: bytes) -> str:
    """Return the text that is valid JSON if and only if the line is as it should be."""
    text = line.strip(_BLANKS) or b"{}"
    return text.decode() if text.startswith(b"{") and _is_utf8(text) else "no object"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _reason(line: bytes) -> str:
    if not _is_utf8(line):
        return "holds bytes that are no UTF-8."
    if line.startswith(_BOM):
        return "begins with a byte-order mark, which is no JSON."
    return "is no JSON object on a line of its own."


def _error(what: str) -> InputError:
    return InputError(what, f"Correct the file, or export it again. {UNCHANGED}")


def _count_objects(block: bytes) -> int | None:
    """Count the lines that are not blank, None if one of them does not even begin an object."""
    # unlike splitlines of bytes, a file breaks lines at line feeds alone
    lines = block.removesuffix(b"\n").split(b"\n")
    if {line[:1] for line in lines} == {b"{"}:
        return len(lines)
    objects = [line for line in (line.strip(_BLANKS) for line in lines) if line]
    return len(objects) if all(line.startswith(b"{") for line in objects) else None


def _has_one_of(keys: Collection[str], block: bytes) -> bool:
    return any(_line_has_one_of(keys, line) for line in io.BytesIO(block))


def _line_has_one_of(keys: Collection[str], line: bytes) -> bool:
    try:
        return bool(line.strip()) and not set(keys).isdisjoint(json.loads(line))
    except (ValueError, RecursionError):
        # too long, too deep or broken: what is wrong with it, if anything, the reader will find
        return any(json.dumps(key).encode() in line for key in keys)
