"""DuckDB: builds into a new file beside the database, which takes its place when all is well."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline import files
from pipeline.backends.base import Made, Raw, RunRecord, SourceRead
from pipeline.contract import Model
from pipeline.errors import EngineError, PipelineError, ResourceError, UsageError
from pipeline.expressions import Engine
from pipeline.sources import SOURCES, Source

SAMPLE = Path(__file__).parents[2] / "data"
RECORDS = "_pipeline"
"""The schema with the records of builds."""

STORAGE_VERSION = "v1.4.0"
"""How files are written: newer than DuckDB's default, texts compress in a fifth less time."""


@dataclass(frozen=True)
class DuckDB:
    """A DuckDB database file with the engine's limits and the files its sources are read from."""

    database: Path
    threads: int | None = None
    memory_limit: str | None = None
    inputs: dict[str, tuple[str, ...]] | None = None
    engine: Engine = "duckdb"

    @contextlib.contextmanager
    def workspace(self, *, keep: bool) -> Iterator[DuckDBWorkspace]:
        """Open a new file beside the database to build in; `keep` starts from a copy of it.

        Raises:
            UsageError: another build of this database runs, or the file is no DuckDB database.
        """
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with _locked_folder(self.database) as folder:
            work = folder / self.database.name
            previous = self._last_run(folder)
            if keep and self.database.exists():
                shutil.copyfile(self.database, work)
            with self._connection(work) as con:
                yield DuckDBWorkspace(con, self, work, previous)

    @contextlib.contextmanager
    def reader(self) -> Iterator[DuckDBTables]:
        """Open the published database for reading.

        Raises:
            UsageError: nothing is built yet, or the file can't be read.
        """
        if not self.database.exists():
            raise UsageError(
                f"There is no database {self.database} yet.",
                "Build it first: `python cli.py build`, or name another one with --database.",
            )
        with self._connection(self.database, read_only=True) as con:
            yield DuckDBTables(con)

    @contextlib.contextmanager
    def sources(self, columns: Mapping[str, Collection[str]]) -> Iterator[dict[str, ir.Table]]:
        """Open the raw sources alone, on a connection of their own."""
        with self._connection(None) as con:
            yield {
                name: files.read(con, SOURCES[name], files.find(paths), columns[name]).table
                for name, paths in self.inputs_after(self.last_run()).items()
                if name in columns
            }

    def filtered(self, table: ir.Table, condition: sge.Expression) -> ir.Table:
        """Return the rows of a table for which a condition holds.

        Raises:
            UsageError: DuckDB does not understand the condition.
        """
        con = table.get_backend()
        rows = con.compiler.to_sqlglot(table).subquery("rows")
        query = sge.select("*").from_(rows).where(condition)
        try:
            return con.sql(query.sql("duckdb"))
        except duckdb.Error as error:
            raise UsageError(
                f"DuckDB does not take the condition: {_first_line(error)}",
                "Write one boolean expression over the model's columns.",
            ) from error

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression on the connection that its tables are of."""
        with _engine_errors():
            return expr.get_backend().to_pyarrow(expr)

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, if there is one."""
        if not self.database.exists():
            return None
        with self.reader() as reader:
            return reader.last_run()

    def inputs_after(self, previous: RunRecord | None) -> dict[str, tuple[str, ...]]:
        """Return the files of each source: as given, else as last read, else the sample's.

        The sample stands in only where neither source was given or recorded.
        """
        recorded = (
            {name: read.inputs for name, read in previous.sources.items()} if previous else {}
        )
        known = recorded | (self.inputs or {})
        return known or {name: (str(SAMPLE / f"{name}.parquet"),) for name in SOURCES}

    def connect(self, path: Path | None, read_only: bool = False) -> IbisDuckDB:
        """Connect to a database file, or to none, with this engine's limits."""
        spill = path.parent / "spill" if path and not read_only else f"{self.database}.tmp"
        limits = {"threads": self.threads, "memory_limit": self.memory_limit}
        config = {name: value for name, value in limits.items() if value is not None}
        try:
            return ibis.duckdb.connect(
                path or ":memory:",
                read_only=read_only,
                temp_directory=str(spill),
                # the order of rows in a table means nothing, and keeping it costs memory
                preserve_insertion_order=False,
                storage_compatibility_version=STORAGE_VERSION,
                # it stores a wide table that a query reads twice, which takes longer than reading
                disabled_optimizers="common_subplan",
                **config,
            )
        except (duckdb.ParserException, duckdb.InvalidInputException) as error:
            raise UsageError(
                f"DuckDB does not take these limits: {_first_line(error)}",
                "Write --memory-limit like 4GB or 512MB.",
            ) from error
        except duckdb.IOException as error:
            raise _cannot_open(path, error) from error

    @contextlib.contextmanager
    def _connection(self, path: Path | None, read_only: bool = False) -> Iterator[IbisDuckDB]:
        con = self.connect(path, read_only)
        try:
            yield con
        finally:
            con.disconnect()

    def _last_run(self, folder: Path) -> RunRecord | None:
        # A program that writes into the published file locks it, even against reading; a copy of
        # it is not locked. A build must not wait for such a program.
        if not self.database.exists():
            return None
        try:
            return self.last_run()
        except DatabaseLockedError:
            copy = folder / f"copy-{self.database.name}"
            shutil.copyfile(self.database, copy)
            with self._connection(copy, read_only=True) as con:
                return DuckDBTables(con).last_run()


class DatabaseLockedError(UsageError):
    """Another program has the database open for writing."""


