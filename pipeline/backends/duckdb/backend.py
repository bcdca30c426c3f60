"""The DuckDB backend: a database file that builds replace as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline.backends.base import Gone
from pipeline.backends.duckdb import manifest, published, tested
from pipeline.backends.duckdb.answers import fetched
from pipeline.backends.duckdb.changing import DuckDBIncrementalWorkspace
from pipeline.backends.duckdb.contents import Contents, contents
from pipeline.backends.duckdb.errors import (
    DatabaseLockedError,
    StrayLogError,
    engine_errors,
    first_line,
    opening,
)
from pipeline.backends.duckdb.folder import building_folder
from pipeline.backends.duckdb.increment import DuckDBIncrement
from pipeline.backends.duckdb.inputs import inputs_of
from pipeline.backends.duckdb.interrupts import interruptible
from pipeline.backends.duckdb.memory import leave_room
from pipeline.backends.duckdb.session import DuckDBSession, attach, attach_without_log
from pipeline.backends.duckdb.tables import DuckDBTables
from pipeline.backends.duckdb.workspace import DuckDBWorkspace
from pipeline.errors import UsageError
from pipeline.files import absolute
from pipeline.results import LastTest, RunRecord
from pipeline.sources import EVENTS
from pipeline.sql import Engine, Names

Opened = TypeVar("Opened", bound=DuckDBWorkspace)

STORAGE_VERSION = "v1.4.0"
"""The format of new files: newer than DuckDB's default, it compresses texts a fifth faster."""


