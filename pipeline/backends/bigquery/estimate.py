"""An estimate of a build's cost, for an engine that bills the bytes that it scans."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from pipeline.arrivals import arrived
from pipeline.backends.base import Tables
from pipeline.backends.bigquery.load_days import STAMP
from pipeline.backends.bigquery.load_days import counting as counting_load_days
from pipeline.contract import Model, Within
from pipeline.counting import asks_anything, counting
from pipeline.errors import EngineError
from pipeline.expressions import columns_read, expression
from pipeline.graph import Graph
from pipeline.nullness import never_null
from pipeline.older import built_by_older_code
from pipeline.results import Estimate, RunRecord
from pipeline.schedule import all_at_once
from pipeline.sources import EVENTS, SOURCES


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

    def bytes_billed(self, expr: ir.Table) -> int:
        """Return the bytes that BigQuery would bill for evaluating an expression; runs nothing."""
        ...

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression."""
        ...

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build."""
        ...

    @property
    def threads(self) -> int:
        """The most jobs that may run at a time."""
        ...


def estimates(graph: Graph, backend: ChargesByBytes, names: Sequence[str]) -> Iterator[Estimate]:
    """Estimate BigQuery's bill for each model of a build, on the published tables.

    It covers making, checking and publishing the model. Creates nothing. If a model is not built
    yet, the bill of its checks is unknown.

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

        def estimate(name: str) -> Estimate:
            model = graph.models[name]
            missing = [up for up in model.upstream if up not in built and up not in SOURCES]
            if missing:
                return Estimate(name, None, f"unknown until {', '.join(missing)} is built")
            try:
                queries = [_made(model, expression(model, table))]
                if published and name in built and not built_by_older_code(model, published):
                    queries = [*checks_of(graph, published, model)]
                    if model.materialized == "table":
                        # made, and read once more to be published
                        queries += [expression(model, table), published.table(name)]
                return Estimate(name, sum(map(backend.bytes_billed, queries)))
            except EngineError as error:
                return Estimate(name, None, f"unknown: {error.what}")

        yield from all_at_once([partial(estimate, name) for name in names], backend.threads)


def estimates_of_batch(
    graph: Graph, backend: ChargesByBytes, names: Sequence[str]
) -> Iterator[Estimate]:
    """Estimate BigQuery's bill for an incremental build of the raw rows that are there now.

    A model that follows its upstream's changes reads a share of all rows, the share that is new,
    and one narrow column to find the days of what it changes. A batch that touches all days costs
    more. If the published build has no record of load days, the build is a full one.
    """
    run = backend.last_run()
    read = run.sources.get(EVENTS) if run else None
    if read is None or read.days is None:
        yield from estimates(graph, backend, names)
        return
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(backend.sources({EVENTS: {STAMP}}))[EVENTS]
        published = stack.enter_context(backend.reader())
        # BigQuery counts a whole table for free
        (rows,) = backend.fetch(raw.aggregate(rows=raw.count()))["rows"].to_pylist()
        share = max(0, rows - read.rows) / rows if rows else 0
        for each in estimates(graph, backend, names):
            model = graph.models[each.name]
            if each.bytes is None or (share and model.locality is None):
                yield each
                continue
            found = int(share * each.bytes)
            if EVENTS in model.upstream:
                found += backend.bytes_billed(counting_load_days(raw, read.watermark))
            elif share and isinstance(model.locality, Within) and model.materialized == "table":
                columns = dict.fromkeys([model.locality.unit, model.partition_by])
                narrow = published.table(each.name).select(*filter(None, columns))
                found += backend.bytes_billed(narrow)
            yield Estimate(each.name, found)


def checks_of(graph: Graph, tables: Tables, model: Model) -> Iterator[ir.Table]:
    """Return the queries that a build sends to look at a model, if no check of it fails."""
    built = tables.table(model.name)
    more = arrived(model.arrivals, built, datetime.now(UTC)) if model.arrivals else {}
    certain = never_null(graph, model.name)
    # a view's rows are counted in any case
    if model.materialized == "view" or more or asks_anything(model, certain):
        yield counting(model, built, certain, more)
    there = tables.names()
    for rule in graph.table_checks[model.name]:
        if all(read in there or read in rule.counted for read in rule.reads):
            yield rule.function(
                *(0 if read in rule.counted else tables.table(read) for read in rule.reads)
            )


def _made(model: Model, expr: ir.Table) -> ir.Table:
    # a build stores a view without reading its rows, and then counts them
    return expr.aggregate(rows=expr.count()) if model.materialized == "view" else expr
