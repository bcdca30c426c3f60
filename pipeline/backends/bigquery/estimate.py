"""An estimate of a build's cost, for an engine that bills the bytes that it scans."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import ibis.expr.types as ir

from pipeline.backends.base import Tables
from pipeline.contract import Model
from pipeline.errors import EngineError
from pipeline.expressions import columns_read, expression
from pipeline.graph import Graph
from pipeline.results import Estimate
from pipeline.sources import SOURCES


class ChargesByBytes(Protocol):
    """A backend that can tell how much a query would scan, without running it."""

    def built(self) -> set[str]:
        """Return the names of the published tables, none if nothing is built yet."""
        ...

    def sources(
        self, columns: Mapping[str, Collection[str]]
    ) -> AbstractContextManager[Mapping[str, ir.Table]]:
        """Open the raw sources alone, with these columns of each."""
        ...

    def reader(self) -> AbstractContextManager[Tables]:
        """Open the published tables for reading."""
        ...

    def bytes_scanned(self, expr: ir.Table) -> int:
        """Return the bytes that evaluating an expression would scan; runs nothing."""
        ...


def estimates(graph: Graph, backend: ChargesByBytes, names: Sequence[str]) -> Iterator[Estimate]:
    """Estimate each model on the published tables, in dependency order; creates nothing.

    Raises:
        InputError: a raw table is missing, or lacks a column that the models read.
        UsageError: the backend can't be reached.
    """
    built = backend.built()
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(backend.sources(columns_read(graph, names)))
        published = stack.enter_context(backend.reader()) if built else None

        def table(upstream: str) -> ir.Table:
            if upstream in raw or published is None:
                return raw[upstream]
            return published.table(upstream)

        for name in names:
            model = graph.models[name]
            missing = [up for up in model.upstream if up not in built and up not in SOURCES]
            if missing:
                yield Estimate(name, None, f"unknown until {', '.join(missing)} is built")
                continue
            try:
                yield Estimate(name, backend.bytes_scanned(_work(model, expression(model, table))))
            except EngineError as error:
                yield Estimate(name, None, f"unknown: {error.what}")


def _work(model: Model, expr: ir.Table) -> ir.Table:
    # a build stores a view without reading its rows, and then counts them
    return expr.aggregate(rows=expr.count()) if model.materialized == "view" else expr
