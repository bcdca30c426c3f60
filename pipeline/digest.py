"""A model's content as a number of rows and a digest, the same on every engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import partial

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.backends.base import Tables
from pipeline.contract import Model
from pipeline.dialect import exact_text, joined_texts, md5, microseconds, total
from pipeline.errors import UsageError
from pipeline.graph import Graph
from pipeline.older import current
from pipeline.results import Digest
from pipeline.schedule import all_at_once

_PARTS = 4
_BUCKET_DIGITS = 3
BUCKETS = 16**_BUCKET_DIGITS
"""The number of buckets that a comparison splits a table into."""
_PART_DIGITS = 8  # 32 bits: an INT64 holds the sum over two billion rows


def digest(graph: Graph, tables: Tables, names: Sequence[str]) -> dict[str, Digest]:
    """Digest the built models in the engine: one pass over each, and no row leaves it.

    Raises:
        UsageError: a model is not built yet, or older code built it.
    """
    built = tables.names()
    if missing := [name for name in names if name not in built]:
        raise UsageError(
            f"{', '.join(missing)} can't be digested: not built yet.",
            f"Build it first: `python cli.py build --select +{missing[0]}`.",
        )
    asked = [partial(_digest, graph.models[name], tables) for name in names]
    return dict(zip(names, all_at_once(asked, tables.at_once), strict=True))


def _digest(model: Model, tables: Tables) -> Digest:
    table = current(model, tables)
    (found,) = tables.fetch(content(table)).to_pylist()
    declared = [[name, str(kind)] for name, kind in model.schema.items()]
    text = json.dumps([declared, list(found.values())])
    return Digest(found["rows"], hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def content(table: ir.Table) -> ir.Table:
    """Sum up a table's content in one row of integers: `rows`, `part_0`, `part_1`, …

    It adds up the parts of the rows' hashes. So the order of rows does not matter, and copies do
    not cancel out.
    """
    hashes = table.select(hash=row_hash(table, table.columns))
    return hashes.aggregate(rows=_.count(), **_parts(hashes.hash))


def content_by_bucket(table: ir.Table, by: Sequence[str], columns: Sequence[str]) -> ir.Table:
    """Sum up these columns' content for each bucket that the `by` columns fall into."""
    hashes = table.select(bucket=bucket(table, by), hash=row_hash(table, columns))
    return hashes.group_by("bucket").agg(rows=_.count(), **_parts(hashes.hash))


def bucket(table: ir.Table, by: Sequence[str]) -> ir.StringValue:
    """Return one of BUCKETS texts for each row; equal values give the same on every engine."""
    return row_hash(table, by).substr(0, _BUCKET_DIGITS)


def row_hash(table: ir.Table, columns: Iterable[str]) -> ir.StringValue:
    """Hash these columns of each row, from one text that no other values give."""
    return md5(_joined(text_of(table[name]) for name in columns))


def differing(one: ir.Table, other: ir.Table) -> ir.Table:
    """Return the rows that are in one table only, counting copies.

    The column `_side` is 0 for a row of the first table, and 1 for one of the other. Unlike EXCEPT,
    this needs nothing that an engine lacks, and takes arrays.
    """
    names = one.columns
    both = one.mutate(_side=0).union(other.select(*names).mutate(_side=1))
    hashed = both.mutate(_row=row_hash(both, names))
    copies = hashed.mutate(_copy=ibis.row_number().over(group_by=["_side", "_row"]))
    sides = copies.mutate(_sides=_.count().over(group_by=["_row", "_copy"]))
    return sides.filter(_._sides == 1).select(*names, "_side")


def number_of(text: ir.StringValue) -> ir.IntegerValue:
    """Return a whole number of 32 bits for a text, the same on every engine."""
    return _part(md5(text), 0)


def _parts(hashes: ir.StringValue) -> dict[str, ir.Value]:
    return {f"part_{i}": total(_part(hashes, i)).fill_null(0) for i in range(_PARTS)}


def _part(digits: ir.StringValue, index: int) -> ir.IntegerValue:
    part = digits.substr(index * _PART_DIGITS, _PART_DIGITS)
    return ibis.literal("0x").concat(part).cast("int64")


def text_of(value: ir.Value) -> ir.StringValue:
    """Write a value as text, the same on every engine; different values have different texts.

    A text comes with its length; every other value ends with `;`.
    """
    kind = value.type()
    if kind.is_struct():
        return _joined(text_of(value[name]) for name in kind.names)
    if kind.is_array():
        # a warehouse stores a NULL array as an empty one
        length = value.length().fill_null(0).cast("string")
        return _joined([length, ":", joined_texts(value, text_of).fill_null("")])
    if kind.is_string():
        return value.length().cast("string").concat(":", value).fill_null(";")
    return _joined([_scalar(value).fill_null(""), ";"])


def _scalar(value: ir.Value) -> ir.StringValue:
    kind = value.type()
    if kind.is_floating():
        return exact_text(value)
    if kind.is_timestamp():
        return microseconds(value).cast("string")
    if kind.is_integer() or kind.is_boolean() or kind.is_date():
        return value.cast("string")
    raise TypeError(f"no text of {kind} is known to be the same on every engine")


def _joined(texts: Iterable[ir.StringValue | str]) -> ir.StringValue:
    # one call with many arguments: a chain of concatenations copies the row again and again
    return ibis.literal("").join(list(texts))
