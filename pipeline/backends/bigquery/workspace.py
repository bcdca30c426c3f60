"""Where a build writes: tables beside the published ones that expire by themselves."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import ibis.expr.types as ir
import sqlglot.expressions as sge

from pipeline.backends.base import Made, RawTable
from pipeline.backends.bigquery import runs, statements
from pipeline.backends.bigquery.tables import PublishedTables
from pipeline.contract import Model
from pipeline.errors import EngineError, InputError, PipelineError
from pipeline.results import RunRecord, SourceRead
from pipeline.sources import Source
from pipeline.sql import to_query

LIFETIME = timedelta(days=1)
"""How long what a killed build left stays there; no build takes as long."""

PREFIX = "_building_"


def name_of_run() -> str:
    """Return a name for a build or load, in the order of time and never given twice."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%S}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Built:
    """A model that is built but not published: its table or view for now, and its query."""

    model: Model
    name: str
    query: sge.Query


@dataclass(frozen=True)
class BigQueryWorkspace(PublishedTables):
    """The published tables, and in their place those that this build has made already."""

    raw: Callable[[Source, Collection[str]], ir.Table]
    source_dataset: str
    run: str = field(default_factory=name_of_run)
    built: dict[str, Built] = field(default_factory=dict)
    obsolete: Sequence[str] = ()

    def names(self) -> set[str]:
        """Return the names of all tables and views, without what other builds are making."""
        there = {name for name in super().names() if not name.startswith(PREFIX)}
        return there.union(self.built)

    def table(self, name: str) -> ir.Table:
        """Return a model as this build made it, else as it is published."""
        return super().table(self.built[name].name if name in self.built else name)

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a raw table with the columns in use.

        Raises:
            InputError: there is no such table, it lacks a column, or it can't be read.
        """
        table = self.raw(source, columns)
        name = f"{self.dataset.project}.{self.source_dataset}.{source.name}"
        try:
            counted = self.dataset.jobs.rows(
                f"SELECT COUNT(*) AS number_of_rows FROM {statements.quoted(name)}"
            )
        except EngineError as error:
            raise InputError(
                f"{name} can't be read. {error.what}",
                "Load it again, or name another dataset with --source-dataset.",
            ) from error
        return RawTable(table, SourceRead((name,), int(counted.column(0)[0].as_py())))

    def create(self, model: Model, expr: ir.Table) -> Made:
        """Create the model's table or view under a name of this build.

        Raises:
            UsageError: permission, quota or --max-bytes-billed does not allow it.
            EngineError: BigQuery can't run the model's statement.
        """
        name = f"{PREFIX}{self.run}_{model.name}"
        query = to_query(expr, "bigquery")
        self.built[model.name] = Built(model, name, query)
        statement = self._statement(model, name, query, datetime.now(UTC) + LIFETIME)
        job = self.dataset.jobs.query(statement, model=model.name, run=self.run)
        is_view = model.materialized == "view"
        rows = None if is_view else int(self.dataset.get(name).num_rows)
        return Made(rows, job.total_bytes_processed or 0, job.total_bytes_billed or 0)

    def publish(self, record: RunRecord) -> None:
        """Put each table in the place of the published one, then the views, then the record."""
        kinds = self.dataset.kinds()
        views_last = sorted(
            self.built.values(), key=lambda built: built.model.materialized == "view"
        )
        for built in views_last:
            self._make_room(built, kinds.get(built.model.name))
            if built.model.materialized == "view":
                self._publish_view(built)
            else:
                source, target = map(self.dataset.full_name, (built.name, built.model.name))
                self.dataset.jobs.copy(source, target, model=built.model.name, run=self.run)
            self.dataset.keep(built.model.name, built.model.grain)
        runs.write(self.dataset.jobs, f"{self.dataset.project}.{self.dataset.name}", record)

    def clear(self) -> None:
        """Remove all that this build made under names of its own."""
        for built in self.built.values():
            # what can't be removed now expires; why the build ended is the better thing to tell
            with contextlib.suppress(PipelineError):
                self.dataset.drop(built.name, built.model.materialized.upper())

    def _statement(
        self, model: Model, name: str, query: sge.Query, expires: datetime | None = None
    ) -> str:
        sql = query.sql(statements.DIALECT, pretty=True)
        return statements.create(model, self.dataset.full_name(name), sql, expires)

    def _make_room(self, built: Built, kind: str | None) -> None:
        # BigQuery neither replaces a view by a table, or a table by a view, nor copies to a table
        # that is partitioned or clustered in another way
        wanted = built.model.materialized.upper()
        if kind is not None and (kind != wanted or self._stored_otherwise(built)):
            self.dataset.drop(built.model.name, kind)

    def _stored_otherwise(self, built: Built) -> bool:
        if built.model.materialized == "view":
            return False
        made, published = self.dataset.get(built.name), self.dataset.get(built.model.name)
        return (
            made.time_partitioning != published.time_partitioning
            or made.clustering_fields != published.clustering_fields
        )

    def _publish_view(self, built: Built) -> None:
        published = {other.name: name for name, other in self.built.items()}
        query = statements.renamed(built.query, published)
        statement = self._statement(built.model, built.model.name, query)
        self.dataset.jobs.query(statement, model=built.model.name, run=self.run)
