"""A large fact made range of days by range of days, as its memory asks.

An engine can't spill arrays that it gathers. With the same declaration that incremental builds use,
a model's rows of some days are made of few upstream rows, so the arrays of few days are under way
at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline import units
from pipeline.backends.base import Made, Workspace
from pipeline.contract import Model, Near, Within
from pipeline.expressions import expression

UNIT_BYTES = 2_500
"""Memory of one unit with an array under way, without the array's elements."""
ROW_BYTES = 400
"""Memory of one element of such an array."""

Table = Callable[[str], ir.Table]


def create(
    workspace: Workspace, model: Model, table: Table, rows: Mapping[str, int | None]
) -> Made:
    """Materialize a model, in as many slices as memory asks.

    `rows` are the known numbers of rows of its upstreams.

    Raises:
        EngineError: the engine can't run a statement.
        ResourceError: memory or disk ran out.
    """
    whole = expression(model, table)
    source = _source_of_days(model, whole)
    if source is None:
        return workspace.create(model, whole)
    most = units_at_once(model, source, rows, workspace.memory())
    parts = _parts(model, table, workspace, source, most)
    return workspace.create(model, next(parts, whole), parts)


def _source_of_days(model: Model, whole: ir.Table) -> str | None:
    """Return the upstream whose rows give each row of the model its partition column as it is.

    None where there is none, or where nothing is gathered that slices would make smaller.
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


def units_at_once(
    model: Model, source: str, rows: Mapping[str, int | None], memory: int | None
) -> int | None:
    """Return how many units' arrays fit into memory at a time, None for any number."""
    if memory is None:
        return None
    number = max(1, rows.get(source) or 1)
    near = sum(
        rows.get(name) or 0 for name, link in _links(model).items() if isinstance(link, Near)
    )
    return max(1, int(memory // (UNIT_BYTES + ROW_BYTES * near / number)))


def _parts(
    model: Model, table: Table, workspace: Workspace, source: str, most: int | None
) -> Iterator[ir.Table]:
    """Yield the model's rows range of days by range of days."""
    day = str(model.partition_by)
    days = table(source).group_by(day).agg(number=ibis._.count())
    counts = workspace.fetch(days.order_by(day)).to_pylist()
    if most is None or sum(found["number"] for found in counts) <= most:
        return
    for first, last in ranges([(found[day], found["number"]) for found in counts], most):
        yield _part(model, table, workspace, source, first, last)


def ranges(days: list[tuple[date, int]], most: int) -> Iterator[tuple[date, date]]:
    """Yield ranges of days with at most so many units, or a single day with more."""
    first, number = days[0][0], 0
    previous = first
    for day, count in days:
        if number and number + count > most:
            yield first, previous
            first, number = day, 0
        previous, number = day, number + count
    yield first, previous


def _part(
    model: Model, table: Table, workspace: Workspace, source: str, first: date, last: date
) -> ir.Table:
    day, links = str(model.partition_by), _links(model)
    of = table(source)
    of = of.filter(of[day].between(ibis.literal(first), ibis.literal(last)))
    found: dict[str, ir.Table] = {source: of}
    chosen = of.select(unit=of[str(links[source])])
    for name, link in links.items():
        if isinstance(link, Near):
            found[name] = _near(table(name), link, of, workspace)
        elif name != source:
            found[name] = units.having(table(name), link, chosen)
    return expression(model, found.__getitem__)


def _near(rows: ir.Table, link: Near, of: ir.Table, workspace: Workspace) -> ir.Table:
    # nearly all devices are there: literal bounds in time are all that is worth while
    bounds = of.aggregate(low=of[link.start].min(), high=of[link.start].max())
    found: dict[str, Any] = workspace.fetch(bounds).to_pylist()[0]
    if found["low"] is None:
        return rows.limit(0)
    return units.between(rows, link.at, found["low"], found["high"], link.window)


def _links(model: Model) -> dict[str, str | Near]:
    within = model.locality
    if not isinstance(within, Within):
        raise TypeError(f"{model.name} is within no unit")
    return {name: within.link(name) for name in model.upstream}
