"""Raw values as text, whatever type a source gave them."""

from __future__ import annotations

import ibis.expr.types as ir

from pipeline.contract import TIMESTAMP
from pipeline.dialect import time_text
from pipeline.rules.mixed import of_each_type

_EXACT = 2.0**53


@of_each_type
def as_text(column: ir.Column) -> ir.StringColumn:
    """Write a raw value as text, the same on every engine (contract, sections 2 and 3).

    A time is UTC with microseconds, a date its midnight, a whole number below 2^53 its digits;
    other fractions are written as the engine writes them.
    """
    kind = column.type()
    if kind.is_string():
        return column
    if kind.is_floating() or kind.is_decimal():
        return _number_text(column)
    if kind.is_timestamp() or kind.is_date():
        return time_text(column.cast(TIMESTAMP))
    return _text(column)


def _number_text(number: ir.NumericColumn) -> ir.StringColumn:
    # beyond the bounds, and for NaN, the cast to an integer would fail; as FLOAT64 every decimal
    # can be compared with them
    size = number.cast("float64").abs()
    integer = (size < _EXACT).ifelse(number.floor(), None).cast("int64")
    is_whole = (integer == number).fill_null(False)
    return is_whole.ifelse(_text(integer), _text(number))


def _text(value: ir.Column) -> ir.StringColumn:
    return value.cast("string")
