"""Tries every statement of a build on empty tables, for free: for the first hour on a project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import ibis.expr.types as ir
import sqlglot.expressions as sge
from google.cloud import bigquery
from ibis.backends.bigquery.datatypes import BigQuerySchema

from pipeline.backends.base import Made, RawTable
from pipeline.backends.bigquery.estimate import checks_of
from pipeline.backends.bigquery.sources import name_of, raw_table
from pipeline.backends.bigquery.statements import DIALECT, as_of, insert
from pipeline.backends.bigquery.workspace import BigQueryWorkspace
from pipeline.contract import Model
from pipeline.errors import EngineError
from pipeline.expressions import columns_read, expression
from pipeline.graph import Graph
from pipeline.results import Estimate, Note, Read, SourceRead
from pipeline.sources import SOURCES, Source
from pipeline.sql import to_sql

_DAY_IN_MS = 86_400_000


@dataclass(frozen=True)
class Preflight(BigQueryWorkspace):
    """A workspace whose tables stay empty: BigQuery plans each statement and runs none."""

    find_raw: Callable[[str], bigquery.Table | None] = lambda name: None
    scanned: dict[str, int] = field(default_factory=dict)
    """The bytes that BigQuery would bill for each model's statements."""

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a raw table, or an empty one of the declared columns if there is none yet.

        Raises:
            InputError: the table lacks a column.
        """
        found = self.find_raw(source.name)
        if found is None:
            name = self.dataset.full_name(self._temporary(source.name))
            found = bigquery.Table(name, BigQuerySchema.from_ibis(source.schema))
            found.expires = self._expiry()
            self.dataset.create(found)
        elif found.table_type == "TABLE":
            self.held.add(found.table_id)
        table = raw_table(self.dataset.con, source, found, columns)
        inputs, rows = (name_of(found),), found.num_rows or 0
        return RawTable(table, SourceRead(inputs, rows), Read(source.name, inputs, rows))

    def plan(self, model: Model, expr: ir.Table) -> None:
        """Let BigQuery plan one more query for a model.

        Raises:
            EngineError: BigQuery can't run it; the query may be too complex.
        """
        self._plan(model, to_sql(expr, "bigquery"))

    def _fill(self, model: Model, name: str, query: sge.Query) -> Made:
        self._make(model, name, query)
        query, _ = self.parsed(model, query)
        sql = as_of(query, self.held, self.moment).sql(DIALECT, pretty=True)
        self._plan(model, insert(self.dataset.full_name(name), model.schema.names, sql))
        return Made(0)

    def _run(self, model: Model, statement: str) -> Sequence[bigquery.QueryJob]:
        self._plan(model, statement)
        return ()

    def _plan(self, model: Model, sql: str) -> None:
        bytes_billed = self.dataset.jobs.bytes_billed(sql, model=model.name, run=self.run)
        self.scanned[model.name] = self.scanned.get(model.name, 0) + bytes_billed


def preflight(
    graph: Graph, workspace: Preflight, names: Sequence[str], made: bool
) -> Iterator[Estimate | Note]:
    """Try all statements of a build of these models; `made` tells whether the dataset is new.

    Yields notes on the dataset, then each model's bytes, or why BigQuery can't run a statement.

    Raises:
        InputError: a raw table lacks a column.
        UsageError: no permission.
    """
    yield from map(Note, _place(workspace, made))
    columns = columns_read(graph, names)
    raw: dict[str, ir.Table] = {}
    for source in graph.sources_of(names):
        read = workspace.read_source(SOURCES[source], columns[source])
        raw[source] = read.table
        (where,) = read.read.inputs
        rows = f"{read.read.rows:,} rows" if where.endswith(f".{source}") else "not there yet"
        yield Note(f"{source}: {rows}")
    for name in names:
        model = graph.models[name]
        try:
            workspace.create(
                model, expression(model, lambda up: raw[up] if up in raw else workspace.table(up))
            )
            for query in checks_of(graph, workspace, model):
                workspace.plan(model, query)
        except EngineError as error:
            yield Estimate(name, None, f"ERROR {error.what}")
        else:
            yield Estimate(name, workspace.scanned.get(name, 0))


def _place(workspace: Preflight, made: bool) -> Iterator[str]:
    dataset = workspace.dataset
    found = dataset.describe()
    state = "made now" if made else "there"
    yield f"Dataset {dataset.full}: {state}, in {found.location or 'an unknown location'}."
    if expires := found.default_partition_expiration_ms:
        yield (
            f"Its partitions expire after {expires // _DAY_IN_MS} days by default. The tables of a"
            " build say that theirs never do; in the sandbox, without billing, they do all the"
            " same: switch billing on."
        )
    if expires := found.default_table_expiration_ms:
        yield f"Its tables expire after {expires // _DAY_IN_MS} days by default; a build's stay."
    if found._properties.get("defaultCollation"):
        yield "It compares texts without case by default; a build's tables compare exactly."
    yield "Time zone: every job says UTC, whatever the project's default is."
