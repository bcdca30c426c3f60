"""Reads times of JSON and of the raw columns."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.contract import TIMESTAMP
from pipeline.dialect import iso_time, quotient, time_of_microseconds, utc_time
from pipeline.rules.mixed import of_each_type
from pipeline.rules.numbers import cut_to_integer
from pipeline.rules.source_values import as_text

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
_OFFSET = r"[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)"
_EXPORTED_OFFSET = r"[+-]((0[0-9]|1[0-3])(:?[0-5][0-9])?|14(:?00)?)"

ITEM_TIME = f"^{_DATE}[T ]{_TIME}(Z|{_OFFSET})?$"
SOURCE_TIME = f"^{_DATE}[T ]{_TIME}(Z| UTC|{_EXPORTED_OFFSET})?$"
BARE_DATE = f"^{_DATE}$"
EPOCH = r"^-?[0-9]+(\.[0-9]+)?$"

FIRST = ibis.literal("0001-01-01 00:00:00", type=TIMESTAMP)
LAST = ibis.literal("9999-12-31 23:59:59.999999", type=TIMESTAMP)
_FIRST_MICROSECOND = -62_135_596_800_000_000
_SECONDS_BELOW, _MILLISECONDS_BELOW, _MICROSECONDS_BELOW = 10**11, 10**14, 10**17


def item_time(text: ir.StringColumn) -> ir.TimestampColumn:
    """Read a `timestamp` of ItemData: ISO-8601, UTC if it has no zone (contract, section 2)."""
    return iso_time(_of_form(text, ITEM_TIME))


@of_each_type
def source_time(column: ir.Column) -> ir.TimestampColumn:
    """Read a raw time that came as a time, a date, an epoch number or text (contract, section 2).

    NULL if it is no time, or outside the years 0001 to 9999 UTC.
    """
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        return _within_years(utc_time(column))
    if kind.is_integer():
        return _epoch(column.try_cast("int64"))
    if kind.is_floating():
        return _epoch(cut_to_integer(column))
    if kind.is_decimal():
        return _epoch_of_text(as_text(column))
    if kind.is_string():
        # an engine may look a zone's name up for each row, ten times as long as it reads the rest
        time = _of_form(column, SOURCE_TIME).replace(" UTC", "Z")
        # no epoch number has a colon, and nearly all texts have one
        number = column.contains(":").ifelse(ibis.null("string"), column)
        return ibis.coalesce(iso_time(time), _epoch_of_text(number))
    return ibis.null(TIMESTAMP)


@of_each_type
def user_time(column: ir.Column) -> ir.TimestampColumn:
    """Read a time of raw_users: as `source_time`; a text may also be a bare date, its midnight."""
    time = source_time(column)
    if not column.type().is_string():
        return time
    midnight = _of_form(column, BARE_DATE).concat(" 00:00:00")
    return ibis.coalesce(time, iso_time(midnight))


def _of_form(text: ir.StringColumn, form: str) -> ir.StringColumn:
    return text.re_search(form).ifelse(text, ibis.null("string"))


def _within_years(time: ir.TimestampColumn) -> ir.TimestampColumn:
    return time.between(FIRST, LAST).ifelse(time, ibis.null(TIMESTAMP))


def _epoch_of_text(text: ir.StringColumn) -> ir.TimestampColumn:
    return _epoch(_of_form(text, EPOCH).split(".")[0].try_cast("int64"))


def _epoch(number: ir.IntegerColumn) -> ir.TimestampColumn:
    def below(limit: int) -> ir.IntegerColumn:
        # without abs(), which overflows for the least INT64
        return number.between(1 - limit, limit - 1).ifelse(number, ibis.null("int64"))

    # the first that is not NULL: the size of a number decides its unit
    microseconds = ibis.coalesce(
        below(_SECONDS_BELOW) * 1_000_000,
        below(_MILLISECONDS_BELOW) * 1_000,
        below(_MICROSECONDS_BELOW),
        # truncate toward earlier times; a division truncates toward zero
        quotient(number, 1_000) - (number % 1_000 < 0).cast("int64"),
    )
    # no epoch number reaches the year 10000
    exists = microseconds >= _FIRST_MICROSECOND
    return time_of_microseconds(exists.ifelse(microseconds, ibis.null("int64")))
