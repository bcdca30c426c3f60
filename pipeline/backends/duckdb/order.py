"""The order of an expression's rows, if DuckDB only streams them."""

from __future__ import annotations

import ibis.expr.operations as ops
import ibis.expr.types as ir

_STREAMED = (ops.Project, ops.Filter, ops.DropColumns, ops.JoinChain, ops.JoinReference)


def row_order(expr: ir.Table, column: str) -> tuple[str, str] | None:
    """Return the table and column that a column's values come from, row by row and unchanged.

    DuckDB then streams the rows in that table's order. None if the values are computed or joined
    to another table's rows, or if an aggregate or window gathers the rows first.
    """
    value: ops.Value | None = ops.Field(expr, column)
    while isinstance(value, ops.Field):
        rows, name = value.rel, value.name
        if isinstance(rows, ops.PhysicalTable):
            return rows.name, name
        if not isinstance(rows, _STREAMED) or _has_window(rows):
            return None
        value = rows.values.get(name)
        is_joined = isinstance(rows, ops.JoinChain)
        if is_joined and isinstance(value, ops.Field) and value.rel != rows.first:
            return None
    return None


def _has_window(rows: ops.Relation) -> bool:
    return any(value.find(ops.WindowFunction, filter=ops.Value) for value in rows.values.values())
