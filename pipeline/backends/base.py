"""What a backend offers: a workspace to build in and a reader of what is published."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge

from pipeline.contract import Model
from pipeline.expressions import Engine, Names
from pipeline.sources import Source


@dataclass(frozen=True)
class SourceRead:
    """What a build read of a source: where from, and how many raw rows."""

    inputs: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class RunRecord:
    """One build as it is kept in the database: what it read, built and found.

    `sources` holds, for each source, the latest reading that the published tables are made of.
    `models` and `checks` are JSON-ready rows about all that is published: what this run did not
    touch is as the run before recorded it. A model's `built_at` is when its build started (UTC,
    ISO-8601).
    """

    started_at: datetime
    seconds: float
    sources: Mapping[str, SourceRead]
    models: tuple[Mapping[str, Any], ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Raw:
    """A source as a table with the types as they came, and its rows counted independently."""

    table: ir.Table
    read: SourceRead


@dataclass(frozen=True)
class Made:
    """What came of materializing a model: a table's rows, and the bytes that an engine charges for.

    A view's rows are not counted: that would be to compute it.
    """

    rows: int | None
    bytes_processed: int | None = None
    bytes_billed: int | None = None


class Tables(Protocol):
    """A place with built models in it."""

    def names(self) -> set[str]:
        """Return the names of all tables and views there."""
        ...

    def table(self, name: str) -> ir.Table:
        """Return a built model."""
        ...

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression of these tables."""
        ...

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build."""
        ...


class Workspace(Tables, Protocol):
    """Where a build writes before it is published; forgotten if it never is."""

    @property
    def obsolete(self) -> Sequence[str]:
        """The models that an earlier build made and no model makes any more."""
        ...

    def read_source(self, source: Source, columns: Collection[str]) -> Raw:
        """Return a source with the columns in use."""
        ...

    def create(self, model: Model, expr: ir.Table) -> Made:
        """Materialize a model."""
        ...

    def publish(self, record: RunRecord) -> None:
        """Put what was built in the place of what was published before."""
        ...


class Backend(Protocol):
    """An engine with a database on it."""

    @property
    def engine(self) -> Engine:
        """The name of its dialect."""
        ...

    @property
    def place(self) -> str:
        """Where its database is, as people say it."""
        ...

    @property
    def namespaces(self) -> tuple[Names, Names]:
        """Where its models are, and where its sources are."""
        ...

    def workspace(self, names: Collection[str], *, keep: bool) -> AbstractContextManager[Workspace]:
        """Open a place to build models in; `keep` brings along the other models' tables."""
        ...

    def sources(
        self, columns: Mapping[str, Collection[str]]
    ) -> AbstractContextManager[Mapping[str, ir.Table]]:
        """Open the raw sources alone, with these columns of each."""
        ...

    def reader(self) -> AbstractContextManager[Tables]:
        """Open what is published, for reading."""
        ...

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, None where nothing is built yet."""
        ...

    def filtered(self, table: ir.Table, condition: sge.Expression) -> ir.Table:
        """Return the rows of a table for which a condition in the engine's SQL holds."""
        ...

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression of tables that this backend opened."""
        ...
