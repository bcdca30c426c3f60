"""A first look at a CSV file: its header, its rows, and whether it keeps to the rules.

The engine's reader pads, trims and cuts where a file breaks the rules of quoting, and fails past
repair at bytes that are no UTF-8; so each file is looked through before it. That also counts the
rows without the reader.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.files.streams import chunks

LONGEST = 64 * 2**20
"""A record is at most this many bytes long; the rest of a file after a stray quote is longer."""

_BOM = b"\xef\xbb\xbf"
_BESIDE_QUOTES = {b",", b"\r", b"\n", b""}
_BLANK = (b"", b"\r")
_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')


@dataclass(frozen=True)
class Survey:
    """What a CSV file is like: `longest` is a bound of its records' bytes."""

    header: tuple[str, ...]
    rows: int
    longest: int
    mixed_line_ends: bool
    quoted_line_breaks: bool


@dataclass
class _Tally:
    fields: int
    records: int = 0
    lines: int = 0
    crlf: int = 0
    quoted_line_breaks: bool = False


def survey(path: Path) -> Survey:
    """Look through a CSV file.

    Raises:
        InputError: the file is empty or cut, or a line breaks the rules of CSV.
    """
    header: tuple[str, ...] = ()
    tally = _Tally(0)
    line, longest = 1, 0
    for block in _blocks(path):
        if not header:
            header = _header(path, block)
            tally.fields = len(header)
        if not _is_sound(block, tally):
            raise _first_fault(path, block, line, tally.fields)
        longest = max(longest, len(block))
        line += block.count(b"\n")
    if not header:
        raise _error(f"{path} is empty; a CSV file needs a header.")
    mixed = 0 < tally.crlf < tally.lines
    return Survey(header, tally.records - 1, longest, mixed, tally.quoted_line_breaks)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file in pieces that end where a record ends, without the byte-order mark."""
    rest, line, first = b"", 1, True
    for chunk in chunks(path):
        rest += chunk
        if first:
            rest, first = rest.removeprefix(_BOM), False
        end = _end_of_records(rest)
        if end:
            yield rest[:end]
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        if len(rest) > LONGEST:
            raise _fault(path, line, "has a record without an end: is a quote not closed?")
    if rest:
        yield rest


def _end_of_records(text: bytes) -> int:
    """Return where the last whole record ends: after a line break outside of quotes, or 0."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while quotes % 2:
        # all line breaks after the last quote are inside of it
        before = text.rfind(b"\n", 0, text.rfind(b'"', 0, end)) + 1
        quotes -= text.count(b'"', before, end)
        end = before
    return end


def _header(path: Path, block: bytes) -> tuple[str, ...]:
    record = next(_records(block)).rstrip(b"\r\n")
    try:
        names = next(csv.reader([record.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _first_fault(path, record, 1, 0) from error
    if not names:
        raise _fault(path, 1, "is blank; a CSV file begins with a header.")
    return tuple(names)


def _is_sound(block: bytes, tally: _Tally) -> bool:
    """Tell whether all records of a block keep to the rules, and count them."""
    skeleton = _skeleton(block)
    crlf = skeleton.count(b"\r\n") if b"\r" in skeleton else 0
    if _quotes_wrongly(skeleton) or skeleton.count(b"\r") != crlf or not _is_utf8(block):
        return False
    lines = skeleton.removesuffix(b"\n").split(b"\n")
    # blank lines are no records, save where a record is one field
    records = [line for line in lines if line not in _BLANK] if tally.fields > 1 else lines
    if {line.count(b",") for line in records} - {tally.fields - 1}:
        return False
    tally.records += len(records)
    tally.lines += skeleton.count(b"\n")
    tally.crlf += crlf
    if any(block.count(end) != skeleton.count(end) for end in (b"\n", b"\r")):
        tally.quoted_line_breaks = True
    return True


def _skeleton(text: bytes) -> bytes:
    """Return what is outside of quotes, and the quotes with nothing in them."""
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
    # unlike splitlines of bytes, a file breaks lines at line feeds alone
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
    """Say what breaks the rules in one record."""
    if not _is_utf8(record):
        return "holds bytes that are no UTF-8."
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
