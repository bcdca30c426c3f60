"""The jobs that BigQuery is asked to run: labelled, limited in bytes, and waited for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import ibis.expr.types as ir
import pyarrow as pa
from google.cloud import bigquery

from pipeline.backends.bigquery.errors import told
from pipeline.sql import to_sql

_NOT_IN_LABELS = re.compile(r"[^a-z0-9_-]")
_LONGEST_LABEL = 63


@dataclass(frozen=True)
class Jobs:
    """Runs jobs through a client.

    What Google says is safe to send again is sent again, by the client's own rules: requests that
    met passing trouble, and queries that failed by BigQuery's fault.
    """

    client: bigquery.Client
    location: str | None
    max_bytes_billed: int | None
    labels: Mapping[str, str] = field(default_factory=dict)

    def query(self, sql: str, **labels: str) -> bigquery.QueryJob:
        """Run a statement to its end.

        Raises:
            UsageError, EngineError: see `told`.
        """
        config = self._query_config(labels)
        with told():
            job = self.client.query(sql, config, location=self.location)
            job.result()
            return job

    def rows(self, sql: str, **labels: str) -> pa.Table:
        """Return the result of a query, by REST: the storage API asks for one more permission."""
        config = self._query_config(labels)
        with told():
            result = self.client.query(sql, config, location=self.location).result()
            return result.to_arrow(create_bqstorage_client=False)

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression; types and names are those that it declares."""
        return self.rows(to_sql(expr, "bigquery")).cast(expr.schema().to_pyarrow())

    def batches(self, expr: ir.Table) -> Iterator[pa.RecordBatch]:
        """Evaluate an expression a page at a time; types and names are those that it declares."""
        schema = expr.schema().to_pyarrow()
        with told():
            job = self.client.query(
                to_sql(expr, "bigquery"), self._query_config({}), location=self.location
            )
            for batch in job.result().to_arrow_iterable():
                yield from pa.Table.from_batches([batch]).cast(schema).to_batches()

    def bytes_scanned(self, sql: str, **labels: str) -> int:
        """Return the bytes that a query would scan; runs nothing."""
        config = self._query_config(labels, dry_run=True, use_query_cache=False)
        with told():
            job = self.client.query(sql, config, location=self.location)
            return int(job.total_bytes_processed or 0)

    def copy(self, source: str, target: str, *, append: bool = False, **labels: str) -> None:
        """Put a table in the place of another, or append it, in one atomic step."""
        config = bigquery.CopyJobConfig(
            write_disposition="WRITE_APPEND" if append else "WRITE_TRUNCATE",
            labels=self._labels(labels),
        )
        with told():
            self.client.copy_table(
                source, target, location=self.location, job_config=config
            ).result()

    def load(
        self,
        content: BinaryIO,
        target: str,
        schema: Sequence[bigquery.SchemaField],
        source_format: str = "PARQUET",
        **labels: str,
    ) -> None:
        """Append a file's rows to a table, which is made where it is missing.

        A Parquet file has the schema's columns in its order.
        """
        config = bigquery.LoadJobConfig(
            source_format=source_format,
            schema=schema,
            write_disposition="WRITE_APPEND",
            labels=self._labels(labels),
        )
        with told():
            # without a size the upload is resumable: cut off, it goes on where it was
            self.client.load_table_from_file(
                content, target, location=self.location, job_config=config
            ).result()

    def _query_config(self, labels: Mapping[str, str], **settings: Any) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(labels=self._labels(labels), **settings)
        if self.max_bytes_billed is not None:
            config.maximum_bytes_billed = self.max_bytes_billed
        return config

    def _labels(self, more: Mapping[str, str]) -> dict[str, str]:
        given = {"pipeline": "hub-events", **self.labels, **more}
        return {name: label(value) for name, value in given.items()}


def label(text: str) -> str:
    """Return a text as a label may be: lower case, few kinds of letters, not too long."""
    return _NOT_IN_LABELS.sub("_", text.lower())[:_LONGEST_LABEL]
