"""Faults to plant in a build on BigQuery, which `each_request` must find."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import requests
import sqlglot.expressions as sge
from google.cloud import bigquery

from harnesses.programs import How
from pipeline.backends.bigquery import lock, publishing, workspace
from pipeline.backends.bigquery.tables import Dataset

Patch = contextlib.AbstractContextManager[Any]


def _drop_before_copy() -> Patch:
    """The old table goes, and then comes a copy of the new one."""

    def in_place(
        dataset: Dataset, built: publishing.Built, kind: str | None, run: str
    ) -> publishing.Copied | None:
        dataset.drop(built.model.name)
        dataset.jobs.copy(
            dataset.full_name(built.name), dataset.full_name(built.model.name), run=run
        )
        return None

    return mock.patch.object(publishing, "_in_place", in_place)


def _record_outside_the_commit() -> Patch:
    """The record is written after the new rows are there."""
    plain = publishing.transaction

    def transaction(statements: Iterable[str]) -> str:
        *rows, record = statements
        return f"{plain(rows)}\n{record};"

    return mock.patch.object(publishing, "transaction", transaction)


def _no_transaction() -> Patch:
    """The tables are published one by one."""
    return mock.patch.object(
        publishing, "transaction", lambda statements: ";\n".join(statements) + ";"
    )


def _retry_that_appends_twice() -> Patch:
    """If the answer to a statement is lost, it is sent again under another id."""
    plain = bigquery.Client.query

    def query(self: bigquery.Client, sql: str, *args: Any, job_id: str, **kwargs: Any) -> Any:
        try:
            return plain(self, sql, *args, job_id=job_id, retry=None, **kwargs)
        except requests.exceptions.ConnectionError:
            return plain(self, sql, *args, job_id=str(uuid.uuid4()), **kwargs)

    return mock.patch.object(bigquery.Client, "query", query)


def _lock_not_released() -> Patch:
    """At its end, a build leaves its lock."""
    return mock.patch.object(lock, "_holder", return_value="somebody")


def _record_before_the_data() -> Patch:
    """The record is written before the new rows are there."""
    plain = publishing.transaction

    def transaction(statements: Iterable[str]) -> str:
        *rows, record = statements
        return f"{record};\n{plain(rows)}"

    return mock.patch.object(publishing, "transaction", transaction)


def _temporary_tables_stay() -> Patch:
    """The tables that a build makes for itself have no expiry."""
    return mock.patch.object(workspace.BigQueryWorkspace, "_expiry", return_value=None)


def _script_not_finished() -> Patch:
    """A script that failed between two renames is sent again as a whole, and no more."""
    return mock.patch.object(Dataset, "has", return_value=False)


def _raw_rows_of_now() -> Patch:
    """Each statement reads the raw tables as they are when it runs."""

    def as_of(query: sge.Query, *_: Any) -> sge.Query:
        return query

    return mock.patch.object(workspace, "as_of", as_of)


@dataclass(frozen=True)
class Fault:
    """A fault to plant, and the schedules that show it."""

    patch: Callable[[], Patch]
    how: How
    kind: str = "build"
    crowd: bool = False


FAULTS = {
    "drop_before_copy": Fault(_drop_before_copy, "crash_after"),
    "record_outside_the_commit": Fault(_record_outside_the_commit, "crash_after"),
    "no_transaction": Fault(_no_transaction, "crash_after"),
    "retry_that_appends_twice": Fault(_retry_that_appends_twice, "answer_lost", "run"),
    "lock_not_released": Fault(_lock_not_released, "refused"),
    "raw_rows_of_now": Fault(_raw_rows_of_now, "paused", crowd=True),
    "record_before_the_data": Fault(_record_before_the_data, "crash_after"),
    "temporary_tables_stay": Fault(_temporary_tables_stay, "crash_after"),
    "script_not_finished": Fault(_script_not_finished, "job_fails", "new_layout"),
}
FAULTS |= {
    f"incremental_{name}": replace(FAULTS[name], kind="incremental")
    for name in (
        *("record_outside_the_commit", "no_transaction", "retry_that_appends_twice"),
        *("lock_not_released", "raw_rows_of_now", "record_before_the_data"),
        "temporary_tables_stay",
    )
}


@contextlib.contextmanager
def planted(fault: str) -> Iterator[None]:
    """Plant a fault, or none."""
    with FAULTS[fault].patch() if fault else contextlib.nullcontext():
        yield
