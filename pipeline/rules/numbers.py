"""Numbers as they are written in JSON and in the raw columns."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.rules.mixed import of_each_type
from pipeline.rules.source_values import as_text

_JSON_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_INTEGER = r"^-?[0-9]+(\.0+)?$"
_INT64_END = 2.0**63


def number(text: ir.StringColumn) -> ir.FloatingColumn:
    """Read a text as FLOAT64: JSON's own number syntax only, NULL beyond what is finite.

    Engines take `nan`, ` 7 `, `1_000` or `0x1F` each in its own way, hence the look at the form
    first (contract, section 2).
    """
    value = text.re_search(_JSON_NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")
    return value.isinf().ifelse(ibis.null("float64"), value)


@of_each_type
def whole_number(column: ir.Column) -> ir.IntegerColumn:
    """Read an id column as INT64; NULL where it is no whole number (contract, section 2).

    A whole number may come in any numeric type, or as text such as `7`, `-7` or `7.0`.
    """
    kind = column.type()
    if kind.is_integer():
        return column.try_cast("int64")
    if kind.is_floating():
        cut = cut_to_integer(column)
        return (column == cut).ifelse(cut, ibis.null("int64"))
    if kind.is_decimal() or kind.is_string():
        text = as_text(column)
        number = text.re_search(_INTEGER).ifelse(text, ibis.null("string"))
        return number.split(".")[0].try_cast("int64")
    return ibis.null("int64")


def cut_to_integer(number: ir.FloatingColumn) -> ir.IntegerColumn:
    """Cut the fraction off, towards zero; NULL for NaN and for what no INT64 holds."""
    # 2^63 and its like must reach neither the rounding nor the cast, which would fail
    fits = (number >= -_INT64_END) & (number < _INT64_END)
    fitting = fits.ifelse(number, ibis.null(number.type()))
    return (fitting < 0).ifelse(fitting.ceil(), fitting.floor()).cast("int64")
