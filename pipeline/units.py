"""Restricts tables to units: finds the rows that units depend on, and the units that rows touch.

Units are a table with one column `unit`, each value once. Everything here is an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

import pipeline.lineage as lineage
from pipeline.contract import Model
from pipeline.dialect import Day, microseconds
from pipeline.expressions import declared_expression
from pipeline.graph import Graph
from pipeline.lineage.origins import Origin
from pipeline.locality import Near, Within

Rows = Callable[[str, str], ir.Table]
"""Returns the rows of a table whose column, the second name, holds one of the units."""
NearRows = Callable[[str, Near, ir.Table], ir.Table]
"""Returns the rows of a table that are near the rows of another one."""


def upstream(model: Model, rows: Rows, near: NearRows) -> dict[str, ir.Table]:
    """Return each upstream of a model, restricted to the rows that the units depend on.

    A Near link may return more rows; the model itself leaves them out.
    """
    links = {name: _within(model).link(name) for name in model.upstream}
    found = {name: rows(name, link) for name, link in links.items() if isinstance(link, str)}
    for name, link in links.items():
        if isinstance(link, Near):
            found[name] = near(name, link, found[link.of])
    return found


def unit_of(model: Model) -> str:
    """Return the column of a model's unit."""
    return _within(model).unit


def is_unit(model: Model, column: str) -> bool:
    """Tell whether a model is declared within this column."""
    return isinstance(model.locality, Within) and model.locality.unit == column


def columns_used(
    made: ir.Table, tables: Mapping[str, Collection[str]]
) -> dict[str, frozenset[str]]:
    """Return, for each upstream, the columns that a model's expression reads.

    `tables` are the columns of each upstream.

    There may be a column too many. Each name that is read anywhere counts, because a column of a
    filtered table does not say which table it comes from.
    """
    op = made.op()
    names = {found.name for found in op.find(ops.Field)}
    for dropped in op.find(ops.DropColumns):
        names |= set(dropped.columns_to_drop)
    return {name: frozenset(names.intersection(columns)) for name, columns in tables.items()}


def same_days(graph: Graph, model: Model, column: str) -> tuple[str, str] | None:
    """Return an upstream, and its column, whose rows of a unit have the days of the model's rows.

    The model takes its partition column from that upstream as it is, and always has a day.
    """
    day = next((each for each in model.columns if each.name == model.partition_by), None)
    if day is None or day.nullable:
        return None
    origin = _origin(graph, model, day.name)
    if origin is None or graph.models[origin.table].partition_by != origin.column:
        return None
    if is_unit(model, column):
        link = _within(model).link(origin.table)
        return (origin.table, link) if isinstance(link, str) else None
    above = _origin(graph, model, column)
    return (above.table, above.column) if above and above.table == _selected(graph, model) else None


def looked_up(graph: Graph, model: Model) -> set[tuple[str, str]]:
    """Return the tables, and their columns, in which a build looks for the days of units."""
    links = {name: _within(model).link(name) for name in model.upstream}
    found: set[tuple[str, str]] = set()
    for name, link in (links | {model.name: _within(model).unit}).items():
        each = graph.models[name]
        if each.materialized == "table" and isinstance(link, str):
            found.add(same_days(graph, each, link) or (name, link))
    return found


def has_key_of_upstream(graph: Graph, model: Model) -> bool:
    """Tell whether a model has one row for each upstream row, and its key is the key there."""
    upstream = _selected(graph, model)
    if upstream not in graph.models or not model.key:
        return False
    key = {(upstream, column) for column in graph.models[upstream].key}
    origins = [_origin(graph, model, column) for column in model.key]
    return {(each.table, each.column) for each in origins if each} == key


def _selected(graph: Graph, model: Model) -> str:
    """Return the table if a model has one row for each of its rows, else nothing."""
    made = declared_expression(graph, model.name).op()
    if made.find(ops.Unnest):
        return ""
    while isinstance(made, ops.Project):
        made = made.parent
    return str(made.name) if isinstance(made, ops.UnboundTable) else ""


def _origin(graph: Graph, model: Model, column: str) -> Origin | None:
    """Return the upstream column that a model takes as it is, None if there is no such one."""
    made = lineage.of(graph).direct(model.name)[column]
    if not made.is_whole or len(made.value) != 1:
        return None
    [origin] = made.value
    return origin if origin.table in graph.models and not origin.path else None


def is_day_of(table: ir.Table, day: str, time: str) -> bool:
    """Tell whether an expression computes one of its columns as the day of another one."""
    rel, name = _made_at(table.op(), day)
    value = rel.values.get(name)
    return (
        isinstance(value, Day)
        and isinstance(value.time, ops.Field)
        and _made_at(value.time.rel, value.time.name) == _made_at(table.op(), time)
    )


def _made_at(rel: ops.Relation, name: str) -> tuple[ops.Relation, str]:
    """Return the relation that a column comes from unchanged, and its name there."""
    while isinstance(rel, ops.Project) and isinstance(field := rel.values[name], ops.Field):
        rel, name = field.rel, field.name
    return rel, name


def having(rows: ir.Table, column: str, units: ir.Table) -> ir.Table:
    """Return the rows whose column holds one of the units."""
    return rows.semi_join(units, [rows[column] == units["unit"]])


def near_rows(rows: ir.Table, link: Near, of: ir.Table) -> ir.Table:
    """Return at least the rows in the windows that start at the rows `of`.

    Each time falls into a bucket as long as the window, so a window touches two buckets. The join
    has an equality key that includes time and stays linear.
    """
    starts = of.select(on=of[link.on], bucket=_bucket(of[link.start], link))
    both = starts.mutate(bucket=ibis.array([starts.bucket, starts.bucket + 1]))
    buckets = both.unnest("bucket").distinct()
    placed = rows.mutate(_bucket=_bucket(rows[link.at], link))
    return placed.semi_join(
        buckets, [placed[link.on] == buckets["on"], placed["_bucket"] == buckets.bucket]
    ).drop("_bucket")


def together(parts: Sequence[ir.Table]) -> ir.Table:
    """Return the rows of all parts, with copies."""
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def united(parts: Sequence[ir.Table]) -> ir.Table:
    """Return the units of all parts, each once, without NULL."""
    units = ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0].distinct()
    return units.filter(units["unit"].notnull())


def units_near(of: ir.Table, unit: str, link: Near, rows: ir.Table) -> ir.Table:
    """Return the units whose window holds one of the rows; a unit may come several times.

    `of` is the table of the units; `rows` needs the link's columns `on` and `at`.
    """
    starts = of.select(
        unit=of[unit],
        start_on=of[link.on],
        start=microseconds(of[link.start]),
        start_bucket=_bucket(of[link.start], link),
    )
    last = _bucket(rows[link.at], link)
    read = rows.select(
        on=rows[link.on], at=microseconds(rows[link.at]), bucket=ibis.array([last - 1, last])
    ).unnest("bucket")
    return starts.join(
        read,
        [
            starts.start_on == read["on"],
            starts.start_bucket == read.bucket,
            starts.start <= read["at"],
            read["at"] <= starts.start + link.window,
        ],
    ).select("unit")


def _bucket(time: ir.Value, link: Near) -> ir.IntegerValue:
    return microseconds(time) // link.window


def _within(model: Model) -> Within:
    if not isinstance(model.locality, Within):
        raise TypeError(f"{model.name} is within no unit")
    return model.locality
