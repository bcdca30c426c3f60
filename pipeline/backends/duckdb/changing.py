"""A copy of the published database file that an incremental build changes.

Finding and writing changed rows takes plain statements, written here: Ibis would take longer to
compile them than DuckDB to run them on a small batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline.backends.base import RawTable
from pipeline.backends.duckdb.answers import identifier
from pipeline.backends.duckdb.errors import engine_errors
from pipeline.backends.duckdb.interrupts import interruptible
from pipeline.backends.duckdb.workspace import DuckDBWorkspace, by_day
from pipeline.contract import Model
from pipeline.counting import IN_FULL, Expected, row_count
from pipeline.errors import UsageError
from pipeline.expressions import expression
from pipeline.results import SourceRead
from pipeline.sources import EVENTS, Source

_BLOCK_ROWS = 122_880
"""The rows of a block; DuckDB knows each block's least and greatest values."""
_LOOSE_SHARE = 0.1
_LEAST_BLOCKS = 2
"""So many blocks out of order slow no query; the threads of a full build leave about as many."""
_LOOSE = """
WITH blocks AS (
SELECT rowid // {block} AS block, max({day}) AS last FROM {table} GROUP BY 1
),
earlier AS (
SELECT blocks.block, max(others.last) AS last
FROM blocks LEFT JOIN blocks AS others ON others.last < blocks.last GROUP BY 1
)
SELECT count(*), count(*) FILTER ({day} < earlier.last)
FROM {table} AS rows JOIN earlier ON rows.rowid // {block} = earlier.block
"""
"""Counts a table's rows, and those whose day lies before the last day of an earlier block.

Earlier is a block that ends on an earlier day, wherever it lies: threads write blocks in any order.
"""

_LOST_SHARE = 0.05
"""From this share of deleted rows on, a table spares their space."""
_SIDE = "_side"
"""The column that counts how many more copies of a row the new table has; below zero, fewer."""


