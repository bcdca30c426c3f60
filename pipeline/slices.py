"""Makes a large fact range of days by range of days, to bound its memory.

DuckDB can't spill the arrays of an aggregate. By the locality that incremental builds use, a
model's rows of some days need only few upstream rows. So DuckDB holds the arrays of only a few days
at a time. If memory runs out nevertheless, we halve the slice, down to a share of one day's units.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline import pruning, units
from pipeline.backends.base import Made, Workspace
from pipeline.contract import Model, Near, Within
from pipeline.dialect import key_hash
from pipeline.errors import OutOfMemoryError
from pipeline.expressions import expression

UNIT_BYTES = 2_500
"""Memory of one unit with an array in an aggregate, without the array's elements."""
ROW_BYTES = 400
"""Memory of one element of such an array."""
MOST_SHARES = 1_024
"""The most shares of a day: if these do not fit, something else takes the memory."""

Table = Callable[[str], ir.Table]


@dataclass(frozen=True)
class Slice:
    """The units of some days in a row; of a single day, perhaps one of several shares."""

    days: Sequence[date]
    share: int = 0
    shares: int = 1

    def halves(self) -> tuple[Slice, ...]:
        """Return two halves of this slice; none if that is of no use."""
        middle = len(self.days) // 2
        if middle:
            return Slice(self.days[:middle]), Slice(self.days[middle:])
        if self.shares >= MOST_SHARES:
            return ()
        other = self.share + self.shares
        return Slice(self.days, self.share, 2 * self.shares), Slice(
            self.days, other, 2 * self.shares
        )


def create(
    workspace: Workspace,
    model: Model,
    whole: ir.Table,
    table: Table,
    rows: Mapping[str, int | None],
) -> Made:
    """Materialize a model, in as many slices as memory requires.

    `whole` are all of its rows. `table` gives its upstreams, `rows` their numbers of rows, as far
    as they are known.

    Raises:
        EngineError: the engine can't run a statement.
        ResourceError: disk ran out, or memory did for the smallest slice.
    """
    source = _source_of_days(model, whole)
    if source is None:
        return workspace.create(model, whole)
    memory = workspace.memory()
    if memory is None:
        return workspace.create(model, whole)
    most = units_at_once(model, source, rows, memory)
    slices = ranges(_units_of_days(model, table(source), workspace), most)
    if len(slices) < 2:
        try:
            return workspace.create(model, whole)
        except OutOfMemoryError:
            slices = [half for each in slices for half in each.halves()]
            if not slices:
                raise

    def part(of: Slice) -> ir.Table:
        return _part(model, table, workspace, source, of)

    return workspace.create(
        model, whole.limit(0), lambda append: _fill(lambda each: append(part(each)), slices)
    )


def _fill(append: Callable[[Slice], None], slices: Sequence[Slice]) -> None:
    """Append each slice in order, halving those that memory does not hold."""
    for each in slices:
        try:
            append(each)
        except OutOfMemoryError:
            halves = each.halves()
            if not halves:
                raise
            _fill(append, halves)


def _source_of_days(model: Model, whole: ir.Table) -> str | None:
    """Return the upstream whose rows give the model's rows their partition column, unchanged.

    None if there is none, or if the model gathers no arrays that slices would make smaller.
    """
    within = model.locality
    if not isinstance(within, Within) or model.partition_by is None:
        return None
    if model.materialized == "view" or not whole.op().find(ops.ArrayCollect):
        return None
    for near in within.links.values():
        if isinstance(near, Near) and model.partition_by in whole.columns:
            return near.of
    return None


def units_at_once(model: Model, source: str, rows: Mapping[str, int | None], memory: int) -> int:
    """Return the number of units whose arrays fit together into so many bytes of memory."""
    number = max(1, rows.get(source) or 1)
    near = sum(
        rows.get(name) or 0 for name, link in _links(model).items() if isinstance(link, Near)
    )
    return max(1, int(memory // (UNIT_BYTES + ROW_BYTES * near / number)))


def _units_of_days(model: Model, source: ir.Table, workspace: Workspace) -> list[tuple[date, int]]:
    day = str(model.partition_by)
    days = source.group_by(day).agg(number=ibis._.count())
    found = workspace.fetch(days.order_by(day)).to_pylist()
    return [(each[day], each["number"]) for each in found]


def ranges(days: Sequence[tuple[date, int]], most: int) -> list[Slice]:
    """Return as few slices as possible, alike in size.

    Each has at most so many units and a tenth, or it is a single day with more.
    """
    # a tenth more in each slice costs less than one slice more
    highest = most + most // 10
    fewest = len(_cut(days, highest))
    least = bisect_left(range(highest), -fewest, key=lambda size: -len(_cut(days, size)))
    return _cut(days, least)


def _cut(days: Sequence[tuple[date, int]], most: int) -> list[Slice]:
    """Return slices of days with at most so many units, or of a single day with more."""
    found: list[Slice] = []
    first = number = 0
    for place, (_, count) in enumerate(days):
        if number and number + count > most:
            found.append(Slice([day for day, _ in days[first:place]]))
            first, number = place, 0
        number += count
    return [*found, Slice([day for day, _ in days[first:]])] if days else []


def _part(model: Model, table: Table, workspace: Workspace, source: str, slice: Slice) -> ir.Table:
    links = _links(model)
    of = _units_of(table(source), str(model.partition_by), str(links[source]), slice)
    found: dict[str, ir.Table] = {source: of}
    chosen = of.select(unit=of[str(links[source])])
    for name, link in links.items():
        if isinstance(link, Near):
            found[name] = _near(table(name), link, of, workspace)
        elif name != source:
            found[name] = units.having(table(name), link, chosen)
    return expression(model, found.__getitem__)


def _units_of(rows: ir.Table, day: str, unit: str, slice: Slice) -> ir.Table:
    first, last = ibis.literal(slice.days[0]), ibis.literal(slice.days[-1])
    of_days = rows.filter(rows[day].between(first, last))
    if slice.shares == 1:
        return of_days
    # a share is a power of two, so its bits choose, also of a hash below zero
    return of_days.filter((key_hash(of_days[unit]) & (slice.shares - 1)) == slice.share)


def _near(rows: ir.Table, link: Near, of: ir.Table, workspace: Workspace) -> ir.Table:
    # a range has nearly all devices, so only literal bounds in time pay off
    ranges = pruning.spans(workspace.fetch, of[link.start], by_day=False)
    return pruning.between(rows, link.at, ranges, after=link.window)


def _links(model: Model) -> dict[str, str | Near]:
    within = model.locality
    if not isinstance(within, Within):
        raise TypeError(f"{model.name} is within no unit")
    return {name: within.link(name) for name in model.upstream}
