"""Values that open doors are hidden wherever rows are shown (interface, section 3)."""

from __future__ import annotations

from collections.abc import Collection

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

MASK = "***"


def masked(table: ir.Table, sensitive: Collection[str]) -> ir.Table:
    """Mask a table before anything is asked of it, so that no answer tells the values."""
    hidden = {
        name: ibis.cases((table[name].notnull(), MASK))
        for name in table.columns
        if name in sensitive
    }
    return table.mutate(**hidden) if hidden else table


def mask(rows: pa.Table, sensitive: Collection[str]) -> pa.Table:
    """Replace the values of sensitive columns by `***`; NULL stays NULL."""
    for index, name in enumerate(rows.column_names):
        if name in sensitive:
            hidden = pc.if_else(pc.is_null(rows.column(index)), None, MASK)
            rows = rows.set_column(index, name, hidden.cast(pa.string()))
    return rows
