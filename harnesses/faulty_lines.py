"""Faults of NDJSON and CSV files as text: in one of their lines, or in all of them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import TypeAlias

from harnesses.faulty_bytes import Fault, Must

Whole: TypeAlias = Callable[[bytes], bytes]
Line: TypeAlias = Callable[[Random, bytes], bytes]

_NO_UTF8 = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82")
_FIELDS = (
    *(b"", b"x", b'""', b'"x"', b'"a""b"', b'"a,b"', b'"a\nb"', b'"a\r\nb"', b'"\n"', b'"\r"'),
    *(b'""""', b'""",""\n"', b" ", b" x ", b"\t", b"\xc3\xa9", b"NULL", b"\\N", b"\\", b"'", b"#"),
)
_VALUES = (
    *(b"0", b"7", b"-7", b"1.5", b"true", b"false", b"null", b"{}", b"[]", b'{"a": 1}', b"[1]"),
    *(
        b'""',
        b'"x"',
        b'"\\u00e9"',
        b'"\xc3\xa9"',
        b'"\\ud83d\\ude00"',
        b'"a\\nb"',
        b'"\\""',
        b'"\\u0000"',
    ),
    *(b"NaN", b"-Infinity", b'"\\ud83d"', b'"hub \\uDE00"', b'{"a": NaN}'),
    *(b'"1.50"', b'"true"', b'"1e5"', b'"{}"', b'"[1]"', b'"null"', b'" x "', b'"\\/"'),
)
_ENDS = (b"\n", b"\n", b"\r\n", b"\n\n", b"\r\n\n")
_BOM = b"\xef\xbb\xbf"


def faults(random: Random, kind: str, text: bytes, times: int) -> Iterator[Fault]:
    """Yield faults of a text, each with the required result and the faulty text.

    Faults of one line come so many times, in different lines.
    """
    for name, must, whole in _WHOLE[kind]:
        yield Fault(name, must, whole(text))
    lines = text.splitlines(keepends=True)
    first = 1 if kind == "csv" else 0
    for name, must, of_line in _LINES[kind]:
        for _ in range(times):
            at = random.randrange(first, len(lines))
            broken = [*lines[:at], of_line(random, lines[at]), *lines[at + 1 :]]
            told = f"line {at + 1}, " if must == "be refused" else ""
            yield Fault(name, must, b"".join(broken), told)


def _inside(random: Random, line: bytes) -> int:
    """Return a place within a line: after its first byte, before its last ones."""
    return random.randrange(1, len(line) - 2)


def _cut(random: Random, line: bytes) -> bytes:
    return line[: _inside(random, line)] + b"\n"


def _joined_halves(random: Random, line: bytes) -> bytes:
    return line[: _inside(random, line)]


def _inserted(*pieces: bytes) -> Line:
    def insert(random: Random, line: bytes) -> bytes:
        at = _inside(random, line)
        return line[:at] + random.choice(pieces) + line[at:]

    return insert


def _in_front(*pieces: bytes) -> Line:
    return lambda random, line: random.choice(pieces) + line


def _twice(between: bytes) -> Line:
    return lambda random, line: line.rstrip(b"\r\n") + between + line


def _no_utf8(random: Random, line: bytes) -> bytes:
    # between two letters, so no following byte completes the lone start byte
    at = random.choice([found.end() for found in re.finditer(rb"[a-z0-9](?=[a-z0-9])", line)])
    return line[:at] + random.choice(_NO_UTF8) + line[at:]


def _any_records(random: Random, line: bytes) -> bytes:
    width = len(next(csv.reader([line.decode()])))
    records = (b",".join(random.choices(_FIELDS, k=width)) for _ in range(9))
    return b"".join(record + random.choice(_ENDS) for record in records) + line


def _any_members(random: Random, line: bytes) -> bytes:
    members = ((key, random.choice(_VALUES)) for key in json.loads(line))
    return b"{" + b" , ".join(b'"%b":%b' % (key.encode(), value) for key, value in members) + b"}\n"


