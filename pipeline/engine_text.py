"""Masks values in an engine's messages about rows that may hold sensitive values."""

from __future__ import annotations

import re
from collections.abc import Collection

MASK = "***"

_SAID = """
a according addition an and any argument arguments array as at bad be because bigquery binary bit
bool boolean bound bounds by byte bytes can can't cannot cast casting catalog character characters
code column columns constant constraint conversion convert could data date datetime decimal
destination different divide division does double element elements encoding end error exceeded
exceeds exist expected expression failed failure field float for format found from function has
implicit in index input integer interval into invalid is it json key length limit list literal
malformed match maximum memory message minimum missing more multiplication must name negative no
not null number numeric of on only operand operation operator or out overflow parse parser
parsing pattern position precision query range read regex regular resources result row rows
runtime scalar scale sequence size source specifier specifiers statement string struct subquery
subtraction such supported syntax table than that the this time timestamp to too truncation try
type types underflow unexpected unicode unknown unsupported use used utf valid value values was
when while width with year zero
"""
"""The words that engines use for any value; every other word, number or text is masked."""

_WORDS = frozenset(_SAID.split())

_TYPE = re.compile(
    r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?(8|16|32|64|128)?|FLOAT(4|8|32|64)?|DOUBLE|DECIMAL|NUMERIC"
    r"|BIGNUMERIC|VARCHAR|STRING|BYTES|BLOB|BOOL(EAN)?|DATE|DATETIME|TIME|TIMESTAMP(TZ|_S|_MS|_NS)?"
    r"|INTERVAL|JSON|STRUCT|LIST|ARRAY|MAP|UUID)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)"|`([^`]*)`""")
_WORD = re.compile(r"[^\s()\[\]{},:;!?=\"`<>]+")


def without_values(text: str, names: Collection[str]) -> str:
    """Mask an engine's text except for its own common words, types, and the given names.

    Engines put a value into a message in many ways, so only words that can't be a value stay.
    """

    def quoted(found: re.Match[str]) -> str:
        inner = next(part for part in found.groups() if part is not None)
        return found[0] if inner in names or _TYPE.fullmatch(inner) else MASK

    def word(found: re.Match[str]) -> str:
        bare = found[0].strip(".-")
        known = bare.lower() in _WORDS or bare in names or _TYPE.fullmatch(bare) or bare == ""
        return found[0] if known else MASK

    masked = _WORD.sub(word, _QUOTED.sub(quoted, text))
    return re.sub(r"\*{3}([\s,.]+\*{3})+", MASK, masked)
