"""The tables and views of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery
from ibis.backends.bigquery import Backend as IbisBigQuery

from pipeline.backends.bigquery import lock, runs, sources
from pipeline.backends.bigquery.errors import is_missing, told
from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.types import schema_of
from pipeline.contract import Model
from pipeline.errors import PipelineError
from pipeline.results import RunRecord

_LISTED = 100
"""The rows of a table that are listed to find days that have rows."""

PREFIX = "_building_"
"""The prefix of the tables that a build makes for itself."""


@dataclass(frozen=True)
class Dataset:
    """A dataset, with the connection to query it."""

    con: IbisBigQuery
    jobs: Jobs
    project: str
    name: str

    @property
    def full(self) -> str:
        """The dataset's name with its project."""
        return f"{self.project}.{self.name}"

    def full_name(self, table: str) -> str:
        """Return a table's name with project and dataset."""
        return f"{self.full}.{table}"

    def kinds(self) -> dict[str, str]:
        """Return the kind of each object by its name, such as TABLE or VIEW.

        It leaves out locks and the tables that builds make for themselves.
        """
        with told():
            listed = self.con.client.list_tables(self.full)
            kinds = {item.table_id: item.table_type for item in listed}
        ours = (PREFIX, lock.PREFIX)
        return {name: kind for name, kind in kinds.items() if not name.startswith(ours)}

    def describe(self) -> bigquery.Dataset:
        """Return BigQuery's description of the dataset."""
        with told():
            return self.con.client.get_dataset(self.full)

    def get(self, table: str) -> bigquery.Table:
        """Return BigQuery's description of a table that exists."""
        with told():
            return self.con.client.get_table(self.full_name(table))

    def has(self, table: str) -> bool:
        """Tell whether there is a table or view of this name."""
        try:
            self.get(table)
        except PipelineError as error:
            if not is_missing(error.__cause__):
                raise
            return False
        return True

    def create(self, table: bigquery.Table) -> bigquery.Table:
        """Make a view, or an empty table that compares texts exactly, whatever the default is.

        Raises:
            EngineError: BigQuery does not take the view's query.
        """
        if table.view_query is None:
            table._properties["defaultCollation"] = ""
        with told():
            return self.con.client.create_table(table)

    def update(self, table: bigquery.Table, *fields: str) -> bigquery.Table:
        """Change these fields of a table's description."""
        with told():
            return self.con.client.update_table(table, fields)

    def drop(self, table: str) -> None:
        """Remove a table, view or other object if it exists; this takes no job."""
        with told():
            self.con.client.delete_table(self.full_name(table), not_found_ok=True)

    def keep(self, table: str, description: str) -> None:
        """Give a new table a description and no expiry, whatever the dataset's default is."""
        found = self.get(table)
        if found.expires is None and found.description == description:
            return
        found.expires, found.description = None, description
        self.update(found, "expires", "description")

    def policies(self, table: str) -> list[str]:
        """Return the names of a table's row access policies."""
        path = f"/projects/{self.project}/datasets/{self.name}/tables/{table}/rowAccessPolicies"
        with told():
            found = self.con.client._connection.api_request(method="GET", path=path)
        listed = found.get("rowAccessPolicies", [])
        return [policy["rowAccessPolicyReference"]["policyId"] for policy in listed]


@dataclass(frozen=True)
class PublishedTables:
    """The published models of a dataset; it asks BigQuery once for each description."""

    charges_by_bytes: ClassVar[bool] = True

    dataset: Dataset
    described: dict[str, bigquery.Table] = field(default_factory=dict, init=False)
    """BigQuery's descriptions of tables and views so far."""

    @property
    def at_once(self) -> int:
        """The most jobs that may run at a time."""
        return self.dataset.jobs.at_once

    def cancel(self) -> None:
        """Cancel the running jobs, and let no new one begin."""
        self.dataset.jobs.cancel()

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The published objects at the time of the first request."""
        return self.dataset.kinds()

    def names(self) -> set[str]:
        """Return the names of all tables and views."""
        return set(self.kinds)

    def describe(self, name: str) -> bigquery.Table:
        """Return BigQuery's description of a table or view."""
        if name not in self.described:
            self.described[name] = self.dataset.get(name)
        return self.described[name]

    def table(self, name: str) -> ir.Table:
        """Return a table or view, with its own types."""
        found = self.describe(name)
        return sources.table(self.dataset.con, found, schema_of(found.schema))

    def is_view(self, name: str) -> bool:
        """Tell whether it is a view."""
        return bool(self.describe(name).table_type == "VIEW")

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression, for a model's checks if it is named."""
        return self.dataset.jobs.fetch(expr, **({"model": model} if model else {}))

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression to a Parquet file, a page at a time."""
        with pq.ParquetWriter(file, expr.schema().to_pyarrow()) as writer:
            for batch in self.dataset.jobs.batches(expr):
                writer.write_batch(batch)

    def listed(self, name: str, columns: Sequence[str], limit: int) -> pa.Table | None:
        """Return some rows of a table without a job, in no order; None if only a query can."""
        if self.is_view(name):
            return None
        try:
            return self._listed(name, columns, limit)
        except PipelineError:
            # BigQuery may list no rows of a table with row access policies; a query respects them,
            # and says what is wrong otherwise
            return None

    def _listed(self, name: str, columns: Sequence[str], limit: int) -> pa.Table:
        with told():
            rows = self.dataset.con.client.list_rows(
                self.describe(name),
                [field for field in self.describe(name).schema if field.name in columns],
                max_results=limit,
            )
            found = rows.to_arrow(create_bqstorage_client=False)
        types = {each: kind.to_pyarrow() for each, kind in self.table(name).schema().items()}
        return found.select(columns).cast(pa.schema([(each, types[each]) for each in columns]))

    def parts(self, model: Model, table: ir.Table) -> Iterator[ir.Table]:
        """Yield a view's rows of a few days, then all of it if there may be more.

        The days are those of the first rows of the table that the view reads: to list them is free.
        BigQuery bills a query only for the partitions between the times that it names.
        """
        for name in model.upstream if self.is_view(model.name) else ():
            layout = self.describe(name).time_partitioning if name in self.names() else None
            if layout is None or layout.field not in table.columns:
                continue
            listed = self._listed(name, [layout.field], _LISTED)
            days = sorted(at.date() for at in listed[layout.field].to_pylist() if at)
            if days:
                first = datetime.combine(days[0], time.min, UTC)
                last = datetime.combine(days[-1], time.max, UTC)
                yield table.filter(table[layout.field].between(first, last))
        yield table

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the records of the last published builds, the latest first."""
        if runs.RUNS not in self.names():
            return []
        return runs.latest(self.dataset.jobs, self.describe(runs.RUNS), limit)

    @cached_property
    def _last_run(self) -> RunRecord | None:
        return next(iter(self.runs(1)), None)

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, if there is one."""
        return self._last_run
