"""The tables of an open DuckDB database, and the record of its last build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline.backends.base import record_of
from pipeline.backends.duckdb.errors import engine_errors
from pipeline.backends.duckdb.interrupts import interruptible
from pipeline.results import RunRecord
from pipeline.sql import to_query

RECORDS = "_pipeline"
"""The schema with the records of builds."""


@dataclass(frozen=True)
class DuckDBTables:
    """The tables and views of an open DuckDB database."""

    charges_by_bytes: ClassVar[bool] = False

    con: IbisDuckDB

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
            "SELECT table_type = 'VIEW' FROM information_schema.tables WHERE table_name = ?"
            " AND table_catalog = current_database() AND table_schema = current_schema()"
        )
        return any(is_view for (is_view,) in self.con.con.execute(query, [name]).fetchall())

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression; DuckDB has no use for `model`."""
        with engine_errors():
            return interruptible(self.con, lambda: self.con.to_pyarrow(expr))

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression to a Parquet file; DuckDB writes it, not Python."""
        query = to_query(expr, "duckdb").sql("duckdb")
        target = sge.convert(str(file)).sql("duckdb")
        copy = f"COPY ({query}) TO {target} (FORMAT parquet)"
        with engine_errors():
            interruptible(self.con, lambda: self.con.raw_sql(copy))

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the records of the last builds, at most `limit`, the latest first."""
        if RECORDS not in self.con.list_databases():
            return []
        if "runs" not in self.con.list_tables(database=RECORDS):
            return []  # another program's schema of this name
        runs = self.con.table("runs", database=RECORDS)
        latest = runs.order_by(ibis.desc("started_at")).limit(limit)
        return [record_of(row) for row in self.con.to_pyarrow(latest).to_pylist()]

    def last_run(self) -> RunRecord | None:
        """Return the record of the last build, if the database has one."""
        return next(iter(self.runs(1)), None)
