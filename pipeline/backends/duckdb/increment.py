"""The published database, held for an incremental build."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.expressions as sge

from pipeline.backends.base import News, RawTable
from pipeline.backends.duckdb import manifest
from pipeline.backends.duckdb.contents import Contents
from pipeline.backends.duckdb.errors import engine_errors
from pipeline.backends.duckdb.inputs import Inputs, inputs_of
from pipeline.backends.duckdb.workspace import VERSION, DuckDBWorkspace
from pipeline.contract import Model
from pipeline.counting import IN_FULL, Expected, row_count
from pipeline.dialect import key_hash
from pipeline.errors import UsageError
from pipeline.expressions import expression
from pipeline.results import RunRecord, SourceRead
from pipeline.sources import EVENTS, SOURCES, Source

_BLOCK_ROWS = 122_880
"""The rows of a block; DuckDB knows each block's least and greatest values."""
_LOOSE_SHARE = 0.1
_LOOSE = """
WITH blocks AS (SELECT rowid // {block} AS block, max({day}) AS last FROM {table} GROUP BY 1),
earlier AS (
SELECT block, max(last) OVER (
ORDER BY block ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last FROM blocks
)
SELECT count(*), count(*) FILTER ({day} < earlier.last)
FROM {table} AS rows JOIN earlier ON rows.rowid // {block} = earlier.block
"""
"""Counts a table's rows, and those that come in a block after one with a later day."""
_NEVER = "1TB"


