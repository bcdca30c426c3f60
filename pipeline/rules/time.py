"""Times as they are written in JSON and in the raw columns."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.contract import TIMESTAMP
from pipeline.dialect import iso_time, time_of_microseconds
from pipeline.rules.mixed import of_each_type

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
_HOURS = r"[+-](0[0-9]|1[0-4])"
_OFFSET = r"[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)"

ITEM_TIME = f"^{_DATE}[T ]{_TIME}(Z|{_OFFSET})?$"
SOURCE_TIME = f"^{_DATE}[T ]{_TIME}(Z| UTC|{_OFFSET}|{_HOURS})?$"
BARE_DATE = f"^{_DATE}$"
EPOCH = r"^-?[0-9]+(\.[0-9]+)?$"

FIRST = ibis.literal("0001-01-01 00:00:00", type=TIMESTAMP)
LAST = ibis.literal("9999-12-31 23:59:59.999999", type=TIMESTAMP)
_FIRST_SECOND, _END_SECOND = -62_135_596_800, 253_402_300_800
_MILLISECONDS_FROM = 10**11


def item_time(text: ir.StringColumn) -> ir.TimestampColumn:
    """Read a `timestamp` of ItemData: ISO-8601, UTC where no zone stands (contract, section 2)."""
    return _read(text, ITEM_TIME)


@of_each_type
def source_time(column: ir.Column) -> ir.TimestampColumn:
    """Read a raw TIMESTAMP column that came as times, dates or text; NULL where it is none."""
    if column.type().is_timestamp():
        return _within_years(column.cast(TIMESTAMP))
    if column.type().is_date():
        return _within_years(column.cast(TIMESTAMP))
    if column.type().is_string():
        return _read(column, SOURCE_TIME)
    return ibis.null(TIMESTAMP)


@of_each_type
def user_time(column: ir.Column) -> ir.TimestampColumn:
    """Read a time of raw_users, which may also be a bare date or an epoch number, or text of one.

    An epoch number's fraction is cut off; 10^11 and more are milliseconds, less are seconds.
    """
    kind = column.type()
    if kind.is_integer():
        return _epoch(column.try_cast("int64"))
    if kind.is_floating() or kind.is_decimal():
        return _epoch(_whole(column.cast("float64")))
    if not kind.is_string():
        return source_time(column)
    digits = column.re_search(EPOCH).ifelse(column, ibis.null("string"))
    midnight = column.re_search(BARE_DATE).ifelse(column.concat(" 00:00:00"), ibis.null("string"))
    return ibis.coalesce(
        source_time(column),
        iso_time(midnight),
        _epoch(digits.split(".")[0].try_cast("int64")),
    )


def _read(text: ir.StringColumn, form: str) -> ir.TimestampColumn:
    return iso_time(text.re_search(form).ifelse(text, ibis.null("string")))


def _within_years(time: ir.TimestampColumn) -> ir.TimestampColumn:
    return time.between(FIRST, LAST).ifelse(time, ibis.null(TIMESTAMP))


def _whole(number: ir.FloatingColumn) -> ir.IntegerColumn:
    # far beyond any time, and safe to cast: outside of it, or NaN, there is no time
    fits = number.abs() < 1e15
    toward_zero = (number < 0).ifelse(number.ceil(), number.floor())
    return fits.ifelse(toward_zero, ibis.null("float64")).cast("int64")


def _epoch(number: ir.IntegerColumn) -> ir.TimestampColumn:
    milliseconds = number >= _MILLISECONDS_FROM
    seconds = milliseconds.ifelse(number // 1000, number)
    exists = (seconds >= _FIRST_SECOND) & (seconds < _END_SECOND)
    # a number beyond any time is dropped before the product, which it would overflow
    unit = milliseconds.ifelse(1000, 1_000_000)
    return time_of_microseconds(exists.ifelse(number, ibis.null("int64")) * unit)
