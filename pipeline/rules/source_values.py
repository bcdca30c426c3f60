"""Writes raw values of any type as text."""

from __future__ import annotations

import ibis.expr.types as ir

from pipeline.dialect import text_of_parts, time_text, utc_time
from pipeline.rules.mixed import of_each_type

_EXACT = 2.0**53


@of_each_type
def as_text(column: ir.Column) -> ir.StringColumn:
    """Write a raw value as text, the same on every engine (contract, sections 2 and 3).

    A time is UTC with microseconds, a date its midnight. A whole FLOAT64 below 2^53 and a whole
    decimal have only their digits. The engine decides how it writes fractions.
    """
    kind = column.type()
    if kind.is_string():
        return column
    if kind.is_floating():
        return _float_text(column)
    if kind.is_decimal():
        return _decimal_text(column)
    if kind.is_timestamp() or kind.is_date():
        return time_text(utc_time(column))
    return _text(column)


def uid_of(events: ir.Table) -> ir.StringColumn:
    """Write an event's `_uid`: device, map revision and update_timestamp; NULL is empty.

    Contract: section 4, stg_sync_events.
    """
    time = as_text(events.update_timestamp)
    return text_of_parts(events.device_id, "_", events.map_revision, "_", time)


def _float_text(number: ir.FloatingColumn) -> ir.StringColumn:
    # the cast to an integer would fail beyond the bounds and for NaN
    integer = (number.abs() < _EXACT).ifelse(number.floor(), None).cast("int64")
    is_whole = (integer == number).fill_null(False)
    return is_whole.ifelse(_text(integer), _text(number))


def _decimal_text(number: ir.DecimalColumn) -> ir.StringColumn:
    # by its text, because floor() of -9999.99 overflows DECIMAL(6, 2)
    with_digit = _text(number).re_replace(r"^(-?)\.", r"\10.")
    return with_digit.re_replace(r"\.0+$", "")


def _text(value: ir.Column) -> ir.StringColumn:
    return value.cast("string")
