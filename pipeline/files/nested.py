"""Nested values of Parquet as JSON text, with the file's names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot.expressions as sge
from duckdb.sqltypes import DuckDBPyType

_TOKENS = r'"(?:[^"\\]|\\.)*"|[^"]+'
_NO_JSON = "-?(NaN|Infinity)"
_FIRST, _END = "0001-01-01", "10000-01-01"


@dataclass(frozen=True)
class Node:
    """A column of a Parquet file, or a part of one, in the file's schema."""

    name: str
    type: tuple[Any, ...]
    """The rest of its schema: DuckDB reads two nodes of one type alike."""
    children: tuple[Node, ...] = ()


def is_taken_for_unnamed(node: Node) -> bool:
    """Tell whether DuckDB takes a struct in this column for one without names.

    It does if the first name is empty, and fails to read such a struct if it holds a list.
    """
    first = node.children[0] if node.children else None
    return first is not None and (
        first.name == "" or any(is_taken_for_unnamed(child) for child in node.children)
    )


def json_text(kind: DuckDBPyType, node: Node, value: sge.Expression) -> sge.Expression:
    """Return the JSON text of a value, NULL if it is NULL or JSON can't hold it.

    DuckDB renames names that differ only in case; these are the file's own.
    """
    return _text(kind, node, value, 0)


def _text(kind: Any, node: Node, value: sge.Expression, depth: int) -> sge.Expression:
    match kind.id:
        case "struct":
            return _object(kind, node, value, depth)
        case "list" | "array":
            item = sge.to_identifier(f"x{depth}")
            element = _or_null(_text(kind.children[0][1], _element(node), item, depth + 1))
            return _joined("[", _transformed(value, item, element), "]")
        case "map":
            return _map(kind, node, value, depth)
        case "variant":
            return variant_text(value)
        case "null":
            return sge.null()
        case "varchar" if str(kind) == "JSON":
            return as_text(value)
        case "blob":
            return as_text(call("to_json", decoded(value)))
        case "float" | "double":
            return _if(call("isfinite", value).eq(True), as_text(value))
        case "timestamp" | "timestamp_ns" | "timestamp_ms" | "timestamp_s":
            return _if(_in_years(value, "TIMESTAMP"), _quoted(value))
        case "timestamp with time zone":
            utc = call("timezone", "UTC", value)
            return _if(_in_years(value, "TIMESTAMPTZ"), _quoted(utc, "Z"))
        case "date":
            return _if(_in_years(value, "DATE"), _quoted(value, " 00:00:00"))
        case _ if "int" in kind.id or kind.id in ("boolean", "decimal"):
            return as_text(value)
    return as_text(call("to_json", as_text(value)))


def variant_text(value: sge.Expression) -> sge.Expression:
    """Return a VARIANT's text; any other value of it as JSON."""
    text = without_nan(as_text(sge.cast(value, "JSON")))
    time = call("variant_extract", value, "timestamp")
    utc = call("timezone", "UTC", call("TRY", sge.cast(time, "TIMESTAMPTZ")))
    written = call(
        "replace", text, call("concat", '"timestamp":"', time, '"'), _member("timestamp", utc)
    )
    is_time = sge.or_(_type(time).eq("DATE"), call("prefix", _type(time), "TIMESTAMP"))
    return (
        sge.Case()
        .when(_type(value).eq("VARIANT_NULL"), sge.null())
        .when(_type(value).eq("VARCHAR"), as_text(value))
        .when(sge.and_(is_time, utc.is_(sge.null()).not_()), written)
        .else_(text)
    )


def without_nan(text: sge.Expression) -> sge.Expression:
    """Return JSON text with null for NaN and Infinity outside of its strings."""
    token = sge.to_identifier("token")
    cleaned = call("regexp_replace", token, _NO_JSON, "null", "g")
    tokens = _transformed(
        call("regexp_extract_all", text, _TOKENS),
        token,
        sge.Case().when(call("prefix", token, '"'), token).else_(cleaned),
    )
    has_one = call("regexp_matches", text, _NO_JSON)
    return sge.Case().when(has_one, call("array_to_string", tokens, "")).else_(text)


