"""The published tables and the raw ones, on one connection."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import ibis.expr.types as ir
import pyarrow as pa

from pipeline.backends.bigquery.tables import PublishedTables
from pipeline.results import RunRecord
from pipeline.sources import Source


@dataclass(frozen=True)
class BigQuerySession:
    """The published tables and the raw ones; it looks for the models' dataset when needed.

    It asks BigQuery for the description of each table once, until `refresh`.
    """

    charges_by_bytes: ClassVar[bool] = True

    open: Callable[[], PublishedTables]
    raw: Callable[[Source, Collection[str]], ir.Table]

    @property
    def at_once(self) -> int:
        """The most jobs that may run at a time."""
        return self._published.at_once

    def cancel(self) -> None:
        """Cancel the running jobs, and let no new one begin."""
        self._published.cancel()

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

    def source(self, source: Source, columns: Collection[str]) -> ir.Table:
        """Return a raw table with these columns.

        Raises:
            InputError: there is no such table, or it lacks one of the columns.
        """
        return self.raw(source, columns)

    def refresh(self) -> None:
        """Ask BigQuery anew from now on."""
        vars(self).pop("_published", None)

    @cached_property
    def _published(self) -> PublishedTables:
        return self.open()
