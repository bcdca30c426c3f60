"""The new file that a build writes into before it takes the place of the published one."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path

import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline import files
from pipeline.backends.base import Made, Raw, RunRecord, SourceRead
from pipeline.backends.duckdb.errors import engine_errors
from pipeline.backends.duckdb.folder import sync_folder
from pipeline.backends.duckdb.tables import RECORDS, DuckDBTables
from pipeline.contract import Model
from pipeline.disk import writing
from pipeline.expressions import row_order
from pipeline.sources import Source


@dataclass(frozen=True)
class DuckDBWorkspace(DuckDBTables):
    """A new database file that a build writes into."""

    path: Path
    file: Path
    """The published file, whose place the new one takes."""
    inputs: Callable[[str], Sequence[str]]
    """Gives the paths and globs of a source."""
    _read: list[files.Raw] = field(default_factory=list)
    _orders: set[tuple[str, str]] = field(default_factory=set)
    """The tables of this build that are stored in an order, each with its column."""

    def read_source(self, source: Source, columns: Collection[str]) -> Raw:
        """Return a source's files as one table, with the columns in use.

        Raises:
            UsageError: no files were given for the source and none are recorded.
            InputError: a file can't be used.
        """
        inputs = self.inputs(source.name)
        raw = files.read(self.con, source, files.find(inputs), columns)
        self._read.append(raw)
        # the patterns, not what they match today: a glob finds tomorrow's files too
        patterns = tuple(files.absolute(pattern) for pattern in inputs)
        return Raw(raw.table, SourceRead(patterns, raw.rows))

    def create(self, model: Model, expr: ir.Table) -> Made:
        """Create the model's table or view.

        Raises:
            InputError: what is read turns out to be faulty, only now that it is.
            EngineError: DuckDB can't run the model's statement.
            ResourceError: memory or disk ran out.
        """
        self._drop(model.name)
        name = sge.table_(model.name, quoted=True)
        if model.partition_by:
            # rows of a day lie together, so that a query of one reads few blocks
            if row_order(expr, model.partition_by) not in self._orders:
                expr = expr.order_by(model.partition_by)
            self._orders.add((model.name, model.partition_by))
        query = self.con.compiler.to_sqlglot(expr)
        create = sge.Create(this=name, kind=model.materialized.upper(), expression=query)
        with engine_errors(self._read):
            _run(self.con, create.sql("duckdb"))
            for raw in self._read:
                if raw.source.name in model.upstream:
                    files.require_unchanged(raw)
            if model.materialized == "view":
                return Made(None)
            counted = self.con.to_pyarrow(self.table(model.name).count())
        return Made(int(counted.as_py()))

    def publish(self, record: RunRecord) -> None:
        """Record the run, and put the new file in the place of the old one."""
        with engine_errors():
            self._write(record)
            self.con.raw_sql("CHECKPOINT")
        self.con.disconnect()
        with writing(self.file):
            # what another program left in the old file's log must not be replayed on the new file
            Path(f"{self.file}.wal").unlink(missing_ok=True)
            self.path.replace(self.file)
            sync_folder(self.file.parent)

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


def _run(con: IbisDuckDB, statement: str) -> None:
    # in the middle of a long statement DuckDB does not look for Ctrl-C; beside it, we do
    with ThreadPoolExecutor(1) as worker:
        running = worker.submit(con.raw_sql, statement)
        try:
            running.result()
        except KeyboardInterrupt:
            # again and again: a statement that has not begun yet does not heed it
            while wait([running], timeout=0.05).not_done:
                con.con.interrupt()
            raise
