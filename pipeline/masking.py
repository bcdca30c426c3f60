"""Values that open doors are hidden wherever rows are shown (interface, section 3)."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

MASK = "***"


def mask(rows: pa.Table, sensitive: Collection[str]) -> pa.Table:
    """Replace the values of sensitive columns by `***`; NULL stays NULL."""
    for index, name in enumerate(rows.column_names):
        if name in sensitive:
            hidden = pc.if_else(pc.is_null(rows.column(index)), None, MASK)
            rows = rows.set_column(index, name, hidden.cast(pa.string()))
    return rows
