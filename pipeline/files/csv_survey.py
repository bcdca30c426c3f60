"""A first look at a CSV file: its header, its rows, and whether it keeps to the rules.

DuckDB's reader pads, trims and cuts a file that breaks the rules of quoting, and fails beyond
repair at bytes that are not UTF-8. So the survey comes first. It also counts the rows without the
reader.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.files.streams import Text, side_by_side

LONGEST = 64 * 2**20
"""The most bytes of a record: after a stray quote, the rest of a file looks like one record."""

RANGE = 32 * 2**20
"""The least bytes of a range but the last: a third of a second for one thread."""

Range = tuple[int, int]
"""The first byte, and the one after the last."""

_BOM = b"\xef\xbb\xbf"
_QUOTE, _COMMA, _LF, _CR = b'",\n\r'
_BESIDE_QUOTES = {b",", b"\r", b"\n", b""}
_BLANK = (b"", b"\r")
_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _table_of(*letters: int) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(letters)] = True
    return table


# two quotes together stand for one quote within a value
_MAY_PRECEDE = _table_of(_QUOTE, _COMMA, _LF)
_MAY_FOLLOW = _table_of(_QUOTE, _COMMA, _LF, _CR)


@dataclass(frozen=True)
class Survey:
    """The properties of a CSV file: `longest` is a bound of its records' bytes.

    `line_end` is None if records end in more than one way. `ranges` are those of whole records
    after the header, in the text as unpacked. `is_odd` marks a sound file that DuckDB's reader
    refuses: a .gz, or a header of more than one line.
    """

    header: tuple[str, ...]
    rows: int
    longest: int
    line_end: bytes | None
    ranges: tuple[Range, ...]
    is_odd: bool


@dataclass(frozen=True)
class _Block:
    """The properties of a block of whole records: their number, and how their lines end.

    `fields` are their numbers of fields, if DuckDB's reader may overlook a wrong one: it accepts
    an extra comma at the end of a line.
    """

    bytes: int
    fields: frozenset[int]
    records: int
    blanks: int
    longest: int
    lf: int
    crlf: int


def survey(path: Path) -> Survey:
    """Look through a CSV file for the faults that DuckDB's strict reader overlooks.

    Raises:
        InputError: the file is empty or cut, a line breaks the rules of quoting, or has bytes that
            are not UTF-8.
    """
    text = Text(path)
    header: tuple[str, ...] = ()
    line, of_header = 1, 0
    blocks: list[_Block] = []
    for block, found in side_by_side(_measured, _blocks(text)):
        if not header:
            header, of_header = _header(path, block), len(next(_records(block)))
        if found is None or found.fields - {len(header)}:
            raise _first_fault(path, block, line, len(header))
        blocks.append(found)
        line += found.lf
    if not header:
        raise _error(f"{path} is empty; a CSV file needs a header.")
    crlf = sum(block.crlf for block in blocks)
    lines = sum(block.records + block.blanks for block in blocks)
    # a blank line is not a record, unless a record is one field
    blanks = sum(block.blanks for block in blocks) if len(header) == 1 else 0
    made = Survey(
        header,
        sum(block.records for block in blocks) + blanks - 1,
        max(block.longest for block in blocks),
        line_end={0: b"\n", lines: b"\r\n"}.get(crlf),
        ranges=_ranges(text.bytes, of_header, [block.bytes for block in blocks]),
        is_odd=text.is_odd or any(letter in name for name in header for letter in "\r\n"),
    )
    if made.line_end is None:
        # the reader can't be strict then, and pads records with too few fields
        check(path)
    return made


def check(path: Path) -> None:
    """Check each record of a CSV file.

    Raises:
        InputError: a record breaks the rules, or has not the header's number of fields.
    """
    fields, line = 0, 1
    for block in _blocks(Text(path)):
        fields = fields or len(_header(path, block))
        if not _is_sound(block, fields):
            raise _first_fault(path, block, line, fields)
        line += block.count(b"\n")


def _measured(block: bytes) -> _Block | None:
    """Count the records of a block; None if one breaks the rules of quoting."""
    if not _is_utf8(block):
        return None
    added = b"" if block.endswith(b"\n") else b"\n"
    text = np.frombuffer(b"".join((b"\n", block, added)), np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    if len(opening) != len(closing) or not (
        _MAY_PRECEDE[text[opening - 1]].all() and _MAY_FOLLOW[text[closing + 1]].all()
    ):
        return None
    line_feeds = np.flatnonzero(text == _LF)
    outside = _outside(line_feeds, quotes)
    crlf = text[outside - 1] == _CR
    if b"\r" in block:
        returns = np.flatnonzero(text == _CR)
        if _outside(returns, quotes).size != np.count_nonzero(crlf):
            return None
    lengths = np.diff(outside) - crlf[1:]
    blanks = int(np.count_nonzero(lengths == 1))
    lines = len(lengths)
    ends_in_comma = text[outside[1:] - 1 - crlf[1:]] == _COMMA
    fields: frozenset[int] = frozenset()
    if ends_in_comma.any():
        commas = _outside(np.flatnonzero(text == _COMMA), quotes)
        counts = np.diff(np.searchsorted(commas, outside)) + 1
        fields = frozenset(np.unique(counts[lengths != 1]).tolist())
    return _Block(
        bytes=len(block),
        fields=fields,
        records=lines - blanks,
        blanks=blanks,
        longest=int(lengths.max(initial=0)) + 1,
        lf=len(line_feeds) - 1 - len(added),
        crlf=int(np.count_nonzero(crlf)),
    )


def _ranges(size: int, of_header: int, blocks: Sequence[int]) -> tuple[Range, ...]:
    """Return the ranges of a text of this size, given the sizes of its header and its blocks."""
    # a byte-order mark belongs to no block
    end = size - sum(blocks)
    start, found = end + of_header, []
    for block in blocks:
        end += block
        if end == size or end - start >= RANGE:
            found.append((start, end))
            start = end
    return tuple(found)


def _outside(places: npt.NDArray[np.int64], quotes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the places outside of quotes: those after an even number of quotes."""
    return places[np.searchsorted(quotes, places) % 2 == 0]