def _every(old: bytes, new: bytes) -> Whole:
    return lambda text: text.replace(old, new)


def _some_crlf(text: bytes) -> bytes:
    head, _, tail = text.partition(b"\n")
    return head + b"\r\n" + tail


def _utf16(text: bytes) -> bytes:
    return text.decode().encode("utf-16")


def _one_array(text: bytes) -> bytes:
    return b"[" + text.rstrip().replace(b"\n", b",\n") + b"]\n"


_ANY_WHOLE: list[tuple[str, Must, Whole]] = [
    ("CRLF", "be read", _every(b"\n", b"\r\n")),
    ("CRLF in one line", "be read", _some_crlf),
    ("no last line break", "be read", lambda text: text.removesuffix(b"\n")),
    ("blank lines at the end", "be read", lambda text: text + b"\n\n\r\n"),
    ("UTF-16", "be refused", _utf16),
    ("a NUL at the end", "be refused", lambda text: text + b"\x00"),
    ("CR alone", "be refused", _every(b"\n", b"\r")),
]
_ANY_LINE: list[tuple[str, Must, Line]] = [
    ("bytes that are not UTF-8", "be refused", _no_utf8),
    ("a line cut short", "agree", _cut),
    ("a line run into the next", "agree", _joined_halves),
    ("a line break within a line", "agree", _inserted(b"\n", b"\r\n")),
    ("a carriage return within a line", "agree", _inserted(b"\r")),
    ("a control character", "agree", _inserted(b"\x00", b"\x0c", b"\x1a", b"\x1b")),
    ("a blank line", "be read", _in_front(b"\n", b"\r\n")),
]
_WHOLE: dict[str, list[tuple[str, Must, Whole]]] = {
    "ndjson": [
        *_ANY_WHOLE,
        ("a byte-order mark", "be refused", lambda text: _BOM + text),
        ("one array", "be refused", _one_array),
        ("an object over several lines", "be refused", _every(b",", b",\n")),
        ("a comma after each line", "be refused", _every(b"\n", b",\n")),
    ],
    "csv": [
        *_ANY_WHOLE,
        ("a byte-order mark", "be read", lambda text: _BOM + text),
        ("no header", "be refused", lambda text: text.partition(b"\n")[2]),
        ("semicolons", "be refused", _every(b",", b";")),
        ("tabs", "be refused", _every(b",", b"\t")),
        ("a second header", "agree", lambda text: text.partition(b"\n")[0] + b"\n" + text),
    ],
}
_LINES: dict[str, list[tuple[str, Must, Line]]] = {
    "ndjson": [
        *_ANY_LINE,
        ("two objects on a line", "be refused", _twice(b" ")),
        ("two objects on a line", "be refused", _twice(b"")),
        ("an array on a line", "be refused", _in_front(b"[{}]\n", b'["ItemKey"]\n')),
        ("a scalar on a line", "be refused", _in_front(b"1\n", b"null\n", b'"x"\n', b"NaN\n")),
        ("no JSON on a line", "be refused", _in_front(b"x\n", b"{]\n", b"{'a': 1}\n", b"//\n")),
        ("a quote too many", "agree", _inserted(b'"')),
        ("a bracket too many", "agree", _inserted(b"{", b"}", b"[", b"]")),
        ("values of all forms", "be read", _any_members),
        ("blanks before an object", "be read", _in_front(b"  ", b"\t")),
    ],
    "csv": [
        *_ANY_LINE,
        ("two records on a line", "be refused", _twice(b",")),
        ("a field too many", "be refused", _in_front(b"x,")),
        ("a field too few", "be refused", _in_front(b"x\n")),
        ("a quote too many", "agree", _inserted(b'"')),
        ("fields of all forms", "be read", _any_records),
        ("an open quote", "agree", _in_front(b'"')),
        ("a comma too many", "agree", _inserted(b",")),
    ],
}
