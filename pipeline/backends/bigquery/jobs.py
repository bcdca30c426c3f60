"""The jobs that BigQuery runs for us: labelled, limited in bytes, retried, and cancelled."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import ibis.expr.types as ir
import pyarrow as pa
import requests.exceptions
from google.api_core.exceptions import Conflict, GoogleAPICallError
from google.cloud import bigquery

from pipeline.backends.bigquery.errors import is_passing, told
from pipeline.backends.bigquery.statements import script
from pipeline.errors import EngineError, PipelineError
from pipeline.sql import to_sql

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each retry of a job that failed for a temporary reason."""

LEAST_BILLED = 10_000_000
"""The least number of bytes that BigQuery bills a query for each table that it reads."""

_PAGE = 10_000
"""The rows of a page. The answer that a query is done has its first page, if we name a size."""

_NOT_IN_LABELS = re.compile(r"[^a-z0-9_-]")
_LONGEST_LABEL = 63
_UTC = bigquery.ConnectionProperty("time_zone", "UTC")
"""Set on every job: a project's own time zone would move days and times written as text."""


@dataclass(frozen=True)
class Jobs:
    """Runs jobs through a client; several threads may do so at once.

    The client retries requests that fail for a temporary reason. `Jobs` retries a job that fails
    for such a reason, under a new id: the failed job had no effect. A program that ends while its
    jobs run cancels them, because BigQuery would finish and bill them.
    """

    client: bigquery.Client
    location: str | None
    max_bytes_billed: int | None
    labels: Mapping[str, str] = field(default_factory=dict)
    at_once: int = 8
    """The most jobs that run at a time; further ones wait."""
    under_way: set[str] = field(default_factory=set, init=False, compare=False)
    """The ids of the jobs that run now."""
    billed: list[int] = field(default_factory=list, init=False, compare=False)
    """The billed bytes of each job so far."""
    over: threading.Event = field(default_factory=threading.Event, init=False, compare=False)
    """Set when no job may begin any more."""
    free: threading.Semaphore = field(init=False, compare=False)
    """The number of jobs that may still begin."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", threading.Semaphore(self.at_once))

    def query(self, sql: str, **labels: str) -> bigquery.QueryJob:
        """Run a statement, or several as one script, to its end.

        Raises:
            UsageError, EngineError: see `told`.
        """
        job, _ = self._query(sql, labels)
        return job

    def rows(self, sql: str, **labels: str) -> pa.Table:
        """Return the result of a query, by REST: the storage API needs one more permission."""
        _, result = self._query(sql, labels)
        with told():
            return result.to_arrow(create_bqstorage_client=False)

    def fetch(self, expr: ir.Table, before: Sequence[str] = (), **labels: str) -> pa.Table:
        """Evaluate an expression; types and names are those that it declares.

        The same job runs the statements `before` first.
        """
        schema = expr.schema().to_pyarrow()
        sql = to_sql(expr, "bigquery")
        _, result = self._query(script([*before, sql]) if before else sql, labels)
        if not result.total_rows:
            return schema.empty_table()  # BigQuery need not be asked for rows
        with told():
            return result.to_arrow(create_bqstorage_client=False).cast(schema)

    def batches(self, expr: ir.Table) -> Iterator[pa.RecordBatch]:
        """Evaluate an expression a page at a time; types and names are those that it declares."""
        schema = expr.schema().to_pyarrow()
        _, result = self._query(to_sql(expr, "bigquery"), {})
        with told():
            for batch in result.to_arrow_iterable():
                # by place: an emulator may fold the case of names, which BigQuery ignores
                rows = pa.Table.from_batches([batch]).rename_columns(schema.names)
                yield from rows.cast(schema).to_batches()

    def bytes_scanned(self, sql: str, **labels: str) -> int:
        """Return the bytes that a query would scan; runs nothing."""
        config = self._query_config(labels, dry_run=True, use_query_cache=False)
        with told():
            job = self.client.query(sql, config, location=self.location)
            return int(job.total_bytes_processed or 0)

    def bytes_billed(self, sql: str, **labels: str) -> int:
        """Return the bytes that BigQuery would bill: at least 10 MB a table; runs nothing.

        A statement that reads no column, such as a count of a whole table, is free.
        """
        config = self._query_config(labels, dry_run=True, use_query_cache=False)
        with told():
            job = self.client.query(sql, config, location=self.location)
            scanned, tables = int(job.total_bytes_processed or 0), len(job.referenced_tables)
        return max(scanned, LEAST_BILLED * max(tables, 1)) if scanned else 0

    def columns(self, sql: str) -> Sequence[bigquery.SchemaField]:
        """Return the columns of a query's result; runs nothing."""
        config = self._query_config({}, dry_run=True, use_query_cache=False)
        with told():
            job = self.client.query(sql, config, location=self.location)
        return job.schema or []

    def copy(self, source: str, target: str, *, replace: bool = False, **labels: str) -> None:
        """Copy a table whole, in one atomic step; onto another table only to `replace` it."""
        config = bigquery.CopyJobConfig(
            write_disposition="WRITE_TRUNCATE" if replace else "WRITE_EMPTY",
            labels=self._labels(labels),
        )
        self._run(
            lambda job_id: self.client.copy_table(
                source, target, job_id=job_id, location=self.location, job_config=config
            )
        )

    def load(
        self,
        content: BinaryIO,
        target: str,
        schema: Sequence[bigquery.SchemaField],
        source_format: str = "PARQUET",
        **labels: str,
    ) -> None:
        """Append a file's rows to a table that exists.

        A Parquet file has the schema's columns in its order.
        """
        config = bigquery.LoadJobConfig(
            source_format=source_format,
            schema=schema,
            # otherwise a job that outlives its program would make a dropped table anew, for ever
            create_disposition="CREATE_NEVER",
            write_disposition="WRITE_APPEND",
            labels=self._labels(labels),
        )

        def start(job_id: str) -> bigquery.LoadJob:
            # without a size the upload is resumable: after a break it goes on where it was
            return self.client.load_table_from_file(
                content,
                target,
                rewind=True,
                job_id=job_id,
                location=self.location,
                job_config=config,
            )

        self._run(start)

    def cancel(self) -> None:
        """Cancel all jobs that run now and begin no other, so BigQuery does not bill them."""
        self.over.set()
        for job_id in sorted(self.under_way):
            self._cancel(job_id)

    def _cancel(self, job_id: str) -> None:
        # the error that ended the program matters more than a failed cancel
        with contextlib.suppress(GoogleAPICallError, requests.exceptions.RequestException):
            self.client.cancel_job(job_id, location=self.location, timeout=10)

    def _query(self, sql: str, labels: Mapping[str, str]) -> tuple[bigquery.QueryJob, Any]:
        config = self._query_config(labels)
        return self._run(
            lambda job_id: self.client.query(
                sql, config, job_id=job_id, location=self.location, job_retry=None
            ),
            page_size=_PAGE,
        )

    def _run(self, start: Callable[[str], Any], **waiting: Any) -> tuple[Any, Any]:
        """Run a job to its end; return it and its result, asked for with these settings."""
        with self.free:
            for pause in PAUSES:
                try:
                    return self._once(start, waiting)
                except PipelineError as error:
                    if not is_passing(error.__cause__):
                        raise
                time.sleep(pause)
            return self._once(start, waiting)

    def _once(self, start: Callable[[str], Any], waiting: Mapping[str, Any]) -> tuple[Any, Any]:
        if self.over.is_set():
            raise EngineError("No job was sent: the run has ended.")
        job_id = str(uuid.uuid4())
        self.under_way.add(job_id)
        try:
            with told():
                try:
                    job = start(job_id)
                except Conflict:
                    # BigQuery has the job already: its answer to an earlier request was lost
                    job = self.client.get_job(job_id, location=self.location)
                if self.over.is_set():
                    self._cancel(job_id)  # cancel() came too early for this job
                result = job.result(**waiting)
                self.billed.append(getattr(job, "total_bytes_billed", None) or 0)
                return job, result
        except (KeyboardInterrupt, SystemExit):
            self.cancel()
            raise
        finally:
            self.under_way.discard(job_id)

    def _query_config(self, labels: Mapping[str, str], **settings: Any) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            labels=self._labels(labels), connection_properties=[_UTC], **settings
        )
        if self.max_bytes_billed is not None:
            config.maximum_bytes_billed = self.max_bytes_billed
        return config

    def _labels(self, more: Mapping[str, str]) -> dict[str, str]:
        given = {"pipeline": "hub-events", **self.labels, **more}
        return {name: label(value) for name, value in given.items()}


def label(text: str) -> str:
    """Return a text in the form of a label: lower case, few kinds of characters, not too long."""
    return _NOT_IN_LABELS.sub("_", text.lower())[:_LONGEST_LABEL]
