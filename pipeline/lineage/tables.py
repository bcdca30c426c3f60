"""The origins of the tables in an Ibis tree: of their columns and of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import singledispatch
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline.lineage.origins import Made, Rows, either, everything, table_rows
from pipeline.lineage.values import Values


def trace(expr: ir.Table, tables: Callable[[str], Rows]) -> Rows:
    """Return the origins of an expression; `tables` returns those of a table that it reads."""
    return _Tables(tables)(expr.op())


class _Tables:
    """The origins of the tables in a tree, each computed once."""

    def __init__(self, named: Callable[[str], Rows]) -> None:
        self.named = named
        self._known: dict[ops.Relation, Rows] = {}

    def __call__(self, table: ops.Relation) -> Rows:
        if table not in self._known:
            self._known[table] = _rows(table, self)
        return self._known[table]

    def value(self, value: ops.Value) -> Made:
        return Values(self)(value)


@singledispatch
def _rows(table: ops.Relation, of: _Tables) -> Rows:
    # a kind of table without a rule here: any column may come from any other
    parents = [of(parent) for parent in table.find(ops.Relation) if parent is not table]
    anything = either(made for rows in parents for made in rows.lineage.values()).computed()
    return Rows(dict.fromkeys(table.schema.names, anything), anything.all)


@_rows.register
def _(table: ops.PhysicalTable, of: _Tables) -> Rows:
    rows = of.named(table.name)
    # a table that older code built may have other columns
    known = table_rows(table.name, table.schema).columns
    return replace(rows, columns={**known, **rows.columns})


@_rows.register(ops.SQLQueryResult)
def _(table: Any, of: _Tables) -> Rows:
    return table_rows("SQL", table.schema)


@_rows.register
def _(table: ops.InMemoryTable, of: _Tables) -> Rows:
    return Rows(dict.fromkeys(table.schema.names, Made()))


@_rows.register
def _(table: ops.DummyTable, of: _Tables) -> Rows:
    return Rows({name: of.value(value) for name, value in table.values.items()})


@_rows.register(ops.Reference)
@_rows.register(ops.AliasedRelation)
@_rows.register(ops.Sort)
@_rows.register(ops.Sample)
def _(table: Any, of: _Tables) -> Rows:
    return of(table.parent)


@_rows.register
def _(table: ops.Project, of: _Tables) -> Rows:
    rows = of(table.parent)
    columns = {name: of.value(value) for name, value in table.values.items()}
    unnested = [
        name for name, value in table.values.items() if value.find(ops.Unnest, filter=ops.Value)
    ]
    made = rows.named(columns, {} if unnested else _same(table.values, table.parent))
    # an array has as many rows as elements
    return made.decided_by(everything(columns[name] for name in unnested))


@_rows.register
def _(table: ops.DropColumns, of: _Tables) -> Rows:
    rows = of(table.parent)
    kept = {name: rows.columns[name] for name in table.schema.names}
    return rows.named(kept, {name: name for name in kept})


@_rows.register
def _(table: ops.FillNull, of: _Tables) -> Rows:
    return of(table.parent)


@_rows.register
def _(table: ops.DropNull, of: _Tables) -> Rows:
    rows = of(table.parent)
    looked_at = [each.name for each in table.subset] if table.subset else rows.columns
    return rows.decided_by(everything(rows.columns[name] for name in looked_at))


@_rows.register
def _(table: ops.Filter, of: _Tables) -> Rows:
    return of(table.parent).decided_by(everything(map(of.value, table.predicates)))


@_rows.register
def _(table: ops.Limit, of: _Tables) -> Rows:
    keys = table.parent.keys if isinstance(table.parent, ops.Sort) else ()
    return of(table.parent).decided_by(everything(of.value(key.arg) for key in keys))


@_rows.register
def _(table: ops.Distinct, of: _Tables) -> Rows:
    return _distinct(of(table.parent))


@_rows.register
def _(table: ops.Aggregate, of: _Tables) -> Rows:
    groups = {name: of.value(value) for name, value in table.groups.items()}
    metrics = {name: of.value(value) for name, value in table.metrics.items()}
    decides = of(table.parent).decides | everything(groups.values())
    return Rows({**groups, **metrics}, decides, frozenset({frozenset(groups)}))


@_rows.register
def _(table: ops.TableUnnest, of: _Tables) -> Rows:
    rows = of(table.parent)
    array = of.value(table.column)
    columns = {**rows.columns, table.column_name: array}
    if table.offset:
        columns[table.offset] = array.counted()
    return Rows({name: columns[name] for name in table.schema.names}, rows.decides | array.all)


@_rows.register
def _(table: ops.Set, of: _Tables) -> Rows:
    left, right = of(table.left), of(table.right)
    columns = {name: made.or_(right.columns[name]) for name, made in left.columns.items()}
    rows = Rows(columns, left.decides | right.decides)
    return rows if isinstance(table, ops.Union) and not table.distinct else _distinct(rows)


def _distinct(rows: Rows) -> Rows:
    decides = everything(rows.columns.values())
    return replace(rows.decided_by(decides), keys=frozenset({frozenset(rows.columns)}))


@_rows.register
def _(table: ops.JoinChain, of: _Tables) -> Rows:
    joined = {table.first: of(table.first)}
    rows = Rows({}, joined[table.first].decides, joined[table.first].keys)
    for link in table.rest:
        joined[link.table] = of(link.table)
        rows = _linked(rows, link, joined, of)
    columns = {name: Values(of, joined)(value) for name, value in table.values.items()}
    return rows.named(columns, _same(table.values, table.first))


def _linked(rows: Rows, link: ops.JoinLink, joined: dict[ops.Relation, Rows], of: _Tables) -> Rows:
    """Return the rows after one more join; its keys decide about the joined columns."""
    right, at = joined[link.table], Values(of, joined)
    decides = right.decides | everything(map(at, link.predicates))
    is_one = right.is_unique(_compared(link))
    if link.how == "left" and is_one:
        # each row stays, once: the join decides only about the joined columns
        columns = {name: made.decided_by(decides) for name, made in right.columns.items()}
        joined[link.table] = replace(right, columns=columns)
        return rows
    keeps_keys = link.how in ("semi", "anti") or (link.how in ("left", "inner") and is_one)
    return replace(rows.decided_by(decides), keys=rows.keys if keeps_keys else frozenset())


def _compared(link: ops.JoinLink) -> Iterator[str]:
    for predicate in link.predicates:
        if isinstance(predicate, ops.Equals):
            for side in (predicate.left, predicate.right):
                if isinstance(side, ops.Field) and side.rel == link.table:
                    yield side.name


def _same(values: Mapping[str, ops.Value], table: ops.Relation) -> dict[str, str]:
    """Return the columns that only rename a table's column, with its name."""
    return {
        name: value.name
        for name, value in values.items()
        if isinstance(value, ops.Field) and value.rel == table
    }