@dataclass(frozen=True)
class DuckDB:
    """A DuckDB database file, the engine's limits, and the files of the sources."""

    database: Path
    threads: int | None = None
    memory_limit: str | None = None
    inputs: dict[str, tuple[str, ...]] | None = None
    engine: Engine = "duckdb"
    namespaces: tuple[Names, Names] = ((None, None), (None, None))

    @property
    def place(self) -> str:
        """The path of the database file, as the user wrote it."""
        return str(self.database)

    def __post_init__(self) -> None:
        name = os.fsencode(self.database).decode(errors="backslashreplace")
        if name != str(self.database):
            raise UsageError(
                f"{name} can't be a DuckDB database: its path is not UTF-8.",
                "Name another file with --database.",
            )
        if "?" in str(self.file):
            # DuckDB cuts the path at the ?, and looks elsewhere for the files beside it
            raise UsageError(
                f"{self.database} can't be a DuckDB database: there is a ? in its path.",
                "Name another file with --database.",
            )

    @property
    def file(self) -> Path:
        """The database file; if `database` is a link, the file it leads to."""
        return Path(os.path.realpath(self.database))

    @contextlib.contextmanager
    def workspace(
        self, names: Collection[str], *, keep: bool, gone: Gone = "refuse"
    ) -> Iterator[DuckDBWorkspace]:
        """Open a new file beside the database to build models in.

        With `keep`, the new file starts as a copy of the published one; without, it has these
        models only. Both keep the tables that are not ours. `gone` is the fate of staged rows whose
        files are gone.

        Raises:
            UsageError: another build of this database runs, or the file is not a DuckDB database of
                ours.
            InputError: files that the user named are missing, also if no model reads them.
            ResourceError: the disk is full.
        """
        with (
            building_folder(self.file) as folder,
            self.workspace_in(folder, names, DuckDBWorkspace, keep=keep, gone=gone) as workspace,
        ):
            yield workspace

    @contextlib.contextmanager
    def increment(self) -> Iterator[DuckDBIncrement]:
        """Hold the published file, so no other build changes it.

        Raises:
            UsageError: another build of this database runs, or the file is not a DuckDB database.
        """
        with building_folder(self.file) as folder:
            _, held = self._look_through(folder, ())
            yield DuckDBIncrement(
                self.inputs or {},
                held,
                lambda names: self.workspace_in(
                    folder, names, DuckDBIncrementalWorkspace, keep=True
                ),
            )

    def for_all(self) -> DuckDB:
        """Return the same backend with all events ever read, and those given now."""
        previous = self.last_run()
        if previous is None or not self.inputs or EVENTS not in self.inputs:
            return self
        read = previous.sources.get(EVENTS)
        given = [absolute(pattern) for pattern in self.inputs[EVENTS]]
        events = tuple(dict.fromkeys([*(read.inputs if read else ()), *given]))
        return replace(self, inputs={**self.inputs, EVENTS: events})

    @contextlib.contextmanager
    def workspace_in(
        self,
        folder: Path,
        names: Collection[str],
        kind: type[Opened],
        *,
        keep: bool,
        gone: Gone = "refuse",
    ) -> Iterator[Opened]:
        """Open a new file in a folder that this build holds; see `workspace`."""
        work = folder / self.file.name
        found = published.stamp(self.file)
        readable, held = self._look_through(folder, names)
        held.require_room(self.database, names)
        self._require_given(held.previous)
        copied = readable is not None and (keep or held.foreign)
        if readable and copied:
            published.copy(readable, work, log=True)
            published.write_early(work)
        with self._connection(work) as con:
            if self.memory_limit is not None:
                leave_room(con)
            workspace = kind(
                con,
                work,
                self.file,
                lambda source: inputs_of(source, self.inputs or {}, held.previous),
                held,
                () if keep else tuple(sorted(held.models.difference(names))),
                copied,
                lambda: self._require_unwritten(found),
                self._notes(readable),
                gone,
                readable,
            )
            if copied and not keep:
                workspace.remove(held.models)
            elif readable and not copied and held.previous:
                workspace.bring_history(readable)
            yield workspace

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
        with self.reading(self.database) as con:
            yield DuckDBTables(con)

    @contextlib.contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        """Open one connection for the published tables and the raw files; it reads nothing yet."""
        with self._connection(None) as con:
            yield DuckDBSession(
                con,
                self.database,
                lambda source, previous: inputs_of(source, self.inputs or {}, previous),
            )

    def filtered(self, table: ir.Table, condition: sge.Expression) -> ir.Table:
        """Return the rows of a table for which a condition holds.

        Raises:
            UsageError: DuckDB does not understand the condition.
        """
        con = table.get_backend()
        rows = con.compiler.to_sqlglot(table).subquery("rows")
        answer = sge.select(sge.alias_(condition, "answer")).from_(rows)
        chosen = sge.select("*").from_(rows).where(condition)
        remedy = "Write one boolean expression over the model's columns."
        try:
            if not con.sql(answer.sql("duckdb")).schema()["answer"].is_boolean():
                raise UsageError("The condition is neither true nor false.", remedy)
            return con.sql(chosen.sql("duckdb"))
        except duckdb.Error as error:
            raise UsageError(
                f"DuckDB does not take the condition: {first_line(error)}", remedy
            ) from error

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression on the connection of its tables."""
        with engine_errors():
            con = expr.get_backend()
            return interruptible(con, lambda: fetched(con, expr))

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, if there is one."""
        if not self.database.exists():
            return None
        with self.reader() as reader:
            return reader.last_run()

    def tested(self) -> LastTest | None:
        """Return the results of the last `test`, None if there are none.

        Raises:
            UsageError: the file with them is damaged.
        """
        return tested.read(self.file)

    def keep_tested(self, results: LastTest) -> None:
        """Keep the results of a `test` beside the database.

        Raises:
            ResourceError: the disk is full.
            UsageError: the folder can't be written.
        """
        tested.write(self.file, results)

    def _connect(self, path: Path | None) -> IbisDuckDB:
        if (self.memory_limit or "").lstrip().startswith("-"):
            # DuckDB would take it as no limit at all
            raise UsageError(
                f"--memory-limit {self.memory_limit} is less than nothing.",
                "Write it like 4GB or 512MB.",
            )
        spill = path.parent / "spill" if path else f"{self.file}.tmp"
        limits = {"threads": self.threads, "memory_limit": self.memory_limit}
        config = {name: value for name, value in limits.items() if value is not None}
        with opening(path):
            return ibis.duckdb.connect(
                ":memory:",
                temp_directory=str(spill),
                # the order of rows means nothing, and keeping it costs memory
                preserve_insertion_order=False,
                storage_compatibility_version=STORAGE_VERSION,
                # compress each block of rows when it is full; five at a time take more memory
                write_buffer_row_group_count=1,
                # a checkpoint is rare: each time DuckDB writes the last block of each table anew
                checkpoint_threshold="1GB",
                # a missing extension is an error, nothing to download
                autoinstall_known_extensions=False,
                autoload_known_extensions=False,
                # The first optimizer stores a wide table that a query reads twice, which is slower
                # than reading it twice. The second swaps the sides of a join by guessed sizes. The
                # models know better: they write the smaller side on the right, which is hashed.
                disabled_optimizers="common_subplan,build_side_probe_side",
                **config,
            )

    @contextlib.contextmanager
    def _connection(self, path: Path | None) -> Iterator[IbisDuckDB]:
        con = self._connect(path)
        try:
            if path is not None:
                attach_without_log(con, path)
            with engine_errors():
                yield con
        finally:
            con.disconnect()

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[IbisDuckDB]:
        """Open a database file for reading."""
        with self._connection(None) as con:
            attach(con, path)
            yield con

    def _require_given(self, previous: RunRecord | None) -> None:
        """Find the files that the user named, also those that no model reads."""
        for source, patterns in (self.inputs or {}).items():
            read = previous.sources.get(source) if previous and source == EVENTS else None
            manifest.find(patterns, read.inputs if read else ())

    def _notes(self, published: Path | None) -> list[str]:
        if published or self.inputs:
            return []
        return [
            f"{self.database} is new in {Path.cwd()}, and no files were named: this builds the "
            "sample. Name files of your own with --events and --users.",
        ]

    def _look_through(self, folder: Path, names: Collection[str]) -> tuple[Path | None, Contents]:
        """Return a path where the published file can be read, and its contents.

        Another program may have the file open. The path is None if there is no file yet.
        """
        if not self.file.exists():
            return None, Contents()
        path = self.file
        try:
            return path, self._contents(path, names)
        except StrayLogError:
            # under another path the file has no log
            path = folder / f"published-{self.file.name}"
            try:
                path.hardlink_to(self.file)
            except OSError:  # the file system has no hard links
                published.copy(self.file, path, log=False)
        except DatabaseLockedError:
            # a writing program locks the file, even against reading; a copy is not locked
            path = folder / f"published-{self.file.name}"
            published.copy(self.file, path, log=True)
        try:
            return path, self._contents(path, names)
        except StrayLogError:
            published.log_of(path).unlink()
            return path, self._contents(path, names)

    def _contents(self, path: Path, names: Collection[str]) -> Contents:
        with self.reading(path) as con:
            return contents(con, names)

    def _require_unwritten(self, found: published.Stamp) -> None:
        """Check that nobody has written to the published file since `found`."""
        file, log = published.stamp(self.file)
        if (file, log) == found:
            return
        if file == found[0] and (log is None or self._has_stray_log()):
            return
        raise UsageError(
            f"Another program has written to {self.database} since this build began. "
            "To publish would lose that.",
            "Close that program, then build again. The database is as that program left it.",
        )

    def _has_stray_log(self) -> bool:
        try:
            with self.reading(self.file):
                return False
        except StrayLogError:
            return True
        except DatabaseLockedError:
            return False
