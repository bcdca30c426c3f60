"""Column lineage: the origins of each column, read off the Ibis trees of the models.

An origin counts by *value* if its values go into the column. Otherwise it *only decides*: which
rows there are, their order or group, or which of several values the column has. A parsed JSON
document counts by its members; a struct, or an array of structs, by its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline.contract import Model
from pipeline.errors import ContractError
from pipeline.expressions import declared_expression
from pipeline.graph import Graph
from pipeline.lineage.origins import Made, Origin, Rows, either, table_rows, unique
from pipeline.lineage.tables import trace
from pipeline.sources import SOURCES

__all__ = ["Lineage", "Made", "Origin", "Rows", "of", "trace"]


class Lineage:
    """The lineage of a graph's models, each read off its tree at first use."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._direct = cache(lambda name: self._made(name, self._table))
        self._full = cache(lambda name: self._made(name, self._from_sources))
        self._guarded = cache(self._guard)
        self._reads = cache(self._reads_sensitive)

    def direct(self, model: str) -> dict[str, Made]:
        """Return each column's origins in the tables that the model reads."""
        return self._direct(model).lineage

    def full(self, model: str) -> dict[str, Made]:
        """Return each column's origins in the sources."""
        return self._full(model).lineage

    def sensitive(self, model: str) -> frozenset[str]:
        """Return the columns of a model whose values every command masks.

        They are those declared sensitive, and those with values from a sensitive column, unless the
        declaration says why they are not sensitive (interface, section 3).
        """
        return _sensitive(self._guarded(model))

    def reads_sensitive(self, model: str) -> bool:
        """Tell whether a model reads a sensitive column, by itself or through a view."""
        return self._reads(model)

    def resolved(self, model: str) -> Model:
        """Return the model with `sensitive` set on each such column, by declaration or origin."""
        declared, sensitive = self._graph.models[model], self.sensitive(model)
        if sensitive == declared.sensitive:
            return declared
        columns = (replace(each, sensitive=each.name in sensitive) for each in declared.columns)
        return replace(declared, columns=tuple(columns))

    def sensitive_origins(self, model: str, column: str) -> list[str]:
        """Return the upstream columns that give a column its sensitive values."""
        made = self.direct(model)[column]
        return sorted(str(origin) for origin in made.value if self._is_sensitive(origin))

    def sensitive_in(self, expr: ir.Table) -> frozenset[str]:
        """Return the columns of an expression that hold sensitive values of its models."""
        return _sensitive(trace(expr, self._by_name))

    def _made(self, name: str, table: Callable[[str], Rows]) -> Rows:
        model = self._graph.models[name]
        rows = trace(declared_expression(self._graph, name), table)
        return replace(rows, keys=unique(model.key))

    def _table(self, name: str) -> Rows:
        model = self._graph.models.get(name)
        if model is None:
            return table_rows(name, SOURCES[name].schema)
        return table_rows(name, model.schema, model.key)

    def _from_sources(self, name: str) -> Rows:
        return self._table(name) if name in SOURCES else self._full(name)

    def _reads_sensitive(self, name: str) -> bool:
        models = self._graph.models
        try:
            fields = declared_expression(self._graph, name).op().find(ops.Field)
        except ContractError:
            return True
        read = {
            Origin(field.rel.name, field.name)
            for field in fields
            if isinstance(field.rel, ops.UnboundTable)
        }
        views = [
            each
            for each in models[name].upstream
            if each in models and models[each].materialized == "view"
        ]
        return (
            bool(self.sensitive(name))
            or any(map(self._is_sensitive, read))
            or any(map(self.reads_sensitive, views))
        )

    def _is_sensitive(self, origin: Origin) -> bool:
        if origin.table in SOURCES:
            return _opens(origin)
        return origin.column in self.sensitive(origin.table)

    def _by_name(self, name: str) -> Rows:
        if name in self._graph.models:
            return self._guarded(name)
        # no column of an unknown table is known to be harmless
        return self._table(name) if name in SOURCES else Rows({})

    def _guard(self, name: str) -> Rows:
        """Return a model's rows with the sensitive origins that its declaration implies."""
        model = self._graph.models[name]
        try:
            rows = self._made(name, self._by_name)
        except ContractError:
            # its function can't be traced: any column may come from any other
            upstream = [self._by_name(table) for table in model.upstream]
            made = either(made for rows in upstream for made in rows.columns.values()).computed()
            rows = Rows(dict.fromkeys((column.name for column in model.columns), made))
        columns = dict(rows.columns)
        for column in model.columns:
            if column.sensitive:
                columns[column.name] = Made(frozenset({Origin(name, column.name)}), is_whole=True)
            elif column.not_sensitive:
                columns[column.name] = Made()
        return replace(rows, columns=columns)


@cache
def of(graph: Graph) -> Lineage:
    """Return the lineage of a graph, the same object each time."""
    return Lineage(graph)


def _sensitive(rows: Rows) -> frozenset[str]:
    return frozenset(name for name, made in rows.columns.items() if any(map(_opens, made.value)))


def _opens(origin: Origin) -> bool:
    source = SOURCES.get(origin.table)
    return source is None or source.is_sensitive(origin.column, origin.path)
