"""An estimate of a build's cost, for an engine that bills the bytes that it scans."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from pipeline.arrivals import arrived
from pipeline.backends.base import Tables
from pipeline.backends.bigquery.days import DAYS, Ids, in_pairs, looked_up_in
from pipeline.backends.bigquery.load_days import STAMP
from pipeline.backends.bigquery.load_days import counting as counting_load_days
from pipeline.contract import Model, TableCheck, Within
from pipeline.counting import asks_anything, counting
from pipeline.errors import EngineError
from pipeline.expressions import columns_read, expression
from pipeline.graph import Graph
from pipeline.nullness import never_null
from pipeline.older import built_by_older_code
from pipeline.results import Estimate, RunRecord
from pipeline.schedule import all_at_once
from pipeline.sources import EVENTS, SOURCES
from pipeline.units import has_key_of_upstream, looked_up

_DAYS = 10
"""A batch touches ten times as large a share of the days as of the rows.

A new command changes the row of the device's last one, which may be weeks old.
"""
_LEAST = 200_000_000
"""The bytes billed to handle a model's changed rows alone, however few there are.

They take about ten statements of two tables, and BigQuery bills 10 MB a table at least.
"""


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
                        queries += [
                            in_pairs(published.table(name), ids)
                            for ids in looked_up_in(graph)
                            if ids.table == name and len(names) == len(graph.models)
                        ]
                return Estimate(name, sum(map(backend.bytes_billed, queries)))
            except EngineError as error:
                return Estimate(name, None, f"unknown: {error.what}")

        yield from all_at_once([partial(estimate, name) for name in names], backend.threads)


def estimates_of_batch(
    graph: Graph, backend: ChargesByBytes, names: Sequence[str]
) -> Iterator[Estimate]:
    """Estimate BigQuery's bill for an incremental build of the raw rows that are there now.

    The share of rows that is new is counted for free; `Batch` estimates the days that they touch.
    If the published build has no record of load days, the build is a full one.
    """
    run = backend.last_run()
    if run is None or (read := run.sources.get(EVENTS)) is None or read.days is None:
        yield from estimates(graph, backend, names)
        return
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(backend.sources({EVENTS: {STAMP}}))[EVENTS]
        published = stack.enter_context(backend.reader())
        # BigQuery counts a whole table for free
        (rows,) = backend.fetch(raw.aggregate(rows=raw.count()))["rows"].to_pylist()
        share = max(0, rows - read.rows) / rows if rows else 0
        batch = Batch(graph, published, backend.bytes_billed, share, run.indexed)

        def estimate(in_full: Estimate) -> Estimate:
            model = graph.models[in_full.name]
            if in_full.bytes is None or (share and batch.is_made_in_full(model)):
                return in_full
            try:
                found = batch.billed(model, in_full.bytes)
                if EVENTS in model.upstream:
                    found += backend.bytes_billed(counting_load_days(raw, read.watermark))
            except EngineError as error:
                return Estimate(model.name, None, f"unknown: {error.what}")
            return Estimate(model.name, found)

        in_full = estimates(graph, backend, names)
        yield from all_at_once([partial(estimate, each) for each in in_full], backend.threads)


@dataclass(frozen=True)
class Batch:
    """A batch of new rows: `share` of all raw rows, between 0 and 1.

    `bill` returns the bytes that BigQuery would bill for a query.
    """

    graph: Graph
    published: Tables
    bill: Callable[[ir.Table], int]
    share: float
    indexed: Collection[str] = ()
    """The names of the ids whose days BigQuery keeps apart."""

    def is_made_in_full(self, model: Model) -> bool:
        """Tell whether an incremental build makes all rows of a model."""
        return model.locality is None or bool(built_by_older_code(model, self.published))

    def billed(self, model: Model, in_full: int) -> int:
        """Return the bytes to bring a model up to date; `in_full` are those of a full build."""
        if not self.share:
            return 0
        if not isinstance(model.locality, Within):
            return int(self.share * in_full)
        if model.materialized == "view":
            return int(self.share * in_full) + _LEAST
        return (
            int(sum(part * self.bill(query) for part, query in self._scans(model, model.locality)))
            + _LEAST
        )

    @property
    def _days(self) -> float:
        """The share of the days that have changed rows."""
        return min(1.0, _DAYS * self.share)

    def _scans(self, model: Model, within: Within) -> Iterator[tuple[float, ir.Table]]:
        """Yield the queries of large tables, and the share of their rows that is in those days."""
        whole = self.published.table(model.name)
        # a unit that is no part of the key has rows on any day
        read = self._days if within.unit in model.key else 1.0
        is_by_day = model.partition_by is not None
        yield read, expression(model, self.published.table)
        yield read if is_by_day else 1.0, whole  # compared with the new rows
        yield self._days if is_by_day else 1.0, whole  # BigQuery bills a DELETE for all columns
        for name, column in looked_up(self.graph, model):
            yield 1.0, self._looked_up(name, column)
        if within.unit not in model.key and not has_key_of_upstream(self.graph, model):
            yield 1.0, whole.select(*dict.fromkeys((*model.key, within.unit)))
        for rule in self.graph.table_checks[model.name]:
            if rule.counted.issuperset(rule.reads):
                continue
            is_few = rule.near_day is not None or rule.within in model.key
            few = 1.0 if rule.within is None else self._days if is_few else read
            yield few, _broken(rule, self.published)

    def _looked_up(self, name: str, column: str) -> ir.Table:
        """Return the rows in which the build looks for the days of units."""
        day = self.graph.models[name].partition_by
        if day and (ids := Ids(name, column, day)).name in self.indexed:
            return self.published.table(DAYS).select(ids.name)
        return self.published.table(name).select(column, *([day] if day else []))


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
            yield _broken(rule, tables)


def _broken(rule: TableCheck, tables: Tables) -> ir.Table:
    """Return the query of the rows that break a rule."""
    return rule.function(
        *(0 if read in rule.counted else tables.table(read) for read in rule.reads)
    )


def _made(model: Model, expr: ir.Table) -> ir.Table:
    # a build stores a view without reading its rows, and then counts them
    return expr.aggregate(rows=expr.count()) if model.materialized == "view" else expr