@dataclass(frozen=True)
class DuckDBTables:
    """The tables and views of an open DuckDB database."""

    con: IbisDuckDB

    def names(self) -> set[str]:
        """Return the names of all tables and views."""
        return set(self.con.list_tables())

    def table(self, name: str) -> ir.Table:
        """Return a table or view."""
        return self.con.table(name)

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression."""
        with _engine_errors():
            return self.con.to_pyarrow(expr)

    def last_run(self) -> RunRecord | None:
        """Return the record of the last build, if the database has one."""
        if RECORDS not in self.con.list_databases():
            return None
        runs = self.con.table("runs", database=RECORDS)
        rows = self.con.to_pyarrow(runs.order_by(ibis.desc("started_at")).limit(1)).to_pylist()
        return _record_of(rows[0]) if rows else None


@dataclass(frozen=True)
class DuckDBWorkspace(DuckDBTables):
    """A new database file that a build writes into."""

    backend: DuckDB
    path: Path
    previous: RunRecord | None
    _read: list[tuple[Source, Sequence[Path]]] = field(default_factory=list)

    def read_source(self, source: Source, columns: Collection[str]) -> Raw:
        """Return a source's files as one table, with the columns in use.

        Raises:
            UsageError: no files were given for the source and none are recorded.
            InputError: a file can't be used.
        """
        inputs = self.backend.inputs_after(self.previous)
        if source.name not in inputs:
            option = {"raw_sync_events": "--events", "raw_users": "--users"}[source.name]
            raise UsageError(
                f"No files of {source.name} were given, and no build recorded any here.",
                f"Name them with {option} PATH.",
            )
        paths = files.find(inputs[source.name])
        raw = files.read(self.con, source, paths, columns)
        self._read.append((source, paths))
        # the patterns, not what they match today: a glob finds tomorrow's files too
        absolute = tuple(str(Path(pattern).absolute()) for pattern in inputs[source.name])
        return Raw(raw.table, SourceRead(absolute, raw.rows))

    def create(self, model: Model, expr: ir.Table) -> Made:
        """Create the model's table or view.

        Raises:
            InputError: what is read turns out to be faulty, only now that it is.
            EngineError: DuckDB can't run the model's statement.
            ResourceError: memory or disk ran out.
        """
        self._drop(model.name)
        name = sge.table_(model.name, quoted=True)
        query = self.con.compiler.to_sqlglot(expr)
        create = sge.Create(this=name, kind=model.materialized.upper(), expression=query)
        with _engine_errors(self._read):
            self.con.raw_sql(create.sql("duckdb"))
            counted = self.con.to_pyarrow(self.table(model.name).count())
        return Made(int(counted.as_py()))

    def publish(self, record: RunRecord) -> None:
        """Record the run, and put the new file in the place of the old one."""
        with _engine_errors():
            self._write(record)
            self.con.raw_sql("CHECKPOINT")
        self.con.disconnect()
        # what another program left in the old file's log must not be replayed on the new file
        Path(f"{self.backend.database}.wal").unlink(missing_ok=True)
        self.path.replace(self.backend.database)
        _sync_folder(self.backend.database.parent)

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
        row = [
            record.started_at,
            record.seconds,
            json.dumps({name: asdict(read) for name, read in record.sources.items()}),
            json.dumps(record.models),
            json.dumps(record.checks),
        ]
        self.con.con.execute(f"INSERT INTO {RECORDS}.runs VALUES (?, ?, ?, ?, ?)", row)


def _record_of(row: dict[str, Any]) -> RunRecord:
    sources = {
        name: SourceRead(tuple(read["inputs"]), read["rows"])
        for name, read in json.loads(row["sources"]).items()
    }
    started: datetime = row["started_at"]
    return RunRecord(
        started,
        row["seconds"],
        sources,
        tuple(json.loads(row["models"])),
        tuple(json.loads(row["checks"])),
    )


@contextlib.contextmanager
def _engine_errors(read: Sequence[tuple[Source, Sequence[Path]]] = ()) -> Iterator[None]:
    """Say in our own words what the engine's errors mean; `read` are the files in use."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise ResourceError(
            f"DuckDB ran out of memory or of disk to spill to: {_first_line(error)}",
            "Give it more with --memory-limit, or free disk beside the database. "
            "The last build is unchanged.",
        ) from error
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise ResourceError(
                f"The disk is full: {_first_line(error)}",
                "Free space beside the database. The last build is unchanged.",
            ) from error
        for source, paths in read:
            if fault := files.diagnose(error, source, paths):
                raise fault from error
        raise EngineError(f"DuckDB: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _cannot_open(path: Path | None, error: duckdb.IOException) -> PipelineError:
    if "lock" in str(error).lower():
        return DatabaseLockedError(
            f"{path} is open for writing elsewhere: {_first_line(error)}",
            "Close that program, or let it open the file read-only.",
        )
    return UsageError(
        f"{path} can't be opened as a DuckDB database: {_first_line(error)}",
        "Name another file with --database, or move this one away.",
    )


@contextlib.contextmanager
def _locked_folder(database: Path) -> Iterator[Path]:
    """Make a folder beside the database that only one build holds; remove it in the end.

    A killed build's lock dies with its process, and the next build clears what it left.
    """
    folder = database.with_name(f".{database.name}.building")
    handle = _lock(folder)
    try:
        for leftover in folder.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        (folder / "pid").write_text(str(os.getpid()))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _lock(folder: Path) -> int:
    while True:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise UsageError(
                f"Another build of this database is running{_process_in(folder)}.",
                "Wait until it ends, or build into another file with --database.",
            ) from error
        if _is_same(folder, handle):
            return handle
        os.close(handle)  # the build that held it has just ended and removed it: try again


def _is_same(folder: Path, handle: int) -> bool:
    try:
        return folder.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _process_in(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f" (process {int((folder / 'pid').read_text())})"
    return ""


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
