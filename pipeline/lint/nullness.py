"""Whether a value of an expression can be NULL, as far as the tree and the declarations tell."""

from __future__ import annotations

import ibis.expr.operations as ops

from pipeline.graph import Graph

_NEVER = (ops.IsNull, ops.NotNull, ops.RowNumber, ops.Count, ops.CountStar)


class Nullness:
    """Knows the columns that the models declare as never NULL."""

    def __init__(self, graph: Graph) -> None:
        self._never = {
            (model.name, column.name)
            for model in graph.models.values()
            for column in model.columns
            if not column.nullable
        }

    def may_be_null(self, value: ops.Node) -> bool:
        """Whether the value may be NULL; what can't be told may be."""
        if isinstance(value, _NEVER):
            return False
        if isinstance(value, ops.Literal):
            return value.value is None
        if isinstance(value, ops.Coalesce):
            return all(map(self.may_be_null, value.arg))
        if isinstance(value, ops.Field):
            return self._field_may_be_null(value)
        parts = [part for part in value.__args__ if isinstance(part, ops.Value)]
        return not isinstance(value, ops.Cast | ops.Value) or self._any_null(value, parts)

    def _any_null(self, value: ops.Node, parts: list[ops.Value]) -> bool:
        made_of_parts = isinstance(value, ops.Binary | ops.Unary | ops.Cast) or (
            type(value).__module__ == "pipeline.dialect"
        )
        return not made_of_parts or any(map(self.may_be_null, parts))

    def _field_may_be_null(self, field: ops.Field) -> bool:
        source = field.rel
        if isinstance(source, ops.UnboundTable):
            return (source.name, field.name) not in self._never
        if isinstance(source, ops.Filter) and _filtered_out(source, field.name):
            return False
        made = source.values.get(field.name)
        return made is None or self.may_be_null(made)


def _filtered_out(rows: ops.Filter, name: str) -> bool:
    return any(
        isinstance(predicate, ops.NotNull)
        and isinstance(predicate.arg, ops.Field)
        and predicate.arg.name == name
        for predicate in rows.predicates
    )
