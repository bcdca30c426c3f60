"""Which kind a map item is of: all items of a kind are staged by one model."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.contract import Column
from pipeline.rules.items import COMMAND_ITEMS, READING_ITEMS

READING = "Reading"
"""The kind of all ten items by which a device reports its state."""

STAGED_KIND = Column(
    "staged_kind", "string", f"{', '.join(COMMAND_ITEMS)} or {READING} of a staged row, else NULL"
)
"""Whether a row is staged and by which model, in one column: cheap to filter by."""


def kind_of(item_key: ir.StringColumn) -> ir.StringColumn:
    """Return the kind of an ItemKey: itself for what carries a command's id, NULL out of scope."""
    return ibis.cases(
        (item_key.isin(READING_ITEMS), READING),
        (item_key.isin(COMMAND_ITEMS), item_key),
    )
