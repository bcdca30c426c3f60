"""Narrows tables by literal times and days: an engine skips blocks and partitions by nothing else.

DuckDB skips blocks, so the first and the last time suffice. BigQuery bills each day that it reads,
so it gets the days themselves.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from pipeline.arrow_values import dicts_of
from pipeline.contract import TIMESTAMP
from pipeline.dialect import day

_DAY = timedelta(days=1)

Fetch = Callable[[ir.Table], pa.Table]
Days = Counter[date | None]
"""The number of rows of each day; None stands for rows without a day."""
Span = tuple[datetime, datetime]
"""The first and the last time of a range, both included."""

MOST_SPANS = 200
"""The most ranges that a condition names: if there are more, the nearest ones become one."""


def spans(fetch: Fetch, times: ir.Column, *, by_day: bool) -> list[Span]:
    """Return ranges that hold all times of a column: one, or one for each run of days."""
    rows = times.name("time").as_table()
    if by_day:
        rows = rows.mutate(day=day(rows.time))
        found = rows.group_by("day").agg(low=rows.time.min(), high=rows.time.max())
    else:
        found = rows.aggregate(low=rows.time.min(), high=rows.time.max())
    bounds = [(each["low"], each["high"]) for each in dicts_of(fetch(found))]
    return _merged(each for each in bounds if each[0] is not None)


def between(
    rows: ir.Table, column: str, ranges: Sequence[Span], *, before: int = 0, after: int = 0
) -> ir.Table:
    """Return the rows of these ranges, made longer by so many microseconds before and after."""
    at = rows[column]
    bounds = [(later(low, -before), later(high, after)) for low, high in ranges]
    if not bounds:
        return nothing(rows)
    return rows.filter(ibis.or_(*(at.between(low, high) for low, high in bounds)))


def on_days_between(
    rows: ir.Table, column: str, ranges: Sequence[Span], *, before: int = 0
) -> ir.Table:
    """Return the rows whose date is in these ranges, made longer by so many microseconds before."""
    at = rows[column]
    bounds = [(_moved(low, -before).date(), high.date()) for low, high in ranges]
    return rows.filter(ibis.or_(*(at.between(low, high) for low, high in bounds)))


def days(fetch: Fetch, rows: ir.Table, column: str) -> Days:
    """Return how many rows there are of each day of a time or date column."""
    found = (
        rows.select(day=day_of(rows[column])).group_by("day").agg(number=lambda each: each.count())
    )
    return Counter({each["day"]: each["number"] for each in dicts_of(fetch(found))})


def of_days(rows: ir.Table, column: str, found: Iterable[date | None]) -> ir.Table:
    """Return the rows of these days of a time or date column."""
    conditions = on_days(rows[column], found)
    return rows.filter(ibis.or_(*conditions)) if conditions else nothing(rows)


def next_to(found: Iterable[date | None]) -> set[date | None]:
    """Return these days, and those before and after each."""
    days = set(found)
    before = {each - _DAY for each in days if each is not None and each > date.min}
    after = {each + _DAY for each in days if each is not None and each < date.max}
    return days | before | after


def on_days(at: ir.Column, found: Iterable[date | None]) -> list[ir.BooleanValue]:
    """Return conditions on a time or date; a row of one of these days meets one of them."""
    named = set(found)
    listed = sorted(each for each in named if each is not None)
    conditions = [at.isnull()] if None in named else []
    if at.type().is_date() and listed:
        conditions.append(at.isin([ibis.literal(each) for each in listed]))
    elif listed:
        ranges = _merged(_span(each) for each in listed)
        conditions += [at.between(later(low), later(high)) for low, high in ranges]
    return conditions


def later(moment: datetime, microseconds: int = 0) -> ir.TimestampScalar:
    """Return a time so much later as a literal, or the first or last possible time."""
    return ibis.literal(_moved(moment, microseconds), type=TIMESTAMP)


def _moved(moment: datetime, microseconds: int) -> datetime:
    try:
        return moment.astimezone(UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return (datetime.min if microseconds < 0 else datetime.max).replace(tzinfo=UTC)


def nothing(like: ir.Table) -> ir.Table:
    """Return no rows, of the same columns; no table is read for that."""
    row = ibis.literal(0).as_table()
    nulls = {name: ibis.null(kind) for name, kind in like.schema().items()}
    return row.select(**nulls).limit(0)


def day_of(column: ir.Column) -> ir.Column:
    """Return the day of a time or date."""
    return column if column.type().is_date() else day(column)


def _span(of: date) -> Span:
    return datetime.combine(of, time.min, UTC), datetime.combine(of, time.max, UTC)


def _merged(found: Iterable[Span]) -> list[Span]:
    """Return the ranges in order; those on consecutive days are one."""
    runs: list[Span] = []
    for low, high in sorted(found):
        if runs and low.date() <= runs[-1][1].date() + _DAY:
            runs[-1] = runs[-1][0], max(high, runs[-1][1])
        else:
            runs.append((low, high))
    while len(runs) > MOST_SPANS:
        gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(runs)]
        place = gaps.index(min(gaps))
        runs[place : place + 2] = [(runs[place][0], runs[place + 1][1])]
    return runs
