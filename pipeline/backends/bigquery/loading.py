"""The tables that a load fills before they replace the raw tables."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.cloud import bigquery
from ibis.backends.sql.datatypes import BigQueryType

from pipeline.backends.bigquery import partitions, storage
from pipeline.backends.bigquery.statements import Copied, insert, quoted, transaction
from pipeline.backends.bigquery.tables import Dataset
from pipeline.backends.bigquery.types import schema_of
from pipeline.backends.bigquery.workspace import LIFETIME
from pipeline.errors import EngineError, PipelineError, UsageError
from pipeline.sources import SOURCES, Source

if TYPE_CHECKING:
    from pipeline.files import Export

PREFIX = "_loading_"

DAY = "_scheduled_timestamp"
"""The column that partitions a new raw table by day: a load adds to a few days."""


@dataclass(frozen=True)
class BigQueryLoading:
    """The tables of one load, which expire by themselves."""

    dataset: Dataset
    run: str
    policy_tag: str | None = None
    loaded: dict[str, bigquery.Table] = field(default_factory=dict)
    """The table that holds each source's files until the load publishes them."""
    temporary: list[str] = field(default_factory=list)

    def add(self, exported: Export) -> None:
        """Load the files of one source into a table of its own.

        Raises:
            UsageError: no permission, or a quota is used up.
            EngineError: BigQuery can't load a file.
        """
        source = exported.source
        fields = fields_of(source, exported, self.policy_tag)
        table = self._beside(source.name, fields)
        self.loaded[source.name] = table
        for part in exported.parts:
            with part.open("rb") as content:
                self.dataset.jobs.load(content, _full(table), fields, run=self.run)

    def publish(self, *, append: bool) -> None:
        """Replace the rows of all raw tables, or add to them, in one moment.

        A raw table that exists keeps its layout, options and policies.

        Raises:
            UsageError: a view has a raw table's name, or a table would lose its policies.
            EngineError: BigQuery refuses; the raw tables stay as they were.
        """
        kinds = self.dataset.kinds()
        for source in self.loaded:
            if kinds.get(source, "TABLE") != "TABLE":
                raise UsageError(
                    f"{self.dataset.full_name(source)} is a {kinds[source].lower()}, no table.",
                    "Load into another dataset with --source-dataset, or drop it first.",
                )
        new = [source for source in self.loaded if source not in kinds]
        try:
            for source in new:
                self._make(source)
            for source in set(self.loaded).difference(new):
                self._require_columns(source)
            self._put(append)
        except BaseException:
            for source in new:
                with contextlib.suppress(PipelineError):
                    self.dataset.drop(source)
            raise

    def clear(self) -> None:
        """Remove all tables of this load."""
        for name in self.temporary:
            # a table that stays now expires; the error that ended the load matters more
            with contextlib.suppress(PipelineError):
                self.dataset.drop(name)

    def _put(self, append: bool) -> None:
        copies = [
            Copied(
                _full(table),
                self.dataset.full_name(source),
                [column.name for column in table.schema],
                append=append,
            )
            for source, table in self.loaded.items()
        ]
        try:
            self._run(copies)
        except EngineError as error:
            if not partitions.are_too_many(error):
                raise
            self._run([self._in_parts(each) for each in copies])

    def _run(self, copies: Sequence[Copied]) -> None:
        script = transaction(line for rows in copies for line in rows.statements())
        self.dataset.jobs.query(script, run=self.run)

    def _in_parts(self, rows: Copied) -> Copied:
        target = self.dataset.get(rows.target.rpartition(".")[2])
        if target.time_partitioning is None:
            return rows
        jobs = self.dataset.jobs
        return replace(rows, parts=partitions.parts_of(jobs, rows.source, target, run=self.run))

    def _make(self, source: str) -> None:
        """Make a missing raw table, still empty."""
        fields = self.loaded[source].schema
        table = bigquery.Table(self.dataset.full_name(source), fields)
        table.description = SOURCES[source].description
        if any(each.name == DAY and each.field_type == "TIMESTAMP" for each in fields):
            table.time_partitioning = storage.partitions(DAY)
        self.dataset.create(table)
        self.dataset.keep(source, table.description)

    def _require_columns(self, source: str) -> None:
        """Replace a raw table by an empty one if its columns or types are not the files'."""
        loaded, there = self.loaded[source], self.dataset.get(source)
        found = dict(schema_of(there.schema))
        wanted = dict(schema_of(loaded.schema))
        if all(found.get(name) == kind for name, kind in wanted.items()):
            return
        storage.require_unprotected(
            self.dataset, there, "the files have other columns or types than the table"
        )
        beside = self._beside(f"{source}_anew", loaded.schema, like=there)
        names = [column.name for column in loaded.schema]
        rows = f"SELECT * FROM {quoted(_full(loaded))}"
        self.dataset.jobs.query(insert(_full(beside), names, rows), run=self.run)
        self.dataset.jobs.copy(
            _full(beside), self.dataset.full_name(source), replace=True, run=self.run
        )

    def _beside(
        self,
        name: str,
        fields: Sequence[bigquery.SchemaField],
        like: bigquery.Table | None = None,
    ) -> bigquery.Table:
        made = f"{PREFIX}{self.run}_{name}"
        table = bigquery.Table(self.dataset.full_name(made), fields)
        table.expires = datetime.now(UTC) + LIFETIME
        if like is not None:
            table.time_partitioning = like.time_partitioning
            table.range_partitioning = like.range_partitioning
            table.clustering_fields = like.clustering_fields
        self.temporary.append(made)
        self.dataset.create(table)
        return table


def fields_of(
    source: Source, exported: Export, policy_tag: str | None = None
) -> list[bigquery.SchemaField]:
    """Return a raw table's columns as BigQuery fields; sensitive ones get the policy tag."""
    columns = {column.name: column for column in source.columns}
    tag = bigquery.PolicyTagList([policy_tag]) if policy_tag else None
    return [
        bigquery.SchemaField(
            name,
            BigQueryType.to_string(kind),
            description=columns[name].description,
            policy_tags=tag if columns[name].sensitive else None,
        )
        for name, kind in exported.schema.items()
    ]


def _full(table: bigquery.Table) -> str:
    return f"{table.project}.{table.dataset_id}.{table.table_id}"
