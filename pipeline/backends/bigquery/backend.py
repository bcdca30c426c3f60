"""The BigQuery backend: a dataset to build models in and to read them from."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import google.api_core.retry as retries
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from google.api_core import exceptions
from google.cloud import bigquery
from ibis.backends.bigquery import Backend as IbisBigQuery

from pipeline.backends.base import Gone
from pipeline.backends.bigquery.connection import connect
from pipeline.backends.bigquery.errors import is_missing, told
from pipeline.backends.bigquery.estimate import estimates, estimates_of_batch
from pipeline.backends.bigquery.increment import BigQueryIncrement
from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.loading import BigQueryLoading
from pipeline.backends.bigquery.lock import locked
from pipeline.backends.bigquery.preflight import Preflight, preflight
from pipeline.backends.bigquery.runs import RUNS
from pipeline.backends.bigquery.session import BigQuerySession
from pipeline.backends.bigquery.sources import raw_table
from pipeline.backends.bigquery.statements import DIALECT
from pipeline.backends.bigquery.tables import Dataset, PublishedTables
from pipeline.backends.bigquery.types import schema_of
from pipeline.backends.bigquery.workspace import BigQueryWorkspace, name_of_run
from pipeline.errors import EngineError, InputError, UsageError
from pipeline.graph import Graph
from pipeline.results import Estimate, Loaded, Note, RunRecord
from pipeline.sources import SOURCES, Source
from pipeline.sql import Engine, Names, to_sql

_FIRST_CONTACT = retries.Retry(
    # an error without any answer is no reason to wait
    predicate=retries.if_exception_type(
        exceptions.TooManyRequests, exceptions.InternalServerError, exceptions.ServiceUnavailable
    ),
    timeout=60,
)


@dataclass(frozen=True)
class BigQuery:
    """A dataset of a project, and the dataset with the raw tables.

    `labels` go on every job, to find its costs in the bill. At most `threads` jobs run at a time.
    """

    project: str
    dataset: str
    source_dataset: str
    location: str | None = None
    api_endpoint: str | None = None
    max_bytes_billed: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    policy_tag: str | None = None
    threads: int = 8
    engine: Engine = "bigquery"

    @property
    def place(self) -> str:
        """The models' project and dataset."""
        return f"{self.project}.{self.dataset}"

    @property
    def namespaces(self) -> tuple[Names, Names]:
        """The models' project and dataset, and the raw tables'."""
        return (self.project, self.dataset), (self.project, self.source_dataset)

    @contextlib.contextmanager
    def workspace(
        self, names: Collection[str], *, keep: bool, gone: Gone = "refuse"
    ) -> Iterator[BigQueryWorkspace]:
        """Open a place beside the published tables, which stay until the build replaces them.

        Raises:
            UsageError: no credentials, no such project, no permission, nobody answers.
        """
        dataset, run = self._tables(self.require_dataset(self.dataset)), name_of_run()
        with locked(self.con.client, dataset.full, "build", run) as lock:
            workspace = BigQueryWorkspace(
                dataset,
                self._require_raw,
                lock.since,
                run,
                self.policy_tag,
                whole=() if keep else names,
            )
            try:
                yield workspace
            finally:
                workspace.clear()

    @contextlib.contextmanager
    def increment(self) -> Iterator[BigQueryIncrement]:
        """Hold the dataset, so no other build changes its tables.

        Raises:
            UsageError: as `workspace`.
        """
        dataset, run = self._tables(self.require_dataset(self.dataset)), name_of_run()
        with locked(self.con.client, dataset.full, "build", run) as lock:
            yield BigQueryIncrement(dataset, self._require_raw, lock.since, run, self.policy_tag)

    def for_all(self) -> BigQuery:
        """Return the same backend: its raw tables hold all events ever read."""
        return self

    @contextlib.contextmanager
    def reader(self) -> Iterator[PublishedTables]:
        """Open the published tables.

        Raises:
            UsageError: as `workspace`, or there is no such dataset.
        """
        yield self._open()

    @contextlib.contextmanager
    def session(self) -> Iterator[BigQuerySession]:
        """Open one connection for the published tables and the raw ones; it reads nothing yet."""
        yield BigQuerySession(self._open, self.raw, self._require_raw)

    @contextlib.contextmanager
    def sources(self, columns: Mapping[str, Collection[str]]) -> Iterator[dict[str, ir.Table]]:
        """Open the raw tables alone."""
        yield {name: self.raw(SOURCES[name], used) for name, used in columns.items()}

    def raw(self, source: Source, columns: Collection[str]) -> ir.Table:
        """Return a raw table with these columns.

        Raises:
            InputError: there is no such table, or it lacks one of the columns.
        """
        return raw_table(self.con, source, self._require_raw(source), columns)

    def raw_schema(self, source: str) -> ibis.Schema | None:
        """Return the types of a raw table, None if it does not exist yet."""
        found = self._raw(source)
        return None if found is None else schema_of(found.schema)

    @contextlib.contextmanager
    def loading(self) -> Iterator[BigQueryLoading]:
        """Open a place to load into, in the raw tables' dataset; make the dataset if missing.

        Raises:
            UsageError: as `workspace`.
        """
        dataset, run = self._tables(self.require_dataset(self.source_dataset)), name_of_run()
        with locked(self.con.client, dataset.full, "load", run):
            place = BigQueryLoading(dataset, run, self.policy_tag)
            try:
                yield place
            finally:
                place.clear()

    def load(self, inputs: Mapping[str, Sequence[str]], *, append: bool) -> list[Loaded]:
        """Load local files into the raw tables, all of them or none.

        Raises:
            UsageError: as `workspace`, or no files are named.
            InputError: a file can't be used, or does not fit the table it is added to.
        """
        from pipeline.backends.bigquery.load import load  # reads local files, with DuckDB

        return load(self, inputs, append=append)

    def estimates(
        self, graph: Graph, names: Sequence[str], *, incremental: bool = False
    ) -> Iterator[Estimate]:
        """Estimate the bytes that building each model would scan, on the published tables.

        Raises:
            UsageError: as `workspace`.
            InputError: a raw table is missing, or lacks a column that the models read.
        """
        return (estimates_of_batch if incremental else estimates)(graph, self, names)

    def preflight(self, graph: Graph, names: Sequence[str]) -> Iterator[Estimate | Note]:
        """Try every statement of a build on empty tables; see `preflight`.

        Raises:
            UsageError: as `workspace`.
            InputError: a raw table lacks a column that the models read.
        """
        there = self._exists(self.dataset)
        dataset = self._tables(self.require_dataset(self.dataset))
        tried = Preflight(
            dataset,
            self._require_raw,
            datetime.now(UTC),
            name_of_run(),
            self.policy_tag,
            find_raw=self._raw,
        )
        try:
            yield from preflight(graph, tried, names, made=not there)
        finally:
            tried.clear()

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, None if there is no dataset yet."""
        if RUNS not in self.built():
            return None
        with self.reader() as reader:
            return reader.last_run()

    def built(self) -> set[str]:
        """Return the names of the published tables, none if there is no dataset yet."""
        try:
            with self.reader() as reader:
                return reader.names()
        except UsageError as error:
            if not is_missing(error.__cause__):
                raise
            return set()

    def filtered(self, table: ir.Table, condition: sge.Expression) -> ir.Table:
        """Return the rows of a table for which a condition holds.

        Raises:
            UsageError: BigQuery does not understand the condition.
        """
        rows = self.con.compiler.to_sqlglot(table).subquery("rows_of_model")
        query = sge.select("*").from_(rows).where(condition).sql(DIALECT)
        try:
            self.jobs.bytes_scanned(query)
        except EngineError as error:
            raise UsageError(
                f"BigQuery does not take the condition: {error.what}",
                "Write one boolean expression over the model's columns.",
            ) from error
        return ops.SQLQueryResult(query, table.schema(), self.con).to_expr()

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression; types and names are those that it declares."""
        return self.jobs.fetch(expr)

    def bytes_billed(self, expr: ir.Table) -> int:
        """Return the bytes that BigQuery would bill for evaluating an expression; runs nothing."""
        return self.jobs.bytes_billed(to_sql(expr, self.engine))

    @cached_property
    def con(self) -> IbisBigQuery:
        """The connection, made when it is first needed."""
        return connect(self.project, self.dataset, self.location, self.api_endpoint)

    @cached_property
    def jobs(self) -> Jobs:
        """Runs jobs in the datasets' location."""
        labels = {"run": name_of_run(), **self.labels}
        return Jobs(self.con.client, self.location, self.max_bytes_billed, labels, self.threads)

    def require_dataset(self, name: str) -> bigquery.Dataset:
        """Return a dataset; make it in the raw tables' location if it is missing.

        Raises:
            UsageError: as `workspace`.
        """
        try:
            return self._find(name)
        except UsageError as error:
            if not is_missing(error.__cause__):
                raise
        wanted = bigquery.Dataset(f"{self.project}.{name}")
        if location := self.location or self._location_of_sources(name):
            wanted.location = location
        with told():
            return self.con.client.create_dataset(wanted, exists_ok=True, retry=_FIRST_CONTACT)

    def _exists(self, name: str) -> bool:
        try:
            self._find(name)
        except UsageError as error:
            if not is_missing(error.__cause__):
                raise
            return False
        return True

    def _location_of_sources(self, name: str) -> str | None:
        if name == self.source_dataset:
            return None
        try:
            return str(self._find(self.source_dataset).location)
        except UsageError as error:
            if not is_missing(error.__cause__):
                raise
            return None

    def _require_raw(self, source: Source) -> bigquery.Table:
        found = self._raw(source.name)
        if found is None:
            raise InputError(
                f"There is no table {self.project}.{self.source_dataset}.{source.name}.",
                "Fill it with `python cli.py load`, or name its dataset with --source-dataset.",
            )
        return found

    def _raw(self, name: str) -> bigquery.Table | None:
        try:
            with told():
                return self.con.client.get_table(f"{self.project}.{self.source_dataset}.{name}")
        except UsageError as error:
            if not is_missing(error.__cause__):
                raise
            return None

    def _open(self) -> PublishedTables:
        return PublishedTables(self._tables(self._find(self.dataset)))

    def _find(self, name: str) -> bigquery.Dataset:
        with told():
            return self.con.client.get_dataset(f"{self.project}.{name}", retry=_FIRST_CONTACT)

    def _tables(self, found: bigquery.Dataset) -> Dataset:
        # jobs must run in the dataset's location; BigQuery does not always find it by itself
        jobs = replace(self.jobs, location=self.location or found.location)
        return Dataset(self.con, jobs, self.project, found.dataset_id)
