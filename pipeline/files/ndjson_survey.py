"""A first look at an NDJSON file: counts its rows without DuckDB's reader.

It also finds the faults that the reader overlooks: a .gz that is cut or damaged, lines that are
JSON but no object, and files of another source.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.files.streams import Text, side_by_side

LONGEST = 256 * 2**20
"""The most bytes of a line."""

_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_VALID = "SELECT json_valid(line) FROM (SELECT unnest(?::VARCHAR[]) AS line)"


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]')
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPED = (rb"\ud", rb"\uD")


@dataclass(frozen=True)
class Survey:
    """The properties of an NDJSON file: `longest` is a bound of its lines' bytes.

    `is_odd` marks a sound .gz that DuckDB's reader refuses.
    """

    rows: int
    longest: int
    is_odd: bool


@dataclass(frozen=True)
class _Block:
    rows: int
    longest: int


def survey(path: Path, keys: Collection[str]) -> Survey:
    """Look through an NDJSON file; at least one line must have these keys.

    Raises:
        InputError: the file is cut, a line is not an object, or no line has the keys.
    """
    text = Text(path)
    blocks: list[_Block] = []
    others: Collection[str] | None = ()
    for block, found in side_by_side(_measured, line_blocks(text)):
        if found is None:
            raise first_fault(path) or _error(f"{path} changed while it was read.")
        blocks.append(found)
        if others is not None:
            others = _keys_instead(keys, block)
    made = Survey(
        sum(block.rows for block in blocks),
        max((block.longest for block in blocks), default=0),
        text.is_odd,
    )
    if made.rows and others is not None:
        raise first_fault(path) or _without_keys(path, keys, others)
    return made


def _without_keys(path: Path, keys: Collection[str], others: Collection[str]) -> InputError:
    folded = {other.casefold(): other for other in others}
    alike = [folded[key.casefold()] for key in keys if key.casefold() in folded]
    named = " and ".join(keys)
    if len(alike) == len(keys):
        return InputError(
            f"{path} has no line with {named}, but with {' and '.join(alike)}: case counts.",
            f"Write the keys as they are in the contract, section 2. {UNCHANGED}",
        )
    return InputError(
        f"{path} has no line with {named}: it is something else's file.",
        f"Name the right file; --events and --users may be mixed up. {UNCHANGED}",
    )


def line_blocks(text: Text) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines, each a chunk long or one longer line."""
    pieces: list[bytes] = []
    size = 0
    for chunk in text:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, chunk[:end]])
            pieces, size = [], 0
        pieces.append(chunk[end:])
        size += len(chunk) - end
        if size > LONGEST:
            raise _error(f"{text.path} has a line of more than {LONGEST} bytes.")
    if size:
        yield b"".join(pieces)


def first_fault(path: Path) -> InputError | None:
    """Check each line with DuckDB's parser; return the first fault."""
    # DuckDB imports pandas at the first parameters, and loses a Ctrl-C in that half second
    import pandas  # noqa: F401

    number = 1
    with duckdb.connect() as con:
        for block in line_blocks(Text(path)):
            lines = list(io.BytesIO(block))
            valid = con.execute(_VALID, [[_judged(line) for line in lines]]).fetchall()
            for place, line in enumerate(lines):
                if not valid[place][0]:
                    return _error(f"{path}, line {number + place}, {_reason(line)}")
            number += len(lines)
    return None


def _judged(line: bytes) -> str:
    """Return a text that is valid JSON if and only if the line is right."""
    text = without_lone_surrogates(line.strip(_BLANKS)) or b"{}"
    return text.decode() if text.startswith(b"{") and _is_utf8(text) else "no object"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _reason(line: bytes) -> str:
    if not _is_utf8(line):
        return "holds bytes that are not UTF-8."
    if line.startswith(_BOM):
        return "begins with a byte-order mark, which is not JSON."
    if line.startswith(b"["):
        return "is an array: write one object a line, as `jq -c '.[]'` does."
    if line.startswith(b"{'"):
        return "is not JSON: its quotes are single ones, as Python prints a dict."
    return "is not a JSON object on a line of its own."


def _error(what: str) -> InputError:
    return InputError(what, f"Correct the file, or export it again. {UNCHANGED}")


def _measured(block: bytes) -> _Block | None:
    """Count the lines that are not blank; None if one of them does not begin an object."""
    # unlike splitlines of bytes, a file breaks lines only at line feeds
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    starts = np.concatenate([[0], ends[ends < len(block)]])
    longest = int(np.diff(starts, append=len(block)).max())
    if (np.frombuffer(block, np.uint8)[starts] == ord("{")).all():
        return _Block(len(starts), longest)
    objects = [line for line in (line.strip(_BLANKS) for line in block.split(b"\n")) if line]
    if not all(line.startswith(b"{") for line in objects):
        return None
    return _Block(len(objects), longest)


def _keys_instead(keys: Collection[str], block: bytes) -> Collection[str] | None:
    """Return None if a line of a block has the keys, else those of the last line."""
    found: Collection[str] = ()
    for line in io.BytesIO(block):
        if line.strip():
            found = _keys_of(keys, line)
            if set(keys) <= set(found):
                return None
    return found


def _keys_of(keys: Collection[str], line: bytes) -> Collection[str]:
    try:
        return list(json.loads(line))
    except (ValueError, RecursionError):
        # too long, too deep or broken: if it has a fault, the reader will find it
        return [key for key in keys if json.dumps(key).encode() in line]


def without_lone_surrogates(block: bytes) -> bytes:
    """Write null for each member of an object that holds half a character.

    JSON allows it, but it is no text, and DuckDB's parser refuses the whole line.
    """
    if not any(escape in block for escape in _ESCAPED):
        return block
    return b"".join(map(_without_lone_surrogates, io.BytesIO(block)))


def _without_lone_surrogates(line: bytes) -> bytes:
    if not any(escape in line for escape in _ESCAPED):
        return line
    pieces: list[bytes] = []
    depth = kept = start = 0
    is_lone, instead = False, b""
    for token in _TOKENS.finditer(line):
        letter = token[0][:1]
        depth -= letter in b"}]"
        ends = (depth == 1 and letter == b",") or (depth == 0 and letter == b"}")
        if ends and is_lone:
            pieces += [line[kept:start], instead]
            kept = token.start()
        depth += letter in b"{["
        if depth == 1 and letter in b"{,":
            # a member begins; if its key has half a character, nothing of it can be kept
            start, is_lone, instead = token.end(), False, b'"":null'
        elif depth == 1 and letter == b":" and not is_lone:
            start, instead = token.end(), b"null"
        elif letter == b'"':
            is_lone = is_lone or _is_lone(token[0])
    return b"".join([*pieces, line[kept:]])


def _is_lone(token: bytes) -> bool:
    try:
        return bool(_LONE.search(json.loads(token)))
    except ValueError:
        return False