@dataclass(frozen=True)
class DuckDBIncrement:
    """A published database that no other build can change meanwhile."""

    given: Mapping[str, tuple[str, ...]]
    """The paths and globs that the user named now, by source."""
    held: Contents
    """The contents of the published file."""
    open_copy: Callable[[Collection[str]], AbstractContextManager[DuckDBIncrementalWorkspace]]
    """Opens a copy of the published file to build models in."""

    @property
    def previous(self) -> RunRecord | None:
        """The record of the published build."""
        return self.held.previous

    def hindrance(self) -> str:
        """Say why only a full build is right; empty if an incremental one is right too."""
        previous = self.previous
        if previous is None or self.held.files is None:
            return "the published build keeps no record of the files that it read"
        if previous.engine != VERSION:
            return f"DuckDB {previous.engine or 'of an unknown version'} made it, this is {VERSION}"
        if self.given and not self._recorded_inputs(EVENTS):
            return "the published build is of the sample"
        return ""

    def news(self) -> News:
        """Compare the files with those that were read.

        Raises:
            InputError: a file that was read has changed, or a given one is missing.
        """
        lines = []
        compared = self._compared
        if compared.gone:
            are, their = manifest.verbs(compared.gone)
            lines.append(
                f"{manifest.told(compared.gone)} that earlier builds read {are} gone; "
                f"{their} rows stay"
            )
        changed = {EVENTS} if compared.new else set()
        changed |= {name for name in SOURCES if name != EVENTS and self._is_other(name)}
        return News(changed, lines)

    @contextlib.contextmanager
    def workspace(self, models: Mapping[str, Model]) -> Iterator[DuckDBIncrementalWorkspace]:
        """Open a copy of the published file to change, and the file itself to read.

        Raises:
            ResourceError: the disk is full.
        """
        with self.open_copy(list(models)) as workspace:
            # DuckDB writes the whole log into the file once, at the end
            workspace.con.raw_sql(f"SET checkpoint_threshold = '{_NEVER}'")
            workspace.begin(self._compared.new, self._inputs(EVENTS))
            yield workspace

    @cached_property
    def _compared(self) -> manifest.Compared:
        patterns = self._inputs(EVENTS)
        found = manifest.find(patterns, self._recorded_inputs(EVENTS))
        return manifest.compare(self.held.files or (), found)

    def _inputs(self, source: str) -> tuple[str, ...]:
        """Return the recorded patterns of a source, and those given now."""
        found = self._inputs_of(source)
        if found.origin == "sample":
            return found.patterns
        return tuple(dict.fromkeys([*self._recorded_inputs(source), *found.to_record]))

    def _inputs_of(self, source: str) -> Inputs:
        return inputs_of(source, self.given, self.previous)

    def _recorded_inputs(self, source: str) -> tuple[str, ...]:
        read = self.previous.sources.get(source) if self.previous else None
        return read.inputs if read else ()

    def _is_other(self, source: str) -> bool:
        """Tell whether a source that is always read in full has other files than before."""
        read = self.previous.sources.get(source) if self.previous else None
        paths = self._inputs_of(source).find()
        now = sorted((os.path.realpath(path), *_state(path)) for path in paths)
        files_read = read.files if read else ()
        return now != sorted((each.path, each.bytes, each.modified_ns) for each in files_read)


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

    def stored(self, expr: ir.Table, *, model: str = "") -> ir.Table:
        """Evaluate an expression into a temporary table.

        Raises:
            InputError: a file that the expression reads is faulty or has changed.
            ResourceError: memory or disk ran out.
        """
        name = f"stored_{next(self._numbers)}"
        query = self.con.compiler.to_sqlglot(expr).sql("duckdb")
        with engine_errors(self.read_files):
            self._counted[name] = self.make(f"CREATE TEMP TABLE {name} AS {query}")
        return self.con.table(name, database=("temp", "main"))

    def count(self, table: ir.Table) -> int:
        """Return the number of rows; a stored table's is known."""
        known = self._counted.get(table.get_name()) if _is_stored(table) else None
        return row_count(table, self.fetch) if known is None else known

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
        old = old.select(*new.columns)
        # counting copies takes five times as long, so only where keys may repeat
        distinct = self._has_unique_keys(model, old) and self._has_unique_keys(model, new)
        went = self.stored(old.difference(new, distinct=distinct))
        came = self.stored(new.difference(old, distinct=distinct))
        return went, came, self.count(went), self.count(came)

    def _has_unique_keys(self, model: Model, rows: ir.Table) -> bool:
        if not model.key:
            return False
        keys = key_hash(*(rows[name] for name in model.key))
        counts = rows.aggregate(rows=rows.count(), keys=keys.nunique())
        (found,) = self.fetch(counts).to_pylist()
        return bool(found["rows"] == found["keys"])

    def replace(self, model: Model, by: tuple[str, ...], gone: ir.Table, rows: ir.Table) -> None:
        """Delete the table's rows that equal a row of `gone` in the columns `by`.

        Add those of `rows` that equal one.
        """
        gone, table = self.stored(gone), self.table(model.name)
        keys = table.select(*by, _row=table.rowid())
        matching = _equalling(keys, gone, by)
        stored = self.stored(matching.select("_row"))
        query = self.con.compiler.to_sqlglot(stored).sql("duckdb")
        name = sge.table_(model.name, quoted=True).sql("duckdb")
        with engine_errors():
            self.make(f"DELETE FROM {name} WHERE rowid IN ({query})")
        self.append(model, _equalling(rows, gone, by))
        if model.partition_by and self._is_loose(model):
            self._sort_again(model)

    def _is_loose(self, model: Model) -> bool:
        """Tell whether so many rows are out of order by day that a query of a day is slow."""
        rows, loose = self.con.con.execute(
            _LOOSE.format(
                table=sge.table_(model.name, quoted=True).sql("duckdb"),
                day=sge.to_identifier(str(model.partition_by), quoted=True).sql("duckdb"),
                block=_BLOCK_ROWS,
            )
        ).fetchone() or (0, 0)
        return loose > _LOOSE_SHARE * rows

    def _sort_again(self, model: Model) -> None:
        # the order of a temporary table's rows is unknown, so create() sorts them
        self.create(model, self.stored(self.table(model.name)))


def _equalling(rows: ir.Table, keys: ir.Table, by: tuple[str, ...]) -> ir.Table:
    return rows.semi_join(keys, [rows[name].identical_to(keys[name]) for name in by])


def _is_stored(table: ir.Table) -> bool:
    op = table.op()
    return isinstance(op, ops.DatabaseTable) and op.namespace.catalog == "temp"


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
