"""The interface of a backend: a workspace to build in and a reader of the published tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge

from pipeline.contract import Model
from pipeline.counting import Expected
from pipeline.graph import Graph
from pipeline.pruning import Days
from pipeline.results import (
    Estimate,
    FileRead,
    LastTest,
    Loaded,
    Note,
    Read,
    RunRecord,
    SourceRead,
)
from pipeline.sources import Source
from pipeline.sql import Engine, Names

Gone = Literal["refuse", "lose", "keep"]
"""The fate of staged rows whose files are gone."""


@dataclass(frozen=True)
class RawTable:
    """A source as a table with the types that it came with, and an independent count of its rows.

    `read` is for the record, `told` for people.
    """

    table: ir.Table
    read: SourceRead
    told: Read


@dataclass(frozen=True)
class Made:
    """The result of materializing a model: a table's rows, and the bytes that the engine bills.

    `rows` is None for a view: counting would compute it.
    """

    rows: int | None
    bytes_processed: int | None = None
    bytes_billed: int | None = None


class Tables(Protocol):
    """A place with built models in it."""

    charges_by_bytes: ClassVar[bool]
    """Whether the engine bills each column that a check reads: then no check reads a spare one."""

    @property
    def at_once(self) -> int:
        """The most statements that may run at a time."""
        ...

    def cancel(self) -> None:
        """Cancel the statements of other threads, and let no new one begin."""
        ...

    def names(self) -> set[str]:
        """Return the names of all tables and views there."""
        ...

    def table(self, name: str) -> ir.Table:
        """Return a built model."""
        ...

    def is_view(self, name: str) -> bool:
        """Tell whether a built model is a view."""
        ...

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression of these tables, for a model's checks if it is named."""
        ...

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression of these tables to a Parquet file."""
        ...

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the records of the last published builds, at most `limit`, the latest first."""
        ...

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build."""
        ...


Choose = Callable[[ir.Table], ir.Table]
"""Leaves out the rows of a source that nobody needs."""


class Session(Tables, Protocol):
    """The published tables and the raw sources on one connection; each is opened when needed."""

    def exists(self) -> bool:
        """Tell whether there is a database."""
        ...

    def listed(self, name: str, columns: Sequence[str], limit: int) -> pa.Table | None:
        """Return some rows of a table, unmasked and in no order; None if it takes a query."""
        ...

    def parts(self, model: Model, table: ir.Table) -> Iterator[ir.Table]:
        """Yield parts of a model's table that cost little to read, then all of it if need be."""
        ...

    def source(self, source: Source, columns: Collection[str]) -> ir.Table:
        """Return a source with these columns; the session looks through it once."""
        ...

    def rows_read(
        self, source: Source, columns: Collection[str], chosen: Choose, folder: Path
    ) -> Sequence[Path]:
        """Return files on this machine with the rows of a source that the published build read.

        They hold at least the chosen rows, with these columns. New files go into the folder.

        Raises:
            InputError: the source is not as the build read it.
        """
        ...

    def refresh(self) -> None:
        """Close what is open; the next query reads the build that is published by then."""
        ...


Append = Callable[[ir.Table], None]
"""Adds rows to the table of a model while the build makes it."""


class Workspace(Tables, Protocol):
    """The place that a build writes to before it publishes; discarded if it never does."""

    @property
    def obsolete(self) -> Sequence[str]:
        """The tables that an earlier build made and no model makes any more."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Notes to the user on the sources that were read, a line each."""
        ...

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a source with the columns in use."""
        ...

    def create(
        self, model: Model, expr: ir.Table, fill: Callable[[Append], None] = lambda append: None
    ) -> Made:
        """Materialize a model; `fill` may append more rows, all at once or none each time.

        Raises:
            OutOfMemoryError: the engine can't hold it.
        """
        ...

    def memory(self) -> int | None:
        """Return the bytes that a statement may hold without spilling, None for no limit."""
        ...

    def publish(self, record: RunRecord) -> Sequence[str]:
        """Replace the published tables by those of this build; return notes, a line each."""
        ...


@runtime_checkable
class KeepsStaged(Protocol):
    """A workspace that can keep staged rows whose files are gone."""

    @property
    def gone(self) -> Sequence[FileRead]:
        """The files that are gone but whose rows stay."""
        ...

    def create(
        self, model: Model, expr: ir.Table, fill: Callable[[Append], None] = lambda append: None
    ) -> Made:
        """Materialize a model, as any workspace does."""
        ...

    def table(self, name: str) -> ir.Table:
        """Return a built model."""
        ...

    def former(self, name: str) -> ir.Table:
        """Return a published table."""
        ...

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression of these tables."""
        ...


