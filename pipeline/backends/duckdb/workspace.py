"""The new file that a build writes, which then replaces the published one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import sqlglot.expressions as sge

from pipeline.backends.base import Append, Gone, Made, RawTable
from pipeline.backends.duckdb import manifest, tested
from pipeline.backends.duckdb.answers import identifier, text
from pipeline.backends.duckdb.comments import comments
from pipeline.backends.duckdb.contents import Contents
from pipeline.backends.duckdb.errors import engine_errors, first_line, opening
from pipeline.backends.duckdb.folder import sync_folder
from pipeline.backends.duckdb.inputs import Inputs
from pipeline.backends.duckdb.interrupts import interruptible
from pipeline.backends.duckdb.memory import limit_of
from pipeline.backends.duckdb.order import row_order
from pipeline.backends.duckdb.published import log_of, renew_identity
from pipeline.backends.duckdb.tables import RECORDS, DuckDBTables
from pipeline.backends.rows import row_of
from pipeline.contract import Model
from pipeline.disk import writing
from pipeline.errors import InputError, UsageError
from pipeline.files import Raw, mended, read, require_unchanged
from pipeline.files.finding import UNCHANGED
from pipeline.results import FileRead, RunRecord, SourceRead
from pipeline.sources import EVENTS, SOURCES, Source
from pipeline.sql import to_sql

VERSION = ".".join(duckdb.__version__.split(".")[:2])
"""The engine's version, cut to the part that may change results."""

_PUBLISHED = "published"
"""The published file's name on the connection."""


