"""Texts that are used as numbers."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.rules.mixed import of_each_type

_JSON_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_DIGITS = r"^[0-9]+$"


def number(text: ir.StringColumn) -> ir.FloatingColumn:
    """Read a text as FLOAT64: JSON's own number syntax only, NULL beyond what is finite.

    Engines take `nan`, ` 7 `, `1_000` or `0x1F` each in its own way, hence the look at the form
    first (contract, section 2).
    """
    value = text.re_search(_JSON_NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")
    return value.isinf().ifelse(ibis.null("float64"), value)


@of_each_type
def whole_number(column: ir.Column) -> ir.IntegerColumn:
    """Read an id column as INT64: whole numbers of any type and text of digits, else NULL."""
    kind = column.type()
    if kind.is_integer():
        return column.try_cast("int64")
    if kind.is_decimal():
        return (column == column.floor()).ifelse(column, ibis.null(kind)).try_cast("int64")
    if kind.is_floating():
        # what no INT64 holds, such as 2^63, must reach neither floor() nor the cast
        fits = (column >= -(2.0**63)) & (column < 2.0**63)
        fitting = fits.ifelse(column, ibis.null(kind))
        return (fitting == fitting.floor()).ifelse(fitting, ibis.null(kind)).cast("int64")
    if kind.is_string():
        return column.re_search(_DIGITS).ifelse(column, ibis.null("string")).try_cast("int64")
    return ibis.null("int64")
