"""The values that the contract leaves to the engine: JSON at its edges, the spelling of numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

DEEPEST = 500
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PAIR = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TAKEN_BY_SOME = re.compile(r",\s*[\]}]|nan|inf", re.IGNORECASE)
"""Trailing commas, and words for numbers that are not finite."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0)")
_DIGITS, _SMALLEST = 15, 0.0001


class _AtAnEdge(Exception):  # noqa: N818 - no error, but what was looked for
    pass


def is_at_an_edge(row: Mapping[str, str | None]) -> bool:
    """Tell whether engines may read a raw event differently (contract, introduction, section 2)."""
    return _is_edge(row["ItemData"] or "") or any("İ" in (value or "") for value in row.values())


def _is_edge(document: str) -> bool:
    first, *after_nul = document.split("\0")
    around = _TEXT.sub("0", document)
    return (
        (bool(after_nul) and _is_json(first))
        or _SURROGATE.search(_PAIR.sub("", document.replace(r"\\", ""))) is not None
        or _TAKEN_BY_SOME.search(around) is not None
        or _depth(around) > DEEPEST
        or _has_odd_members(document)
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _depth(text: str) -> int:
    depth = deepest = 0
    for letter in re.findall(r"[\[\]{}]", text):
        depth += 1 if letter in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _has_odd_members(document: str) -> bool:
    try:
        json.loads(document, parse_int=_number, parse_float=_number, object_pairs_hook=_unlike_keys)
    except _AtAnEdge:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _number(text: str) -> None:
    whole = _INTEGER.fullmatch(text) and math.isfinite(float(text))
    digits = sum(map(str.isdigit, text))
    plain = _DECIMAL.fullmatch(text) and digits <= _DIGITS and abs(float(text)) >= _SMALLEST
    if not whole and not plain:
        raise _AtAnEdge(text)


def _unlike_keys(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _AtAnEdge(pairs)
