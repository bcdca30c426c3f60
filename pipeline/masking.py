"""Values that open doors are hidden wherever rows are shown (interface, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

import pipeline.lineage as lineage
from pipeline.graph import Graph

Fetch = Callable[[ir.Table], pa.Table]
"""Evaluates an expression."""

MASK = "***"


def masked(table: ir.Table, sensitive: Collection[str]) -> ir.Table:
    """Mask a table before anything is asked of it, so that no answer tells the values."""
    hidden = {
        name: ibis.cases((table[name].notnull(), MASK))
        for name in table.columns
        if name in sensitive
    }
    return table.mutate(**hidden) if hidden else table


def masking(graph: Graph, fetch: Fetch) -> Fetch:
    """Return a `fetch` that masks every column that is made of a sensitive one."""
    traced = lineage.of(graph)
    return lambda expr: fetch(masked(expr, traced.sensitive_in(expr)))


def mask(rows: pa.Table, sensitive: Collection[str]) -> pa.Table:
    """Replace the values of sensitive columns by `***`; NULL stays NULL."""
    for index, name in enumerate(rows.column_names):
        if name in sensitive:
            hidden = pc.if_else(pc.is_null(rows.column(index)), None, MASK)
            rows = rows.set_column(index, name, hidden.cast(pa.string()))
    return rows
