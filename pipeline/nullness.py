"""Tells from the Ibis tree and the declarations whether a value can be NULL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import ibis.expr.operations as ops

from pipeline.dialect import Day, KeyHash, Microseconds, TextOfParts, TimeOfMicroseconds
from pipeline.expressions import declared_expression
from pipeline.graph import Graph

_NEVER = (ops.IsNull, ops.NotNull, ops.RowNumber, ops.Count, ops.CountStar, TextOfParts)
_NULL_OF_NULL_ONLY = (
    *(ops.Cast, ops.Add, ops.Subtract, ops.Multiply),
    *(ops.StringLength, ops.Lowercase, ops.Uppercase, ops.StringJoin),
    *(ops.Comparison, ops.And, ops.Or, ops.Not),
    *(Day, Microseconds, TimeOfMicroseconds, KeyHash),
)


class Nullness:
    """Knows the columns that the models declare as never NULL, and the outer joins of one tree."""

    def __init__(self, graph: Graph, root: ops.Node) -> None:
        joins = root.find(ops.JoinChain)
        self._lacking = {side for join in joins for side in _may_lack_rows(join)}
        self._never = {
            (model.name, column.name)
            for model in graph.models.values()
            for column in model.columns
            if not column.nullable
        }

    def may_be_null(self, value: ops.Node) -> bool:
        """Tell whether a value may be NULL; true if that is unknown."""
        if isinstance(value, _NEVER):
            return False
        if isinstance(value, ops.Literal):
            return value.value is None
        if isinstance(value, ops.Coalesce):
            return all(map(self.may_be_null, value.arg))
        if isinstance(value, ops.Field):
            return self._field_may_be_null(value)
        if isinstance(value, ops.SearchedCase | ops.SimpleCase):
            return any(map(self.may_be_null, (*value.results, value.default)))
        if isinstance(value, ops.IfElse):
            # a condition that is NULL takes the second value
            return any(map(self.may_be_null, (value.true_expr, value.false_null_expr)))
        parts = [part for part in _flat(value.__args__) if isinstance(part, ops.Value)]
        return not isinstance(value, _NULL_OF_NULL_ONLY) or any(map(self.may_be_null, parts))

    def _field_may_be_null(self, field: ops.Field) -> bool:
        source = field.rel
        if source in self._lacking:
            return True
        if isinstance(source, ops.UnboundTable):
            return (source.name, field.name) not in self._never
        if isinstance(source, ops.Filter) and _filtered_out(source, field.name):
            return False
        if isinstance(source, ops.Set):
            sides = (ops.Field(side, field.name) for side in (source.left, source.right))
            return any(map(self.may_be_null, sides))
        made = source.values.get(field.name)
        return made is None or self.may_be_null(made)


def _may_lack_rows(join: ops.JoinChain) -> list[ops.Node]:
    # the sides of outer joins: their columns are NULL if a row has no partner
    lacking = [link.table for link in join.rest if link.how not in ("inner", "cross")]
    both = any(link.how in ("right", "outer") for link in join.rest)
    return [*lacking, join.first] if both else lacking


def _filtered_out(rows: ops.Filter, name: str) -> bool:
    return any(_needs(predicate, name) for predicate in rows.predicates)


def _needs(predicate: ops.Node, name: str) -> bool:
    # NULL equals nothing
    if isinstance(predicate, ops.NotNull):
        sides: tuple[ops.Node, ...] = (predicate.arg,)
    elif isinstance(predicate, ops.Equals):
        sides = (predicate.left, predicate.right)
    else:
        return False
    return any(isinstance(side, ops.Field) and side.name == name for side in sides)


def _flat(arguments: Iterable[object]) -> Iterator[object]:
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from _flat(argument)
        else:
            yield argument


def never_null(graph: Graph, name: str) -> frozenset[str]:
    """Return the columns of a model that are never NULL by construction.

    It trusts the declarations of upstream columns.
    """
    model = graph.models[name]
    root = declared_expression(graph, name).op()
    tree = Nullness(graph, root)
    return frozenset(
        column.name
        for column in model.columns
        if not column.nullable and not tree.may_be_null(ops.Field(root, column.name))
    )
