"""The tables of an open DuckDB database, and the record of its last build."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline.arrow_values import EPOCH
from pipeline.backends.duckdb.answers import fetched, text
from pipeline.backends.duckdb.errors import engine_errors
from pipeline.backends.duckdb.interrupts import interruptible
from pipeline.backends.rows import record_of
from pipeline.results import RunRecord
from pipeline.sql import to_sql

RECORDS = "_pipeline"
"""The schema with the records of builds."""


@dataclass(frozen=True)
class DuckDBTables:
    """The tables and views of an open DuckDB database."""

    charges_by_bytes: ClassVar[bool] = False

    con: IbisDuckDB

    @property
    def at_once(self) -> int:
        """One: DuckDB runs a statement on all processors."""
        return 1

    def cancel(self) -> None:
        """Do nothing: no other thread runs a statement."""

    def names(self) -> set[str]:
        """Return the names of all tables and views."""
        return set(self.con.list_tables())

    def table(self, name: str) -> ir.Table:
        """Return a table or view."""
        with engine_errors():
            return self.con.table(name)

    def is_view(self, name: str) -> bool:
        """Tell whether it is a view."""
        query = (
            "SELECT table_type = 'VIEW' FROM information_schema.tables"
            f" WHERE table_name = {text(name)}"
            " AND table_catalog = current_database() AND table_schema = current_schema()"
        )
        return any(is_view for (is_view,) in self.con.con.execute(query).fetchall())

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression; DuckDB has no use for `model`."""
        with engine_errors():
            return interruptible(self.con, lambda: fetched(self.con, expr))

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression to a Parquet file; DuckDB writes it, not Python."""
        copy = f"COPY ({to_sql(expr, 'duckdb')}) TO {text(file)} (FORMAT parquet)"
        with engine_errors():
            interruptible(self.con, lambda: self.con.raw_sql(copy))

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the records of the last builds, at most `limit`, the latest first."""
        if not self._keeps_runs():
            return []
        # DuckDB itself and PyArrow make a time with the help of other libraries
        latest = self.con.con.execute(
            "SELECT * REPLACE (epoch_us(started_at) AS started_at)"
            f" FROM {RECORDS}.runs ORDER BY started_at DESC LIMIT {limit:d}"
        )
        names = [column[0] for column in latest.description or ()]
        found = []
        for values in latest.fetchall():
            row = dict(zip(names, values, strict=True))
            row["started_at"] = EPOCH + timedelta(microseconds=row["started_at"])
            found.append(record_of(row))
        return found

    def _keeps_runs(self) -> bool:
        # another program's schema of this name may hold other tables
        query = (
            f"SELECT count(*) > 0 FROM duckdb_tables() WHERE schema_name = '{RECORDS}'"
            " AND table_name = 'runs' AND database_name = current_database()"
        )
        return bool((self.con.con.execute(query).fetchone() or (False,))[0])

    def last_run(self) -> RunRecord | None:
        """Return the record of the last build, if the database has one."""
        return next(iter(self.runs(1)), None)
