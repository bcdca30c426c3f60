"""Unites files with different types into one table."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from pipeline.contract import TIMESTAMP
from pipeline.rules.source_values import as_text

_FIRST_DAY, _LAST_DAY = ibis.date("0001-01-01"), ibis.date("9999-12-31")


def unite(tables: Sequence[ir.Table], names: Sequence[str]) -> ir.Table:
    """Return the rows of all tables, each value in its own type.

    A column whose types differ among the tables is a struct with a field for each type. A column
    that a table lacks is NULL there, and does not affect the type.
    """
    plain = [
        {name: _plain(table[name]) for name in names if name in table.columns} for table in tables
    ]
    kinds = {name: {part[name].type() for part in plain if name in part} for name in names}
    alike = [
        table.select(**{name: _alike(part.get(name), kinds[name]) for name in names})
        for table, part in zip(tables, plain, strict=True)
    ]
    return ibis.union(*alike) if len(alike) > 1 else alike[0]


def _plain(column: ir.Column) -> ir.Column:
    """Cast types of one meaning to one type, without losing anything of the value."""
    kind = column.type()
    if kind.is_timestamp():
        return _microseconds(column)
    if kind.is_integer() and kind != dt.uint64:
        return column.cast("int64")
    if kind.is_date():
        # beyond these years, a date can't become a time
        return column.between(_FIRST_DAY, _LAST_DAY).ifelse(column, ibis.null("date"))
    if kind.is_boolean() or kind.is_numeric():
        # the same number has another shortest text in each size of float
        return column
    return as_text(column)


@ibis.udf.scalar.builtin(signature=((dt.Timestamp(scale=9),), dt.int64))
def epoch_ns(time):  # type: ignore[no-untyped-def]
    """Count the nanoseconds since 1970."""
    raise NotImplementedError  # the engine's own function


def _microseconds(time: ir.TimestampColumn) -> ir.TimestampColumn:
    micros = time.cast(TIMESTAMP)
    if time.type().scale != 9:
        return micros
    # The cast truncates toward zero, so before 1970 it rounds up.
    return (epoch_ns(time) % 1000 < 0).ifelse(micros - ibis.interval(microseconds=1), micros)


def _alike(column: ir.Column | None, kinds: set[dt.DataType]) -> ir.Column:
    if len(kinds) < 2:
        return ibis.null(next(iter(kinds), "string")) if column is None else column
    fields = {str(kind): ibis.null(kind) for kind in sorted(kinds, key=str)}
    return ibis.struct(fields if column is None else fields | {str(column.type()): column})
