"""Finds the raw events that came since a build, by counting the rows of each load day.

INFORMATION_SCHEMA.PARTITIONS has such counts for free. But it knows only the present, so a loader
may add rows between that look and the build's moment, and it lacks rows that still stream in. One
count as of the build's moment costs 8 bytes a row and misses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from pipeline import pruning
from pipeline.arrow_values import dicts_of
from pipeline.dialect import day
from pipeline.errors import InputError
from pipeline.rules.time import source_time

STAMP = "_scheduled_timestamp"
"""The column with the time at which a row was loaded."""


@dataclass(frozen=True)
class LoadDay:
    """A day of `_scheduled_timestamp` and its rows; None stands for rows without a stamp.

    `later` of them are later than the watermark: the newest stamp that the last build read.
    """

    day: date | None
    rows: int
    later: int
    newest: datetime | None

    @property
    def name(self) -> str:
        """The day in a record, empty for rows without a stamp."""
        return self.day.isoformat() if self.day else ""


@dataclass(frozen=True)
class Arrived:
    """The raw rows that came since a build.

    All rows of the days `whole` are new, and all rows of the watermark's day that are later than
    `after`, the watermark. The days `mixed` have `late` new rows among old ones.
    """

    rows: int
    whole: tuple[date | None, ...] = ()
    after: datetime | None = None
    mixed: tuple[date | None, ...] = ()
    late: int = 0

    def by_stamp(self, raw: ir.Table) -> ir.Table:
        """Return the rows that are new by their stamp alone."""
        stamp = stamp_of(raw)
        conditions = pruning.on_days(stamp, self.whole)
        if self.after is not None:
            last = datetime.combine(self.after.date(), time.max, UTC)
            conditions.append(stamp.between(pruning.later(self.after, 1), pruning.later(last)))
        return raw.filter(ibis.or_(*conditions)) if conditions else pruning.nothing(raw)

    def on_mixed_days(self, rows: ir.Table, stamp: ir.Column) -> ir.Table:
        """Return all rows of the days that have old and new ones, raw or staged."""
        return rows.filter(ibis.or_(*pruning.on_days(stamp, self.mixed)))


def stamp_of(raw: ir.Table) -> ir.Column:
    """Return the load time of raw rows; a column of times stays bare, so BigQuery skips days."""
    kind = raw[STAMP].type()
    return raw[STAMP] if kind.is_timestamp() and kind.timezone else source_time(raw[STAMP])


def counting(raw: ir.Table, watermark: datetime | None) -> ir.Table:
    """Return the query of all load days."""
    stamp = stamp_of(raw)
    rows = raw.select(stamp=stamp, day=day(stamp))
    later = rows.stamp > pruning.later(watermark) if watermark else ibis.literal(False)
    return rows.group_by("day").agg(
        rows=rows.count(), later=rows.count(where=later), newest=rows.stamp.max()
    )


def load_days(answer: pa.Table) -> list[LoadDay]:
    """Return the load days that the answer to `counting` lists."""
    return [LoadDay(**each) for each in dicts_of(answer)]


def arrived(
    source: str, before: Mapping[str, int], watermark: datetime | None, now: Sequence[LoadDay]
) -> Arrived:
    """Compare the rows of each load day with those that the last build read.

    Raises:
        InputError: a day has fewer rows than before, or others.
    """
    lost = {name: rows for name, rows in before.items() if rows}
    whole: list[date | None] = []
    mixed: list[date | None] = []
    after, number, late = None, 0, 0
    for each in now:
        had = lost.pop(each.name, 0)
        if each.rows - each.later < had:
            raise _shrunk(source, each.name, each.rows - each.later, had)
        came = each.rows - had
        number += came
        if not came:
            continue
        if not had:
            whole.append(each.day)
        elif came == each.later:
            after = watermark
        else:
            mixed.append(each.day)
            late += came
    for name, rows in lost.items():
        raise _shrunk(source, name, 0, rows)
    return Arrived(number, tuple(whole), after, tuple(mixed), late)


def told(days: Sequence[date | None]) -> str:
    """Name load days for people."""
    named = sorted(each for each in days if each)
    listed = [str(each) for each in named]
    if len(listed) > 3:
        listed = [f"{len(listed):,} days from {listed[0]} to {listed[-1]}"]
    return " and ".join([*listed, *(["rows without a load time"] if None in days else [])])


def _shrunk(source: str, name: str, has: int, had: int) -> InputError:
    where = f"loaded on {name}" if name else f"without {STAMP}"
    return InputError(
        f"{source} has {has:,} of the {had:,} rows {where} that the last build read; the others "
        "would be lost.",
        "Load them again, or build once without --incremental, which reads all rows anew. The "
        "last build is unchanged.",
    )
