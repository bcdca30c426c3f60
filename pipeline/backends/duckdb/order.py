"""The order that DuckDB gives an expression's rows in, where it only streams them."""

from __future__ import annotations

import ibis.expr.operations as ops
import ibis.expr.types as ir

_STREAMED = (ops.Project, ops.Filter, ops.DropColumns, ops.JoinChain, ops.JoinReference)


def row_order(expr: ir.Table, column: str) -> tuple[str, str] | None:
    """Return the table and column that a column's values come from row by row, as they are.

    None where they are computed, joined to the rows of another table, or pass through what gathers
    rows first, such as an aggregate or a window: else an engine that streams its rows gives them in
    the order that the table has them in.
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
