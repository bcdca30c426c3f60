"""Reads numbers of JSON and of the raw columns."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.rules.mixed import of_each_type
from pipeline.rules.source_values import as_text

_JSON_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_INTEGER = r"^-?[0-9]+(\.0+)?$"
_INT64_END = 2.0**63


def number(text: ir.StringColumn) -> ir.FloatingColumn:
    """Read a text as FLOAT64: only JSON's number syntax, NULL if it is not finite.

    Engines read `nan`, ` 7 `, `1_000` and `0x1F` differently, so it checks the form first
    (contract, section 2).
    """
    value = text.re_search(_JSON_NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")
    return value.isinf().ifelse(ibis.null("float64"), value)


@of_each_type
def whole_number(column: ir.Column) -> ir.IntegerColumn:
    """Read an id column as INT64; NULL if it is not a whole number (contract, section 2).

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
    """Cut the fraction off, toward zero; NULL for NaN and beyond INT64."""
    # rounding and cast would fail on numbers such as 2^63
    fits = (number >= -_INT64_END) & (number < _INT64_END)
    fitting = fits.ifelse(number, ibis.null(number.type()))
    return (fitting < 0).ifelse(fitting.ceil(), fitting.floor()).cast("int64")
