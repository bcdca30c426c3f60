"""One connection to the published tables and the raw files, so one query can use both."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from pipeline.backends.base import Choose
from pipeline.backends.duckdb import manifest
from pipeline.backends.duckdb.answers import identifier, text
from pipeline.backends.duckdb.errors import engine_errors, opening
from pipeline.backends.duckdb.inputs import Inputs
from pipeline.backends.duckdb.tables import DuckDBTables
from pipeline.contract import Model
from pipeline.errors import InputError, PipelineError, UsageError
from pipeline.files import read
from pipeline.results import RunRecord
from pipeline.sources import EVENTS, Source

_PUBLISHED = "published"
"""The published database's name on the connection."""
_BESIDE_MEMORY = "memory_db"
"""The name of a database whose file is named like DuckDB's own database in memory."""


@dataclass(frozen=True)
class DuckDBSession(DuckDBTables):
    """The published tables and the raw sources on one connection; each is opened when needed.

    Expressions stay usable after `refresh`: they then read what is published by then.
    """

    database: Path
    inputs: Callable[[str, RunRecord | None], Inputs]
    _raw: dict[str, tuple[frozenset[str], ir.Table]] = field(default_factory=dict)
    """The columns and the table of each source whose files are open."""

    def exists(self) -> bool:
        """Tell whether there is a database file."""
        return self._is_open() or self.database.exists()

    def names(self) -> set[str]:
        """Return the names of all tables and views.

        Raises:
            UsageError: nothing is built yet, or the file can't be read.
        """
        self._attach()
        return super().names()

    def table(self, name: str) -> ir.Table:
        """Return a published table or view."""
        self._attach()
        return super().table(name)

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the records of the last builds, none if nothing is built yet."""
        if not self.exists():
            return []
        self._attach()
        return super().runs(limit)

    def listed(self, name: str, columns: Sequence[str], limit: int) -> pa.Table | None:
        """Return None: a query costs nothing, and its rows have an order."""

    def parts(self, model: Model, table: ir.Table) -> Iterator[ir.Table]:
        """Yield all of a table."""
        yield table

    def source(self, source: Source, columns: Collection[str]) -> ir.Table:
        """Return a source's files as one table; the session looks through them once.

        Raises:
            UsageError: no files were given for the source and none are recorded.
            InputError: a file can't be used.
        """
        known, table = self._raw.get(source.name, (frozenset(), None))
        if table is None or not known.issuperset(columns):
            wanted = known.union(columns)
            paths = self.inputs(source.name, self.last_run()).find()
            raw = read(self.con, source, paths, wanted, scratch=self._scratch())
            # now, because evaluating the table later has no second try
            raw.mend()
            table = raw.table
            self._raw[source.name] = (wanted, table)
        return table.select(*(column.name for column in source.columns if column.name in columns))

    def rows_read(
        self, source: Source, columns: Collection[str], chosen: Choose, folder: Path
    ) -> Sequence[Path]:
        """Return the files of a source that the published build read, with all of their rows.

        Raises:
            InputError: a file is gone or has changed, or the build kept no record of its files.
        """
        run = self.last_run()
        read = run.sources.get(source.name) if run else None
        recorded = manifest.read(self.con) if source.name == EVENTS else read and read.files
        if not recorded:
            raise InputError(
                f"The published build keeps no record of the files of {source.name}.",
                "Build in full: `python cli.py build`.",
            )
        manifest.require_as_read(recorded)
        return [Path(each.path) for each in recorded]

    def refresh(self) -> None:
        """Open the build that is published now; look through the files anew when needed."""
        self._raw.clear()
        # the next use of a table reports what went wrong
        with contextlib.suppress(PipelineError), engine_errors():
            if self._is_open():
                self.con.raw_sql("USE memory")
                self.con.raw_sql(f"DETACH {_PUBLISHED}")
                self._attach()

    def _scratch(self) -> Path:
        """Return a new folder for temporary copies of files; it ends with the session."""
        folder = Path(tempfile.mkdtemp(prefix="pipeline-sources-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _is_open(self) -> bool:
        return self.con.current_catalog == _PUBLISHED

    def _attach(self) -> None:
        if self._is_open():
            return
        if not self.exists():
            raise UsageError(
                f"There is no database {self.database} yet.",
                "Build it first: `python cli.py build`, or name another one with --database.",
            )
        attach(self.con, self.database)


def attach(con: Backend, path: Path) -> None:
    """Open a database for reading and make it the default one.

    DuckDB caches databases per process: a second connect() returns the first instance, with its
    settings and old content. ATTACH avoids the cache.
    """
    with opening(path):
        con.raw_sql(f"ATTACH {text(path.absolute())} AS {_PUBLISHED} (READ_ONLY)")
    con.raw_sql(f"USE {_PUBLISHED}")


def attach_without_log(con: Backend, path: Path) -> None:
    """Open a database for writing and make it the default one; it keeps its own name.

    A build that ends early leaves a file of no use. A log could only recover that, and DuckDB waits
    for the disk at each entry. A log that lies beside the file already is read all the same.
    """
    is_memory = path.name.split(".")[0].casefold() == "memory"  # the connection's own database
    name = f" AS {_BESIDE_MEMORY}" if is_memory else ""
    with opening(path):
        con.raw_sql(f"ATTACH {text(path.absolute())}{name} (RECOVERY_MODE no_wal_writes)")
    query = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL"
    (opened,) = con.con.execute(query).fetchone()
    con.raw_sql(f"USE {identifier(opened)}.main")