def _blocks(text: Text) -> Iterator[bytes]:
    """Yield the file in pieces that end where a record ends, without the byte-order mark."""
    rest, line, first = b"", 1, True
    for chunk in text:
        rest += chunk
        if first:
            rest, first = rest.removeprefix(_BOM), False
        end = _end_of_records(rest)
        if end:
            yield rest[:end]
            line += _count(_LF, rest, 0, end)
            rest = rest[end:]
        if len(rest) > LONGEST:
            raise _fault(text.path, line, "has a record without an end: is a quote not closed?")
    if rest:
        yield rest


def _end_of_records(text: bytes) -> int:
    """Return the end of the last whole record: after a line break outside of quotes, or 0."""
    end = text.rfind(b"\n") + 1
    quotes = _count(_QUOTE, text, 0, end)
    while quotes % 2:
        # all line breaks after the last quote are inside of quotes
        before = text.rfind(b"\n", 0, text.rfind(b'"', 0, end)) + 1
        quotes -= _count(_QUOTE, text, before, end)
        end = before
    return end


def _count(letter: int, text: bytes, start: int, end: int) -> int:
    # bytes.count() takes seven times as long if there are many
    return int(np.count_nonzero(np.frombuffer(text, np.uint8, end - start, start) == letter))


def _header(path: Path, block: bytes) -> tuple[str, ...]:
    record = next(_records(block)).rstrip(b"\r\n")
    try:
        names = next(csv.reader([record.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _first_fault(path, record, 1, 0) from error
    if not names:
        raise _fault(path, 1, "is blank; a CSV file begins with a header.")
    for separator, called in _SEPARATORS.items():
        if len(names) == 1 and separator in names[0]:
            raise InputError(
                f"{path} has {called} between its fields; only commas are read.",
                f"Export it with commas. {UNCHANGED}",
            )
    return tuple(names)


def _is_sound(block: bytes, fields: int) -> bool:
    """Tell whether all records of a block keep the rules."""
    skeleton = _skeleton(block)
    crlf = skeleton.count(b"\r\n") if b"\r" in skeleton else 0
    if _quotes_wrongly(skeleton) or skeleton.count(b"\r") != crlf or not _is_utf8(block):
        return False
    lines = skeleton.removesuffix(b"\n").split(b"\n")
    records = [line for line in lines if line not in _BLANK] if fields > 1 else lines
    return not {line.count(b",") for line in records} - {fields - 1}


def _skeleton(text: bytes) -> bytes:
    """Return the text with quoted values emptied: only their quotes stay."""
    return _QUOTED.sub(b'""', text)


def _quotes_wrongly(skeleton: bytes) -> bool:
    """Tell whether a quote opens or closes in the middle of a field, or is not closed."""
    pieces = skeleton.split(b'""')
    before = {piece[-1:] for piece in pieces[:-1]}
    after = {piece[:1] for piece in pieces[1:]}
    pairs = len(pieces) - 1
    return not before | after <= _BESIDE_QUOTES or skeleton.count(b'"') != 2 * pairs


def _is_utf8(block: bytes) -> bool:
    try:
        return block.isascii() or bool(block.decode())
    except UnicodeDecodeError:
        return False


def _records(block: bytes) -> Iterator[bytes]:
    """Yield the records of a block one by one, with their line breaks."""
    record, quotes = b"", 0
    # unlike splitlines of bytes, a file breaks lines only at line feeds
    for line in io.BytesIO(block):
        record += line
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield record
            record, quotes = b"", 0
    if record:
        yield record


def _first_fault(path: Path, block: bytes, line: int, fields: int) -> InputError:
    for record in _records(block):
        reason = _reason(record, fields)
        if reason:
            return _fault(path, line, reason)
        line += record.count(b"\n")
    return _fault(path, line, "can't be read as CSV.")


def _reason(record: bytes, fields: int) -> str | None:
    """Say how one record breaks the rules."""
    if not _is_utf8(record):
        return "holds bytes that are not UTF-8."
    if record.count(b'"') % 2:
        return "has a quote that is not closed."
    skeleton = _skeleton(record)
    if _quotes_wrongly(skeleton):
        return "has a quote in the middle of a field; a quoted field is quoted as a whole."
    line = skeleton.removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in line or record.endswith(b"\r"):
        return "holds a carriage return outside of quotes."
    found = line.count(b",") + 1
    if found != fields and (line or fields == 1):
        return f"has {found} fields, the header has {fields}."
    return None


def _fault(path: Path, line: int, reason: str) -> InputError:
    return _error(f"{path}, line {line}, {reason}")


def _error(what: str) -> InputError:
    return InputError(what, f"Correct the file, or export it again. {UNCHANGED}")