def call(name: str, *arguments: Any) -> sge.Anonymous:
    """Call a function of DuckDB by its name there."""
    copied = [
        each.copy() if isinstance(each, sge.Expression) else sge.convert(each) for each in arguments
    ]
    return sge.Anonymous(this=name, expressions=copied)


def decoded(value: sge.Expression) -> sge.Expression:
    """Return UTF-8 bytes as text, NULL if they are not UTF-8."""
    return call("TRY", call("decode", sge.cast(value, "BLOB")))


def as_text(value: sge.Expression) -> sge.Expression:
    """Cast to text."""
    return sge.cast(value, "VARCHAR")


def _object(kind: Any, node: Node, value: sge.Expression, depth: int) -> sge.Expression:
    pieces: list[Any] = []
    pairs = zip(kind.children, node.children, strict=True)
    for place, ((_, of_member), member) in enumerate(pairs, 1):
        field = call("struct_extract_at", value, place)
        pieces += [f"{',' if pieces else ''}{json.dumps(member.name)}:"]
        pieces += [_or_null(_text(of_member, member, field, depth))]
    return _if(value.copy().is_(sge.null()).not_(), call("concat", "{", *pieces, "}"))


def _map(kind: Any, node: Node, value: sge.Expression, depth: int) -> sge.Expression:
    entry = sge.to_identifier(f"x{depth}")
    key, held = (call("struct_extract_at", entry, place) for place in (1, 2))
    (_, of_key), (_, of_value) = kind.children
    name = decoded(key) if of_key.id == "blob" else as_text(key)
    text = _or_null(_text(of_value, node.children[0].children[-1], held, depth + 1))
    member = call("concat", call("to_json", name), ":", text)
    return _joined("{", _transformed(call("map_entries", value), entry, member), "}")


def _element(node: Node) -> Node:
    """Return the element of a list: below the repeated group, unless that is the element."""
    if "REPEATED" in node.type:
        return Node(node.name, (), node.children)
    repeated = node.children[0]
    is_group = len(repeated.children) == 1
    is_element = repeated.name in ("array", f"{node.name}_tuple")
    return repeated.children[0] if is_group and not is_element else repeated


def _joined(start: str, items: sge.Expression, end: str) -> sge.Expression:
    text = call("concat", start, call("array_to_string", items, ","), end)
    return _if(items.copy().is_(sge.null()).not_(), text)


def _transformed(
    values: sge.Expression, item: sge.Identifier, result: sge.Expression
) -> sge.Expression:
    return call("list_transform", values, sge.Lambda(this=result, expressions=[item]))


def _member(name: str, value: sge.Expression) -> sge.Expression:
    return call("concat", f'"{name}":', _quoted(value, "Z"))


def _quoted(value: sge.Expression, end: str = "") -> sge.Expression:
    return call("concat", '"', as_text(value), f'{end}"')


def _in_years(value: sge.Expression, kind: str) -> sge.Condition:
    """Tell whether a time is within the years 0001 to 9999: then its year has four digits."""
    first, end = (sge.cast(sge.convert(each), kind) for each in (_FIRST, _END))
    return sge.and_(
        sge.GTE(this=value.copy(), expression=first), sge.LT(this=value.copy(), expression=end)
    )


def _type(value: sge.Expression) -> sge.Expression:
    return call("variant_typeof", value)


def _or_null(text: sge.Expression) -> sge.Expression:
    return call("coalesce", text, "null")


def _if(condition: sge.Condition, value: sge.Expression) -> sge.Expression:
    return sge.Case().when(condition, value)


def leaves(node: Node) -> Sequence[Node]:
    """Return the parts of a column that hold values, in their order."""
    return [leaf for child in node.children for leaf in leaves(child)] or [node]