@dataclass(frozen=True)
class DuckDBWorkspace(DuckDBTables):
    """A new database file that a build writes into."""

    path: Path
    file: Path
    """The published file, which the new one replaces."""
    inputs: Callable[[str], Inputs]
    held: Contents
    """The contents of the published file."""
    obsolete: Sequence[str]
    """The tables that an earlier build made and a full build leaves out."""
    copied: bool
    """Whether the new file began as a copy of the published one."""
    require_unwritten: Callable[[], None]
    """Raises UsageError if another program wrote to the published file since the build began."""
    notes: list[str] = field(default_factory=list)
    """Notes to the user before the build."""
    if_gone: Gone = "refuse"
    """The fate of staged rows whose files are gone."""
    readable: Path | None = None
    """The published file, or a copy that can be read while another program writes."""
    gone: list[FileRead] = field(default_factory=list)
    """The files that are gone but whose rows stay."""
    read_files: list[Raw] = field(default_factory=list)
    _orders: set[tuple[str, str]] = field(default_factory=set)
    """The tables of this build that are stored in the order of a column, with that column."""
    _tables: dict[str, ir.Table] = field(default_factory=dict)
    """The tables and views whose columns are known."""

    def table(self, name: str) -> ir.Table:
        """Return a table or view, bound to no connection: names are those of the new file."""
        if name not in self._tables:
            self._tables[name] = super().table(name).unbind()
        return self._tables[name]

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a source's files as one table, with the columns in use.

        Raises:
            UsageError: no files were given for the source and none are recorded.
            InputError: a file can't be used.
        """
        inputs = self.inputs(source.name)
        raw = self.read_paths(source, self._find(inputs), columns)
        told = inputs.read(len(raw.paths), raw.rows)
        kept = self.gone if source.name == EVENTS else ()
        number = sum(each.rows for each in kept)
        read = SourceRead(
            inputs.to_record, raw.rows + number, (*raw.files, *kept), kept_rows=number or None
        )
        return RawTable(self._as_declared(raw), read, told)

    def _as_declared(self, raw: Raw) -> ir.Table:
        """Name files with the declared types like the source, and add its missing columns.

        The models that read them are compiled for that table already.
        """
        read, declared = raw.table.schema(), raw.source.schema
        if any(read[name] != declared[name] for name in raw.names):
            return raw.table
        columns = {
            name: raw.table[name] if name in raw.names else ibis.null(declared[name])
            for name in declared
        }
        name = identifier(raw.source.name)
        query = to_sql(raw.table.select(**columns), "duckdb")
        self.con.raw_sql(f"CREATE TEMP VIEW {name} AS {query}")
        return ibis.table(declared, name=raw.source.name)

    def read_paths(self, source: Source, paths: Sequence[Path], columns: Collection[str]) -> Raw:
        """Open files as one table, with the columns in use."""
        # in this thread, so a signal ends the first look at text files at once; it runs no long
        # statement
        raw = read(self.con, source, paths, columns, scratch=self.path.parent / "files")
        self.read_files.append(raw)
        return raw

    def memory(self) -> int:
        """Return a third of the limit: as much as arrays in an aggregate may take."""
        return limit_of(self.con) // 3

    def create(
        self, model: Model, expr: ir.Table, fill: Callable[[Append], None] = lambda append: None
    ) -> Made:
        """Create the model's table or view; `fill` may append more rows.

        Raises:
            InputError: a file turns out to be faulty when its rows are read.
            EngineError: DuckDB can't run the model's statement.
            ResourceError: memory or disk ran out.
        """
        self._drop(model.name)
        name = identifier(model.name)
        query, kind = self._in_order(model, expr), model.materialized.upper()
        with engine_errors(self.read_files):
            self.make(f"CREATE {kind} {name} AS {query}")
            for raw in self.read_files:
                if raw.source.name in model.upstream:
                    require_unchanged(raw)
            fill(functools.partial(self.append, model))
            self._index_again(model)
            self.con.raw_sql(f"BEGIN; {comments(model)}; COMMIT")
            if model.materialized == "view":
                return Made(None)
            (rows,) = self.con.con.execute(f"SELECT count(*) FROM {name}").fetchone()
        return Made(int(rows))

    def _in_order(self, model: Model, rows: ir.Table) -> str:
        """Select rows sorted by day: then a query of a day reads few blocks."""
        day = model.partition_by
        # raw rows come roughly by time, and sorting them all takes long
        if day is None or SOURCES.keys() & set(model.upstream):
            return to_sql(rows, "duckdb")
        is_ordered = row_order(rows, day) in self._orders
        self._orders.add((model.name, day))
        if is_ordered:
            return to_sql(rows, "duckdb")
        return by_day(day, to_sql(rows, "duckdb"))

    def append(self, model: Model, rows: ir.Table) -> None:
        """Add rows to a model's table, in its order.

        Raises:
            InputError: a file that the rows are from has changed.
        """
        for raw in self.read_files:
            if raw.source.name in model.upstream:
                require_unchanged(raw)
        self._insert(model, self._in_order(model, rows.select(*model.schema.names)))

    def _insert(self, model: Model, query: str) -> None:
        """Add the rows of a query with the model's columns."""
        names = ", ".join(map(identifier, model.schema.names))
        with engine_errors():
            self.make(f"INSERT INTO {identifier(model.name)} ({names}) {query}")

    def publish(self, record: RunRecord) -> Sequence[str]:
        """Record the run, and replace the old file by the new one.

        Raises:
            UsageError: another program has written to the old file; that would be lost.
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
            tested.file_of(self.file).unlink(missing_ok=True)
            sync_folder(self.file.parent)
        return ()

    def remove(self, models: Collection[str]) -> None:
        """Drop the models' tables and views, and free their space."""
        for name in models:
            self._drop(name)
        self.con.raw_sql("CHECKPOINT")

    def bring_history(self, file: Path) -> None:
        """Copy the records of earlier builds from another database file."""
        self._attach(file)
        self.con.raw_sql(f"CREATE SCHEMA {RECORDS}")
        self.con.raw_sql(f"CREATE TABLE {RECORDS}.runs AS FROM {_PUBLISHED}.{RECORDS}.runs")
        self.con.raw_sql(f"DETACH {_PUBLISHED}")

    def former(self, name: str) -> ir.Table:
        """Return a published table."""
        if self.readable is None:
            raise TypeError("nothing is published")
        self._attach(self.readable)
        return self.con.table(name, database=(_PUBLISHED, "main"))

    def _attach(self, file: Path) -> None:
        with opening(file):
            self.con.raw_sql(f"ATTACH IF NOT EXISTS {text(file)} AS {_PUBLISHED} (READ_ONLY)")

    def _find(self, inputs: Inputs) -> Sequence[Path]:
        """Find the files of a source; check that all files of the last build are among them."""
        previous = self.held.previous
        before = previous.sources.get(inputs.source) if previous else None
        patterns = inputs.to_record
        # the sample's inputs are not recorded
        recorded = before.inputs if before and inputs.source == EVENTS else ()
        if not recorded or not {*recorded} <= {*patterns}:
            return inputs.find()
        found = manifest.find(inputs.patterns, recorded)
        gone = manifest.lost(self.held.files or (), found)
        are, their = manifest.verbs(gone)
        fact = f"{manifest.told(gone)} that the last build read {are} gone; {their} rows"
        if gone and self.if_gone == "refuse":
            raise InputError(
                f"{fact} would be lost.",
                f"Put {gone[0].path} back, or build with --keep-staged: {their} rows stay as they "
                f"were staged then. --allow-fewer-rows goes on without them. {UNCHANGED}",
            )
        if gone and self.if_gone == "keep":
            # rows that a changed file no longer has would count as rows of a gone file
            manifest.compare(self.held.files or (), found)
            self.gone.extend(gone)
            self.notes.append(f"{fact} stay as they were staged then")
        return found or inputs.find()

    def _index_again(self, model: Model) -> None:
        for statement in self.held.indexes.get(model.name, ()):
            try:
                self.con.raw_sql(statement)
            except duckdb.Error as error:
                raise UsageError(
                    f"An index that somebody made on {model.name} does not fit the new rows: "
                    f"{first_line(error)}",
                    f"Drop the index, then build again: {statement} The last build is unchanged.",
                ) from error

    def make(self, statement: str) -> int:
        """Run a statement that Ctrl-C can end; return how many rows it wrote."""

        def run() -> int:
            answer = self.con.raw_sql(statement).fetchone()
            return int(answer[0]) if answer else 0

        try:
            return interruptible(self.con, run)
        except duckdb.Error as error:
            failed = error
        # outside the handler: Python would show DuckDB's message too, which may quote a PIN
        if not mended(failed, self.read_files):
            raise failed
        return interruptible(self.con, run)

    def _drop(self, name: str) -> None:
        self._tables.pop(name, None)
        query = (
            "SELECT table_type FROM information_schema.tables"
            f" WHERE table_schema = 'main' AND table_name = {text(name)}"
            " AND table_catalog = current_database()"
        )
        for (kind,) in self.con.con.execute(query).fetchall():
            what = "VIEW" if kind == "VIEW" else "TABLE"
            drop = sge.Drop(this=sge.table_(name, quoted=True), kind=what)
            self.con.raw_sql(drop.sql("duckdb"))

    def _write(self, record: RunRecord) -> None:
        self.con.raw_sql(f"CREATE SCHEMA IF NOT EXISTS {RECORDS}")
        self.con.raw_sql(
            f"CREATE TABLE IF NOT EXISTS {RECORDS}.runs (started_at TIMESTAMPTZ, seconds DOUBLE,"
            " sources VARCHAR, models VARCHAR, checks VARCHAR)"
        )
        for name in ("mode", "code", "engine"):
            self.con.raw_sql(f"ALTER TABLE {RECORDS}.runs ADD COLUMN IF NOT EXISTS {name} VARCHAR")
        events = record.sources.get(EVENTS)
        if events and events.read_at == record.started_at.isoformat():
            new = events.files if events.new_files is None else events.files[-events.new_files :]
            whole = events.new_files is None
            manifest.write(self.con, new, record.started_at, whole=whole)
        sources = {name: each for name, each in record.sources.items() if name != EVENTS}
        if events:
            sources[EVENTS] = replace(events, files=())  # the files have a table of their own
        row = row_of(replace(record, sources=sources, engine=VERSION))
        values = sge.values([tuple(row.values())])
        self.con.raw_sql(sge.insert(values, f"{RECORDS}.runs", columns=[*row]).sql("duckdb"))


def by_day(day: str, query: str) -> str:
    """Sort the rows of a query by their day, so a query of a day reads few blocks."""
    return f"SELECT * FROM ({query}) ORDER BY {identifier(day)}"
