"""The tables and views of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery
from ibis.backends.bigquery import Backend as IbisBigQuery

from pipeline.backends.bigquery import runs, sources
from pipeline.backends.bigquery.errors import told
from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.bigquery.statements import quoted
from pipeline.backends.bigquery.types import schema_of
from pipeline.results import RunRecord

_DROPPED_AS = {"EXTERNAL": "EXTERNAL TABLE", "SNAPSHOT": "SNAPSHOT TABLE", "CLONE": "TABLE"}


@dataclass(frozen=True)
class Dataset:
    """A dataset, with what is needed to ask it."""

    con: IbisBigQuery
    jobs: Jobs
    project: str
    name: str

    def full_name(self, table: str) -> str:
        """Return a table's name with project and dataset."""
        return f"{self.project}.{self.name}.{table}"

    def kinds(self) -> dict[str, str]:
        """Return whether each object is a TABLE or a VIEW, or what else, by its name."""
        with told():
            listed = self.con.client.list_tables(f"{self.project}.{self.name}")
            return {item.table_id: item.table_type for item in listed}

    def get(self, table: str) -> bigquery.Table:
        """Return what BigQuery says about a table that is there."""
        with told():
            return self.con.client.get_table(self.full_name(table))

    def drop(self, table: str, kind: str) -> None:
        """Remove a table, a view or what else, if it is there; `kind` is as in `kinds`."""
        what = _DROPPED_AS.get(kind, kind.replace("_", " "))
        self.jobs.query(f"DROP {what} IF EXISTS {quoted(self.full_name(table))}")

    def keep(self, table: str, description: str) -> None:
        """Let a published table stay, and say what it is."""
        # a copy may keep the old description, and a dataset may let all its tables expire
        found = self.get(table)
        if found.description == description and found.expires is None:
            return
        found.description, found.expires = description, None
        with told():
            self.con.client.update_table(found, ["description", "expires"])

    def expression(self, table: str) -> ir.Table:
        """Return a table, with the types that it has."""
        found = self.get(table)
        return sources.table(self.con, found, schema_of(found.schema))


@dataclass(frozen=True)
class PublishedTables:
    """The published models of a dataset."""

    dataset: Dataset

    def names(self) -> set[str]:
        """Return the names of all tables and views."""
        return set(self.dataset.kinds())

    def table(self, name: str) -> ir.Table:
        """Return a table or view."""
        return self.dataset.expression(name)

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression."""
        return self.dataset.jobs.fetch(expr)

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression to a Parquet file, a page at a time."""
        with pq.ParquetWriter(file, expr.schema().to_pyarrow()) as writer:
            for batch in self.dataset.jobs.batches(expr):
                writer.write_batch(batch)

    def last_run(self) -> RunRecord | None:
        """Return the record of the last build, if there is one."""
        if runs.RUNS not in self.names():
            return None
        return runs.last(self.dataset.jobs, f"{self.dataset.project}.{self.dataset.name}")