@dataclass(frozen=True)
class DuckDBIncrementalWorkspace(DuckDBWorkspace):
    """A copy of the published file that a build changes."""

    _numbers: Iterator[int] = field(default_factory=count)
    _counted: dict[str, int] = field(default_factory=dict)
    _new: list[Path] = field(default_factory=list)
    _patterns: list[str] = field(default_factory=list)

    def begin(self, new: Sequence[Path], patterns: Sequence[str]) -> None:
        """Note which files are new, and the patterns that name all files."""
        self._new.extend(new)
        self._patterns.extend(patterns)

    def read_new(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return the new files as one table, with the columns in use.

        Raises:
            InputError: a file can't be used.
        """
        raw = self.read_paths(source, self._new, columns)
        recorded = self.held.files or ()
        before = sum(each.rows for each in recorded)
        inputs = self.inputs(source.name)
        told = replace(inputs.read(len(raw.files), raw.rows), rows_before=before)
        patterns = () if inputs.origin == "sample" else tuple(self._patterns)
        read = SourceRead(
            patterns,
            before + raw.rows,
            (*recorded, *raw.files),
            new_files=len(raw.files),
            new_rows=raw.rows,
            kept_rows=self._kept_rows(),
        )
        return RawTable(raw.table, read, told)

    def _kept_rows(self) -> int | None:
        read = self.held.previous.sources.get(EVENTS) if self.held.previous else None
        return read.kept_rows if read else None

    def staged(self, model: Model, new: ir.Table) -> ir.Table:
        """Store the rows that a model makes of the new files' rows.

        Raises:
            InputError: a file is faulty or has changed.
        """
        return self.stored(expression(model, lambda _: new))

    def known_days(self, name: str, column: str, units: ir.Table) -> None:
        """Return None: a file keeps no days apart."""

    def stored(self, expr: ir.Table, *, model: str = "") -> ir.Table:
        """Evaluate an expression into a temporary table.

        Raises:
            InputError: a file that the expression reads is faulty or has changed.
            ResourceError: memory or disk ran out.
        """
        query = self.con.compiler.to_sqlglot(expr).sql("duckdb")
        return self._stored(query, expr.schema())

    def _stored(self, query: str, schema: ibis.Schema) -> ir.Table:
        name = f"stored_{next(self._numbers)}"
        with engine_errors(self.read_files):
            self._counted[name] = self.make(f"CREATE TEMP TABLE {name} AS {query}")
        columns = {column: kind.copy(nullable=True) for column, kind in schema.items()}
        namespace = ops.Namespace(catalog="temp", database="main")
        return ops.DatabaseTable(name, ibis.schema(columns), self.con, namespace).to_expr()

    def count(self, table: ir.Table) -> int:
        """Return the number of rows; a stored table's is known."""
        known = self._counted.get(table.op().name) if _is_stored(table) else None
        return row_count(table, self.fetch) if known is None else known

    def identity(self, units: ir.Table) -> tuple[int, int]:
        """Return the number of units, and a hash of all of them."""
        rows, hashed = self._answer(
            f"SELECT count(*), bit_xor(hash(unit)) FROM {self._from(units)}"
        )
        return rows, hashed or 0

    def counted(self, model: Model, expected: Expected) -> int:
        """Return the number of rows of a changed table.

        Raises:
            UsageError: it is another one than expected.
        """
        counted = self.count(self.table(model.name))
        if expected.rows is not None and expected.rows != counted:
            raise UsageError(expected.refusal(model.name, f"{counted:,}"), IN_FULL)
        return counted

    def differing(self, one: ir.Table, other: ir.Table) -> ir.Table:
        """Return the rows that are in one table only, counting copies."""
        gone, more = (a.difference(b, distinct=False) for a, b in ((one, other), (other, one)))
        return gone.union(more)

    def differences(
        self, model: Model, old: ir.Table, new: ir.Table
    ) -> tuple[ir.Table, ir.Table, int, int]:
        """Return a model's rows in `old` only and in `new` only, and their numbers."""
        columns = _listed(new.columns)
        sides = " UNION ALL ".join(
            f"SELECT {columns}, {side} AS {_SIDE} FROM {self._from(rows)}"
            for rows, side in ((old, -1), (new, 1))
        )
        # one aggregate of both takes half as long as EXCEPT both ways, and counts copies too
        counted = (
            f"SELECT {columns}, sum({_SIDE})::BIGINT AS {_SIDE} FROM ({sides})"
            f" GROUP BY ALL HAVING sum({_SIDE}) <> 0"
        )
        found = self._from(self._stored(counted, ibis.schema({**new.schema(), _SIDE: "int64"})))
        went, came = (
            self._stored(
                f"SELECT {columns} FROM {found}, LATERAL range({sign} * {_SIDE})", new.schema()
            )
            for sign in (-1, 1)
        )
        return went, came, self.count(went), self.count(came)

    def replace(self, model: Model, by: tuple[str, ...], gone: ir.Table, rows: ir.Table) -> None:
        """Delete the table's rows that equal a row of `gone` in the columns `by`.

        Add those of `rows` that equal one.
        """
        columns = map(identifier, by)
        equal = " AND ".join(f"one.{each} IS NOT DISTINCT FROM other.{each}" for each in columns)
        other = f"{self._from(self.stored(gone))} AS other ON {equal}"
        matching = f"AS one SEMI JOIN {other}"
        table = identifier(model.name)
        # found first, because the delete itself would read all blocks
        found = self._stored(
            f"SELECT one.rowid AS number FROM {table} {matching}",
            ibis.schema({"number": "int64"}),
        )
        with engine_errors():
            self.make(f"DELETE FROM {table} WHERE rowid IN (FROM {self._from(found)})")
        coming = _select(model.schema.names, f"{self._from(rows)} {matching}")
        self._insert(model, by_day(model.partition_by, coming) if model.partition_by else coming)
        if model.partition_by and self._is_loose(model):
            self._sort_again(model)
        elif self._has_lost_many(table):
            self.con.raw_sql("RESET max_vacuum_tasks")

    def _has_lost_many(self, table: str) -> bool:
        """Tell whether deleted rows take so much space that sparing it is worth the time."""
        lost, rows = self._answer(
            f"SELECT coalesce(max(rowid) + 1, 0) - count(*), count(*) FROM {table}"
        )
        return bool(lost > _LOST_SHARE * rows)

    def _answer(self, query: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        with engine_errors():
            return interruptible(self.con, lambda: self.con.con.execute(query).fetchall())[0]

    def _from(self, rows: ir.Table) -> str:
        """Return rows as a statement reads them: a stored table by its name."""
        if _is_stored(rows):
            return f"temp.{identifier(rows.op().name)}"
        return f"({self.con.compiler.to_sqlglot(rows).sql('duckdb')})"

    def _is_loose(self, model: Model) -> bool:
        """Tell whether so many rows are out of order by day that a query of a day is slow."""
        rows, loose = self._answer(
            _LOOSE.format(
                table=identifier(model.name),
                day=identifier(str(model.partition_by)),
                block=_BLOCK_ROWS,
            )
        )
        return bool(loose > max(_LOOSE_SHARE * rows, _LEAST_BLOCKS * _BLOCK_ROWS))

    def _sort_again(self, model: Model) -> None:
        # the order of a temporary table's rows is unknown, so create() sorts them
        self.create(model, self.stored(self.table(model.name)))


def _select(columns: Sequence[str], rows: str) -> str:
    return f"SELECT {_listed(columns)} FROM {rows}"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(identifier, columns))


def _is_stored(table: ir.Table) -> bool:
    op = table.op()
    return isinstance(op, ops.DatabaseTable) and op.namespace.catalog == "temp"
