"""The tables that a build writes to: beside the published ones, and expiring by themselves."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from google.cloud import bigquery

from pipeline.backends.base import Append, Made, RawTable
from pipeline.backends.bigquery import days, look, partitions, runs, storage
from pipeline.backends.bigquery.publishing import Built, publish, require_replaceable
from pipeline.backends.bigquery.sources import every_row, name_of, raw_table, used_fields
from pipeline.backends.bigquery.statements import (
    DIALECT,
    as_of,
    insert,
    parsed_apart,
    quoted,
    select,
)
from pipeline.backends.bigquery.tables import PREFIX, PublishedTables
from pipeline.contract import Model
from pipeline.errors import EngineError, InputError, PipelineError
from pipeline.graph import Graph
from pipeline.results import Read, RunRecord, SourceRead
from pipeline.schedule import all_at_once
from pipeline.sources import Source
from pipeline.sql import to_query

_GB = 1_000_000_000
LIFETIME = timedelta(days=1)
"""How long the tables of a killed build stay; no build takes as long."""


def name_of_run() -> str:
    """Return a unique name for a build or load; names sort by time."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%S}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class BigQueryWorkspace(PublishedTables):
    """The tables that this build has made so far, and the published ones for all others.

    Every statement reads the raw tables as they were at `moment`, so no table of the build has
    rows that another one lacks because they arrived meanwhile.
    """

    raw: Callable[[Source], bigquery.Table]
    moment: datetime
    run: str
    policy_tag: str | None = None
    built: dict[str, Built] = field(default_factory=dict)
    whole: Collection[str] = ()
    """The names of all models, if all are built: our other tables are left from earlier builds."""
    obsolete: Sequence[str] = ()
    held: set[str] = field(default_factory=set)
    """The raw tables that BigQuery can read as they were at the moment."""
    temporary: list[str] = field(default_factory=list)
    """The tables and views that this build made for itself."""
    notes: list[str] = field(default_factory=list)
    """Notes to the user, a line each."""

    def names(self) -> set[str]:
        """Return the names of all tables and views, without those that other builds are making."""
        return {*self.kinds, *self.built}

    def table(self, name: str) -> ir.Table:
        """Return a model's table of this build, else its published one."""
        return super().table(self.built[name].name if name in self.built else name)

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a raw table with the columns in use.

        Raises:
            InputError: there is no such table, it lacks a column, or it can't be read.
        """
        found = self.raw(source)
        name = name_of(found)
        try:
            if found.table_type == "TABLE":
                self.held.add(found.table_id)
                read = look.through(self.dataset, source, found, self.moment, self.run)[0]
            else:
                found, rows = self._copied(source, found, columns)
                read = SourceRead((name,), rows)
        except EngineError as error:
            raise InputError(
                f"{name} can't be read. {error.what}",
                "Load it again, or name another dataset with --source-dataset.",
            ) from error
        table = raw_table(self.dataset.con, source, found, columns)
        return RawTable(table, read, Read(source.name, (name,), read.rows))

    def memory(self) -> None:
        """Return None: BigQuery sets a statement no limit that we know."""

    def create(
        self, model: Model, expr: ir.Table, fill: Callable[[Append], None] = lambda append: None
    ) -> Made:
        """Create the model's table or view under a name of this build.

        Raises:
            UsageError: permission, quota or --max-bytes-billed does not allow it, or the published
                table is protected and can't be replaced.
            EngineError: BigQuery can't run the model's statement.
        """
        name = self._temporary(model.name)
        query = to_query(expr, "bigquery")
        if model.materialized == "view":
            self._view(model, name, query)
            return Made(None, 0, 0)
        return self._fill(model, name, query)

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression, for a model's checks if it is named."""
        return self.dataset.jobs.fetch(expr, run=self.run, **({"model": model} if model else {}))

    def publish(self, record: RunRecord) -> Sequence[str]:
        """Replace all published tables in one moment, with the record.

        Returns notes on builds that published meanwhile, and on our tables that no model makes any
        more: the build does not drop them, because others may read them.

        Raises:
            EngineError: another build was published meanwhile, and this one is partial: its record
                would not tell of the other one's models.
        """
        others, left = all_at_once([self._published_since, self._left], self.at_once)
        alone = [runs.require_none_since(self.dataset.full, self.moment)]
        before = alone if record.mode == "partial" else ()
        record, pairs = self._with_days(record)
        job = publish(self.dataset, self.kinds, self.built, record, self.run, before, pairs)
        said = [
            f"The build {other} was published since this one began: this one replaces its tables"
            " of these models."
            for other in others
        ]
        if left:
            names = ", ".join(left)
            said.append(f"No model makes {names} any more, an earlier build did: drop by hand.")
        return [*said, self._bill(job)]

    def _with_days(self, record: RunRecord) -> tuple[RunRecord, list[str]]:
        """Return the record with the ids whose days are known, and the statements that add pairs.

        A full build makes the table of days anew.
        """
        if record.mode == "full":
            ids = days.looked_up_in(Graph(each.model for each in self.built.values()))
            names = tuple(each.name for each in ids)
            statements = days.emptying(self.dataset, self.kinds, ids)
        else:
            names, statements = self._indexed, []
            ids = [*days.named(self._known_models(), names).values()]
        came = [(self._came(each.table), each) for each in ids]
        statements += [
            days.adding(self.dataset, rows, each) for rows, each in came if rows is not None
        ]
        return replace(record, indexed=names), statements

    @property
    def _indexed(self) -> tuple[str, ...]:
        """The names of the ids whose days the published table of days has."""
        previous = self.last_run() if days.DAYS in self.kinds else None
        return previous.indexed if previous else ()

    def _known_models(self) -> Iterable[Model]:
        return [each.model for each in self.built.values()]

    def _came(self, name: str) -> ir.Table | None:
        """Return the rows of a published table that this build puts there, None for no rows."""
        if name not in self.built:
            return None
        # the published table, because the build's own may have taken its place by then
        place, model = self.dataset.full_name(name), self.built[name].model
        where = every_row(found) if (found := self._published(model)) else ""
        query = f"SELECT * FROM {quoted(place)}" + (f" WHERE {where}" if where else "")
        return ops.SQLQueryResult(query, model.schema, self.dataset.con).to_expr()

    def _bill(self, publishing: bigquery.QueryJob) -> str:
        published, billed = publishing.total_bytes_billed or 0, sum(self.dataset.jobs.billed)
        return (
            f"Published in one moment. Billed: {billed / _GB:,.2f} GB in all, checks included,"
            f" {published / _GB:,.2f} of it to publish."
        )

    def _published_since(self) -> list[str]:
        if runs.RUNS not in self.kinds:
            return []
        return runs.published_since(self.dataset.jobs, self.describe(runs.RUNS), self.moment)

    def _left(self) -> list[str]:
        if not self.whole or runs.RUNS not in self.kinds:
            return []
        made = runs.models_ever_made(self.dataset.jobs, self.describe(runs.RUNS))
        return sorted(made.intersection(self.kinds).difference(self.whole))

    def clear(self) -> None:
        """Remove all objects that this build made for itself."""
        all_at_once([partial(self._drop, name) for name in self.temporary], self.at_once)

    def _drop(self, name: str) -> None:
        # a table that stays now expires; the error that ended the build matters more
        with contextlib.suppress(PipelineError):
            self.dataset.drop(name)

    def _view(self, model: Model, name: str, query: sge.Query) -> None:
        """Make a view only for this build; unlike CREATE VIEW this takes no job."""
        view = bigquery.Table(self.dataset.full_name(name))
        view.view_query = query.sql(DIALECT, pretty=True)
        view.expires = self._expiry()
        self.built[model.name] = Built(model, name, self.dataset.create(view), query)

    def _make(self, model: Model, name: str, query: sge.Query) -> bigquery.Table:
        """Make a model's table, still empty."""
        published = self._published(model)
        tags = storage.tags_of(published) if published else self._tags(model)
        table = storage.table_of(
            model, self.dataset.full_name(name), tags=tags, expires=self._expiry()
        )
        if published is not None:
            require_replaceable(self.dataset, model, published, table)
        self.described[name] = self.dataset.create(table)
        self.built[model.name] = Built(model, name, self.described[name], query)
        return table

    def _fill(self, model: Model, name: str, query: sge.Query) -> Made:
        table = self._make(model, name, query)
        query, before = self.parsed(model, query)
        sql = as_of(query, self.held, self.moment).sql(DIALECT, pretty=True)
        try:
            job = self._insert(model, name, sql)
        except EngineError as error:
            if not partitions.are_too_many(error):
                raise
            return self._fill_by_parts(model, table, sql, before)
        return _made([*before, job], job.num_dml_affected_rows)

    def parsed(
        self, model: Model, query: sge.Query
    ) -> tuple[sge.Query, Sequence[bigquery.QueryJob]]:
        """Parse JSON by a statement of its own if the model asks for it; return the rest."""
        if not model.parsed_apart:
            return query, ()
        place = self.dataset.full_name(self._temporary(f"{model.name}_parsed"))
        first, rest = parsed_apart(query, place)
        sql = as_of(first, self.held, self.moment).sql(DIALECT, pretty=True)
        table = bigquery.Table(place, self.dataset.jobs.columns(sql))
        table.expires = self._expiry()
        self.dataset.create(table)
        names = [field.name for field in table.schema]
        return rest, self._run(model, insert(place, names, sql))

    def _run(self, model: Model, statement: str) -> Sequence[bigquery.QueryJob]:
        return [self.dataset.jobs.query(statement, model=model.name, run=self.run)]

    def _fill_by_parts(
        self, model: Model, table: bigquery.Table, sql: str, before: Sequence[bigquery.QueryJob]
    ) -> Made:
        built, jobs = self.built[model.name], self.dataset.jobs
        aside = self._temporary(f"{model.name}_aside")
        loose = bigquery.Table(self.dataset.full_name(aside), table.schema)
        loose.expires = self._expiry()
        # then a range of days reads only its own rows
        loose.clustering_fields = [model.partition_by]
        self.dataset.create(loose)
        labels = {"model": model.name, "run": self.run}
        filled = [self._insert(model, aside, sql)]
        place = self.dataset.full_name(aside)
        parts = partitions.parts_of(jobs, place, table, **labels)
        for part in parts:
            filled.append(self._insert(model, built.name, f"SELECT * FROM {quoted(place)}", part))
        self.built[model.name] = replace(built, parts=tuple(parts))
        return _made([*before, *filled], filled[0].num_dml_affected_rows)

    def _insert(self, model: Model, name: str, sql: str, where: str = "") -> bigquery.QueryJob:
        place = self.dataset.full_name(name)
        (job,) = self._run(model, insert(place, model.schema.names, sql, where))
        return job

    def _copied(
        self, source: Source, found: bigquery.Table, columns: Collection[str]
    ) -> tuple[bigquery.Table, int]:
        """Copy a view or external table: BigQuery can read only a table as it was at a moment."""
        there = used_fields(source, found, columns).values()
        used = [field for field in there if field is not None]
        name = self._temporary(source.name)
        table = bigquery.Table(self.dataset.full_name(name), used)
        table.expires = self._expiry()
        self.dataset.create(table)
        fields = [field.name for field in used]
        query = select(
            [sge.column(field, quoted=True) for field in fields], name_of(found), every_row(found)
        )
        statement = insert(self.dataset.full_name(name), fields, query.sql(DIALECT))
        job = self.dataset.jobs.query(statement, model=source.name, run=self.run)
        self.notes.append(
            f"{name_of(found)} is a {found.table_type.lower().replace('_', ' ')}, which BigQuery"
            " can't hold still: the build read it once, into a table of its own."
        )
        return table, int(job.num_dml_affected_rows or 0)

    def _published(self, model: Model) -> bigquery.Table | None:
        is_table = self.kinds.get(model.name) == "TABLE"
        return self.describe(model.name) if is_table else None

    def _tags(self, model: Model) -> storage.Tags:
        """Return the policy tags for a new table of a model."""
        if self.policy_tag is None:
            return {}
        return {name: [self.policy_tag] for name in sorted(model.sensitive)}

    def _temporary(self, name: str) -> str:
        made = f"{PREFIX}{self.run}_{name}"
        self.temporary.append(made)
        return made

    def _expiry(self) -> datetime:
        return datetime.now(UTC) + LIFETIME


def _made(jobs: Sequence[bigquery.QueryJob], rows: int | None) -> Made:
    return Made(
        rows or 0,
        sum(job.total_bytes_processed or 0 for job in jobs),
        sum(job.total_bytes_billed or 0 for job in jobs),
    )
