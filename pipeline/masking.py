"""Masks values that open doors, in fetched rows and in an engine's messages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pyarrow as pa

import pipeline.lineage as lineage
from pipeline.engine_text import MASK, without_values
from pipeline.graph import Graph


@dataclass(frozen=True)
class Masking:
    """Masks the sensitive values of a graph's models; with `reveal`, it masks nothing."""

    graph: Graph
    reveal: bool = False

    def rows(self, expr: ir.Table, like: ir.Table | None = None) -> ir.Table:
        """Mask the columns of an expression that have values of sensitive ones.

        No query of the result reveals them. `like` is the same expression on declared models, for
        an expression on tables without a model's name.
        """
        if self.reveal:
            return expr
        return masked(expr, lineage.of(self.graph).sensitive_in(expr if like is None else like))

    def text(self, model: str, text: str) -> str:
        """Mask the values in an engine's message about a model that reads sensitive columns."""
        if self.reveal or not lineage.of(self.graph).reads_sensitive(model):
            return text
        models = self.graph.models
        names = {*models, *(column.name for each in models.values() for column in each.columns)}
        return without_values(text, names)


def masked(table: ir.Table, sensitive: Collection[str]) -> ir.Table:
    """Replace the values of these columns by `***`; NULL stays NULL."""
    hidden = {
        name: ibis.cases((table[name].notnull(), MASK))
        for name in table.columns
        if name in sensitive
    }
    return table.mutate(**hidden) if hidden else table


def hidden(rows: pa.Table, sensitive: Collection[str]) -> pa.Table:
    """Replace the values of these columns by `***`, in rows at hand; NULL stays NULL."""
    for number, name in enumerate(rows.column_names):
        if name in sensitive:
            masks = [None if value is None else MASK for value in rows[name].to_pylist()]
            rows = rows.set_column(number, name, pa.array(masks, pa.string()))
    return rows