class Backend(Protocol):
    """An engine with a database on it."""

    @property
    def engine(self) -> Engine:
        """The name of its dialect."""
        ...

    @property
    def place(self) -> str:
        """The database's name for people."""
        ...

    @property
    def namespaces(self) -> tuple[Names, Names]:
        """Where its models are, and where its sources are."""
        ...

    def workspace(
        self, names: Collection[str], *, keep: bool, gone: Gone = "refuse"
    ) -> AbstractContextManager[Workspace]:
        """Open a place to build models in; `keep` keeps the other models' tables.

        `gone` is the fate of staged rows whose files are gone.
        """
        ...

    def increment(self) -> AbstractContextManager[Increment]:
        """Hold the published tables, so no other build changes them."""
        ...

    def for_all(self) -> Backend:
        """Return the same backend with every input ever read, and those given now."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Open one connection for the published tables and the raw sources."""
        ...

    def reader(self) -> AbstractContextManager[Tables]:
        """Open the published tables for reading."""
        ...

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, None if nothing is built yet."""
        ...

    def filtered(self, table: ir.Table, condition: sge.Expression) -> ir.Table:
        """Return the rows of a table for which a condition in the engine's SQL holds."""
        ...

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression of tables that this backend opened."""
        ...


@dataclass(frozen=True)
class News:
    """The events that the published build has not read yet.

    `sources` names the changed sources, `lines` describes them for people.
    """

    sources: Collection[str]
    lines: Sequence[str] = ()


class IncrementalWorkspace(Workspace, Protocol):
    """A workspace that begins with the published tables, and changes them."""

    def former(self, name: str) -> ir.Table:
        """Return a published table."""
        ...

    def known_days(self, name: str, column: str, units: ir.Table) -> Days | None:
        """Return all days on which a published table has rows of the units, and perhaps others.

        None if only a look at the rows themselves tells the days.
        """
        ...

    def stored(self, expr: ir.Table, *, model: str = "") -> ir.Table:
        """Evaluate an expression, for a model if it is named, into a table.

        An engine may wait until somebody needs the rows. The build drops the table at its end.
        """
        ...

    def staged(self, model: Model, new: ir.Table) -> ir.Table:
        """Store the rows that a model makes of the rows that came to its source.

        Raises:
            InputError: the source is faulty, or has changed other than by new rows.
        """
        ...

    def count(self, table: ir.Table) -> int:
        """Return the number of rows of a table."""
        ...

    def identity(self, units: ir.Table) -> tuple[int, int]:
        """Return the number of rows of a stored table `unit`, and a hash of all of them.

        The hash is the same for the same units. Each comes once, so no two cancel out.
        """
        ...

    def counted(self, model: Model, expected: Expected) -> int | None:
        """Return the number of rows of a changed table.

        An engine may count them only when it publishes, and refuse the build then.

        Raises:
            UsageError: it is another one than expected.
        """
        ...

    def differing(self, one: ir.Table, other: ir.Table) -> ir.Table:
        """Return the rows that are in one table only, counting copies; it may have arrays."""
        ...

    def differences(
        self, model: Model, old: ir.Table, new: ir.Table
    ) -> tuple[ir.Table, ir.Table, int, int]:
        """Return a model's rows in `old` only and in `new` only, and their numbers."""
        ...

    def append(self, model: Model, rows: ir.Table) -> None:
        """Add rows to a model's table."""
        ...

    def replace(self, model: Model, by: tuple[str, ...], gone: ir.Table, rows: ir.Table) -> None:
        """Delete the table's rows that equal a row of `gone` in the columns `by`.

        Add those of `rows` that equal one.
        """
        ...

    def read_new(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return the rows that the published build has not read."""
        ...


class Increment(Protocol):
    """The published build, held for one incremental build to change."""

    @property
    def previous(self) -> RunRecord | None:
        """The record of the published build."""
        ...

    def hindrance(self) -> str:
        """Say why only a full build is right; empty if an incremental one is right too."""
        ...

    def news(self) -> News:
        """Compare the sources with the record of what was read.

        Raises:
            InputError: a file that was read has changed.
        """
        ...

    def workspace(
        self, models: Mapping[str, Model]
    ) -> AbstractContextManager[IncrementalWorkspace]:
        """Open the published tables of all models, to change and publish."""
        ...


@runtime_checkable
class KeepsTested(Protocol):
    """A backend that keeps the results of the last `test` until the next build."""

    def tested(self) -> LastTest | None:
        """Return the results, None if there are none."""
        ...

    def keep_tested(self, tested: LastTest) -> None:
        """Keep the results."""
        ...


@runtime_checkable
class Warehouse(Protocol):
    """A backend that has raw tables of its own and bills the bytes that it scans."""

    def estimates(
        self, graph: Graph, names: Sequence[str], *, incremental: bool = False
    ) -> Iterator[Estimate]:
        """Estimate what building each model would scan."""
        ...

    def preflight(self, graph: Graph, names: Sequence[str]) -> Iterator[Estimate | Note]:
        """Try every statement of a build on empty tables, and describe the dataset."""
        ...

    def load(self, inputs: Mapping[str, Sequence[str]], *, append: bool) -> list[Loaded]:
        """Load local files into the raw tables: replace them, or add to them."""
        ...
