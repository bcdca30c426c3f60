"""The new file that a build writes into before it takes the place of the published one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import ibis.expr.types as ir
import sqlglot.expressions as sge

from pipeline.backends.base import Made, RawTable, row_of
from pipeline.backends.duckdb.comments import comments
from pipeline.backends.duckdb.errors import engine_errors, first_line, opening
from pipeline.backends.duckdb.folder import sync_folder
from pipeline.backends.duckdb.inputs import Inputs
from pipeline.backends.duckdb.interrupts import interruptible
from pipeline.backends.duckdb.order import row_order
from pipeline.backends.duckdb.published import log_of, renew_identity
from pipeline.backends.duckdb.tables import RECORDS, DuckDBTables
from pipeline.contract import Model
from pipeline.disk import writing
from pipeline.errors import UsageError
from pipeline.files import Raw, mended, read, require_unchanged
from pipeline.results import RunRecord, SourceRead
from pipeline.sources import SOURCES, Source


@dataclass(frozen=True)
class DuckDBWorkspace(DuckDBTables):
    """A new database file that a build writes into."""

    path: Path
    file: Path
    """The published file, whose place the new one takes."""
    inputs: Callable[[str], Inputs]
    indexes: Mapping[str, Sequence[str]]
    """The statements of the indexes that others made on models' tables."""
    obsolete: Sequence[str]
    """The models that an earlier build made and a full build leaves out."""
    copied: bool
    """Whether the new file began as a copy of the published one."""
    require_unwritten: Callable[[], None]
    """Raises UsageError if another program wrote to the published file since the build began."""
    notes: Sequence[str] = ()
    """Facts to tell people before the build."""
    _read: list[Raw] = field(default_factory=list)
    _orders: set[tuple[str, str]] = field(default_factory=set)
    """The tables of this build that are stored in an order, each with its column."""

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a source's files as one table, with the columns in use.

        Raises:
            UsageError: no files were given for the source and none are recorded.
            InputError: a file can't be used.
        """
        inputs = self.inputs(source.name)
        paths, scratch = inputs.find(), self.path.parent / "files"
        raw = interruptible(
            self.con, lambda: read(self.con, source, paths, columns, scratch=scratch)
        )
        self._read.append(raw)
        told = inputs.read(len(paths), raw.rows)
        return RawTable(raw.table, SourceRead(inputs.to_record, raw.rows), told)

    def create(self, model: Model, expr: ir.Table) -> Made:
        """Create the model's table or view.

        Raises:
            InputError: what is read turns out to be faulty, only now that it is.
            EngineError: DuckDB can't run the model's statement.
            ResourceError: memory or disk ran out.
        """
        self._drop(model.name)
        name = sge.table_(model.name, quoted=True)
        # raw rows come by time, roughly, and sorting them all takes long
        if model.partition_by and not SOURCES.keys() & set(model.upstream):
            # rows of a day lie together, so that a query of one reads few blocks
            if row_order(expr, model.partition_by) not in self._orders:
                expr = expr.order_by(model.partition_by)
            self._orders.add((model.name, model.partition_by))
        query = self.con.compiler.to_sqlglot(expr)
        create = sge.Create(this=name, kind=model.materialized.upper(), expression=query)
        with engine_errors(self._read):
            self._make(create.sql("duckdb"))
            for raw in self._read:
                if raw.source.name in model.upstream:
                    require_unchanged(raw)
            self._index_again(model)
            self.con.raw_sql(f"BEGIN; {comments(model)}; COMMIT")
            if model.materialized == "view":
                return Made(None)
            counted = self.con.to_pyarrow(self.table(model.name).count())
        return Made(int(counted.as_py()))

    def publish(self, record: RunRecord) -> Sequence[str]:
        """Record the run, and put the new file in the place of the old one.

        Raises:
            UsageError: another program has written to the old one, which would be lost.
        """
        with engine_errors():
            self._write(record)
            self.con.raw_sql("CHECKPOINT")
        self.con.disconnect()
        with writing(self.file):
            if self.copied:
                renew_identity(self.path)
            self.require_unwritten()
            # another program's log of an older file must not be replayed on the new one
            log_of(self.file).unlink(missing_ok=True)
            self.path.replace(self.file)
            sync_folder(self.file.parent)
        return ()

    def remove(self, models: Collection[str]) -> None:
        """Drop models' tables and views, and free their space."""
        for name in models:
            self._drop(name)
        self.con.raw_sql("CHECKPOINT")

    def bring_history(self, file: Path) -> None:
        """Copy the records of earlier builds from another database file."""
        path = sge.convert(str(file)).sql("duckdb")
        with opening(file):
            self.con.raw_sql(f"ATTACH {path} AS published (READ_ONLY)")
        self.con.raw_sql(f"CREATE SCHEMA {RECORDS}")
        self.con.raw_sql(f"CREATE TABLE {RECORDS}.runs AS FROM published.{RECORDS}.runs")
        self.con.raw_sql("DETACH published")

    def _index_again(self, model: Model) -> None:
        for statement in self.indexes.get(model.name, ()):
            try:
                self.con.raw_sql(statement)
            except duckdb.Error as error:
                raise UsageError(
                    f"An index that somebody made on {model.name} does not fit the new rows: "
                    f"{first_line(error)}",
                    f"Drop the index, then build again: {statement} The last build is unchanged.",
                ) from error

    def _make(self, statement: str) -> None:
        try:
            interruptible(self.con, lambda: self.con.raw_sql(statement))
            return
        except duckdb.Error as error:
            failed = error
        # not within the handler: DuckDB's message may quote a line with a PIN, and would be shown
        # with ours
        if not mended(failed, self._read):
            raise failed
        interruptible(self.con, lambda: self.con.raw_sql(statement))

    def _drop(self, name: str) -> None:
        query = (
            "SELECT table_type FROM information_schema.tables"
            " WHERE table_schema = 'main' AND table_name = ?"
        )
        for (kind,) in self.con.con.execute(query, [name]).fetchall():
            what = "VIEW" if kind == "VIEW" else "TABLE"
            drop = sge.Drop(this=sge.table_(name, quoted=True), kind=what)
            self.con.raw_sql(drop.sql("duckdb"))

    def _write(self, record: RunRecord) -> None:
        self.con.raw_sql(f"CREATE SCHEMA IF NOT EXISTS {RECORDS}")
        self.con.raw_sql(
            f"CREATE TABLE IF NOT EXISTS {RECORDS}.runs (started_at TIMESTAMPTZ, seconds DOUBLE,"
            " sources VARCHAR, models VARCHAR, checks VARCHAR)"
        )
        row = row_of(record)
        columns, values = ", ".join(row), ", ".join("?" * len(row))
        statement = f"INSERT INTO {RECORDS}.runs ({columns}) VALUES ({values})"
        self.con.con.execute(statement, list(row.values()))
