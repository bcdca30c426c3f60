"""The origins of a value in an Ibis tree: which argument goes in, which one only decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import singledispatch
from typing import Any

import ibis.expr.operations as ops

import pipeline.dialect as dialect
from pipeline.lineage.origins import NOTHING, Made, Rows, either, everything


class Values:
    """The origins of the values of one table, each computed once.

    `tables` are the joined ones; `elements` maps the name of an array's element to its origins.
    """

    def __init__(
        self,
        of: Callable[[ops.Relation], Rows],
        tables: Mapping[ops.Relation, Rows] | None = None,
        elements: Mapping[ops.Value, Made] | None = None,
    ) -> None:
        self.of = of
        self._tables = tables or {}
        self._known: dict[ops.Value, Made] = dict(elements or {})

    def __call__(self, value: ops.Value) -> Made:
        """Return the origins of a value."""
        if value not in self._known:
            self._known[value] = _made(value, self)
        return self._known[value]

    def rows(self, table: ops.Relation) -> Rows:
        """Return the origins of a value's table."""
        return self._tables[table] if table in self._tables else self.of(table)

    def each(self, body: ops.Value, element: ops.Value, array: ops.Value) -> Made:
        """Return the origins of an expression of each element of an array."""
        return Values(self.of, self._tables, {**self._known, element: self(array)})(body)

    def arguments(self, value: ops.Node) -> dict[str, list[ops.Value]]:
        """Return an operation's values, by the names of its arguments."""
        given = zip(value.__argnames__, value.__args__, strict=True)
        return {name: list(_values_in(argument)) for name, argument in given}


def _values_in(argument: Any) -> Iterator[ops.Value]:
    if isinstance(argument, tuple):
        for each in argument:
            yield from _values_in(each)
    elif isinstance(argument, ops.SortKey):
        yield argument.arg
    elif isinstance(argument, ops.WindowBoundary):
        yield argument.value
    elif isinstance(argument, ops.Value):
        yield argument


_ONLY_DECIDE: Mapping[type[ops.Value], tuple[str, ...]] = {
    ops.IfElse: ("bool_expr",),
    ops.SearchedCase: ("cases",),
    ops.SimpleCase: ("base", "cases"),
    ops.NullIf: ("null_if_expr",),
    ops.WindowFunction: ("start", "end", "group_by", "order_by"),
    ops.Lag: ("offset",),
    ops.Lead: ("offset",),
    ops.NthValue: ("nth",),
    ops.ArgMax: ("key",),
    ops.ArgMin: ("key",),
    ops.Quantile: ("quantile",),
    ops.ArrayIndex: ("index",),
    ops.ArraySlice: ("start", "stop"),
    ops.ArrayRepeat: ("times",),
    ops.ArrayRemove: ("other",),
}
"""The arguments whose values do not go into the result; for all reductions, _ALWAYS."""

_ALWAYS = ("where", "order_by")

_ONE_OF_THEM = (
    *(ops.IfElse, ops.SearchedCase, ops.SimpleCase, ops.NullIf, ops.Coalesce),
    *(ops.Lag, ops.Lead, ops.NthValue, ops.WindowFunction),
    *(ops.First, ops.Last, ops.Arbitrary, ops.Mode, ops.ArgMax, ops.ArgMin, ops.Max, ops.Min),
    *(ops.ArrayCollect, ops.Array, ops.ArrayConcat, ops.ArraySlice, ops.ArrayRepeat),
    *(ops.ArrayIndex, ops.ArrayRemove, ops.ArrayUnion, ops.ArrayDistinct, ops.ArraySort),
    *(ops.ArrayFlatten, ops.Unnest, ops.Alias),
    *(dialect.ReadableJson, dialect.JsonText, dialect.JsonScalar),
)
"""Operations that return an argument unchanged, or put arguments into an array unchanged."""

_COUNTS = (
    *(ops.Count, ops.CountStar, ops.CountDistinct, ops.CountDistinctStar, ops.ArrayLength),
    ops.ApproxCountDistinct,
)


@singledispatch
def _made(value: ops.Value, at: Values) -> Made:
    deciding = (*_ALWAYS, *_ONLY_DECIDE.get(type(value), ()))
    given = at.arguments(value)
    taken = either(at(each) for name in given if name not in deciding for each in given[name])
    decides = everything(at(each) for name in given if name in deciding for each in given[name])
    if isinstance(value, _COUNTS):
        taken = taken.counted()
    elif not isinstance(value, _ONE_OF_THEM):
        taken = taken.computed()
    return taken.decided_by(decides)


@_made.register
def _(value: ops.Field, at: Values) -> Made:
    return at.rows(value.rel).columns[value.name]


@_made.register(ops.Cast)
@_made.register(ops.TryCast)
def _(value: Any, at: Values) -> Made:
    arg = at(value.arg)
    if value.arg.dtype.is_nested() or (value.arg.dtype.is_string() and value.to.is_json()):
        return arg
    return arg.computed()


@_made.register
def _(value: ops.StructColumn, at: Values) -> Made:
    fields = dict(zip(value.names, map(at, value.values), strict=True))
    return replace(either(fields.values()).computed(), fields=fields)


@_made.register
def _(value: ops.StructField, at: Values) -> Made:
    return at(value.arg).part(value.field)


@_made.register
def _(value: ops.ArrayMap, at: Values) -> Made:
    return at.each(value.body, value.param, value.arg)


@_made.register
def _(value: ops.ArrayFilter, at: Values) -> Made:
    return at(value.arg).decided_by(at.each(value.body, value.param, value.arg).all)


@_made.register
def _(value: ops.ScalarSubquery, at: Values) -> Made:
    (made,) = at.rows(value.rel).lineage.values()
    return made


@_made.register
def _(value: ops.ExistsSubquery, at: Values) -> Made:
    rows = at.rows(value.rel)
    return Made(NOTHING, rows.decides | everything(rows.columns.values()))


@_made.register
def _(value: ops.InSubquery, at: Values) -> Made:
    (made,) = at.rows(value.rel).lineage.values()
    return at(value.needle).computed().decided_by(made.all)


# --- The seam's own operations ------------------------------------------------------------------


@_made.register
def _(value: dialect.JsonObject, at: Values) -> Made:
    document = at(value.document)
    members = {name: document.part(name) for name in (*value.scalars, *value.nested)}
    return replace(document.computed(), fields=members)


@_made.register
def _(value: dialect.JsonElements, at: Values) -> Made:
    document = at(value.document)
    return replace(
        document.computed(),
        fields={f"e{i}": document.part(f"[{i}]") for i in range(value.count)},
    )


@_made.register
def _(value: dialect.JsonMember, at: Values) -> Made:
    # it reads only the same member of the document
    return at(value.member)


@_made.register
def _(value: dialect.SortedStructs, at: Values) -> Made:
    structs = at(value.structs)
    order = everything(structs.part(name) for name in value.by)
    fields = {name: structs.part(name).decided_by(order) for name in value.fields}
    return replace(structs, fields=fields)


@_made.register
def _(value: dialect.JoinedTexts, at: Values) -> Made:
    return at.each(value.body, value.element, value.array).computed()
