"""The published tables and the raw ones, on one connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from google.cloud import bigquery

from pipeline.backends.base import Choose
from pipeline.backends.bigquery.errors import is_missing
from pipeline.backends.bigquery.statements import DIALECT, as_of
from pipeline.backends.bigquery.tables import PublishedTables
from pipeline.contract import Model
from pipeline.errors import EngineError, InputError, UsageError
from pipeline.results import RunRecord, SourceRead
from pipeline.sources import Source
from pipeline.sql import to_query

_ANEW = "Build again: `python cli.py build --backend bigquery`."


@dataclass(frozen=True)
class BigQuerySession:
    """The published tables and the raw ones; it looks for the models' dataset when needed.

    It asks BigQuery for the description of each table once, until `refresh`.
    """

    charges_by_bytes: ClassVar[bool] = True

    open: Callable[[], PublishedTables]
    raw: Callable[[Source, Collection[str]], ir.Table]
    describe_raw: Callable[[Source], bigquery.Table]

    @property
    def at_once(self) -> int:
        """The most jobs that may run at a time."""
        return self._published.at_once

    def cancel(self) -> None:
        """Cancel the running jobs, and let no new one begin."""
        self._published.cancel()

    def exists(self) -> bool:
        """Tell whether there is a dataset for the models."""
        try:
            return bool(self._published)
        except UsageError as error:
            if not is_missing(error.__cause__):
                raise
            return False

    def names(self) -> set[str]:
        """Return the names of all tables and views."""
        return self._published.names()

    def table(self, name: str) -> ir.Table:
        """Return a table or view."""
        return self._published.table(name)

    def is_view(self, name: str) -> bool:
        """Tell whether it is a view."""
        return self._published.is_view(name)

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression, for a model's checks if it is named."""
        return self._published.fetch(expr, model=model)

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression to a Parquet file."""
        self._published.export(expr, file)

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the records of the last builds, the latest first."""
        return self._published.runs(limit)

    def last_run(self) -> RunRecord | None:
        """Return the record of the last build, if there is one."""
        return self._published.last_run()

    def listed(self, name: str, columns: Sequence[str], limit: int) -> pa.Table | None:
        """Return some rows of a table, which is free; None for a view, which only a query reads."""
        return self._published.listed(name, columns, limit)

    def parts(self, model: Model, table: ir.Table) -> Iterator[ir.Table]:
        """Yield a view's rows of a few days, then all of it if need be."""
        return self._published.parts(model, table)

    def source(self, source: Source, columns: Collection[str]) -> ir.Table:
        """Return a raw table with these columns.

        Raises:
            InputError: there is no such table, or it lacks one of the columns.
        """
        return self.raw(source, columns)

    def rows_read(
        self, source: Source, columns: Collection[str], chosen: Choose, folder: Path
    ) -> Sequence[Path]:
        """Write the chosen rows of a raw table to a file, as they were when the build read them.

        BigQuery keeps a table's past for seven days; of a raw view it knows only the present.

        Raises:
            InputError: the raw table has another number of rows than the build read, or BigQuery
                can't read it as it was.
        """
        run, rows = self.last_run(), self.raw(source, columns)
        read = run.sources.get(source.name) if run else None
        if read is None:
            raise InputError(f"The published build has no record of {source.name}.")
        file = folder / f"{source.name}.parquet"
        held = self._as_it_was(source, read)
        try:
            counted = self.fetch(held(rows.aggregate(rows=rows.count())))
            self.export(held(chosen(rows)), file)
        except EngineError as error:
            raise InputError(
                f"{source.name} can't be read as it was at {read.read_at}. {error.what}", _ANEW
            ) from error
        (number,) = counted.column(0).to_pylist()
        if number != read.rows:
            raise InputError(
                f"{source.name} has {number:,} rows, and the published build read {read.rows:,}.",
                _ANEW,
            )
        return [file]

    def _as_it_was(self, source: Source, read: SourceRead) -> Callable[[ir.Table], ir.Table]:
        """Return a function that makes an expression read the raw table of the build's moment."""
        found = self.describe_raw(source)
        held = {found.table_id} if found.table_type == "TABLE" else set()
        moment = datetime.fromisoformat(read.read_at)

        def as_it_was(expr: ir.Table) -> ir.Table:
            rows = as_of(to_query(expr, "bigquery"), held, moment).subquery("rows_then")
            # by name: a raw table may have more columns, and Ibis writes * for all that it knows
            names = [
                sge.alias_(sge.column(name, quoted=True), name, quoted=True)
                for name in expr.columns
            ]
            query = sge.select(*names).from_(rows).sql(DIALECT)
            con = self._published.dataset.con
            return ops.SQLQueryResult(query, expr.schema(), con).to_expr()

        return as_it_was

    def refresh(self) -> None:
        """Ask BigQuery anew from now on."""
        vars(self).pop("_published", None)

    @cached_property
    def _published(self) -> PublishedTables:
        return self.open()
