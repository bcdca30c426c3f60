"""Parquet files: typed, with the columns and the number of rows in the footer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot.expressions as sge
from duckdb.sqltypes import DuckDBPyType
from ibis.backends.duckdb import Backend

from pipeline.errors import InputError
from pipeline.files import parquet_copy
from pipeline.files.finding import UNCHANGED
from pipeline.files.nested import (
    Node,
    as_text,
    call,
    decoded,
    is_taken_for_unnamed,
    json_text,
)
from pipeline.files.parquet_footer import (
    Footer,
    first_line,
    footer_of,
    no_parquet,
    require_digits,
    schemas,
    times_can_be_read,
)
from pipeline.files.parts import DOCUMENT, Part, grouped, literal_path, require, scan, view
from pipeline.sources import Source

# Folders named like `key=value` must not become columns. Bytes that are not marked as text stay
# bytes: as text, DuckDB would stop at the first that are not UTF-8.
_OPTIONS = {"hive_partitioning": False, "binary_as_string": False}
_NESTED = ("struct", "list", "array", "map", "variant", "union")
_FIRST_MICROSECOND, _LAST_MICROSECOND = -9_223_372_022_400_000_000, 9_223_372_036_854_775_806


@dataclass
class _Shape:
    """Files with the same columns, as a view in DuckDB."""

    con: Backend
    source: Source
    names: Sequence[str]
    schema: tuple[Node, ...]
    paths: list[Path]
    footers: Mapping[Path, Footer]
    scratch: Path
    copies: dict[Path, Path] = field(default_factory=dict)
    name: str | None = None

    def part(self) -> Part:
        for path in self.paths:
            if not self._can_be_read(self.footers[path]):
                self._copy(path)
        table = self._view()
        self.name = table.get_name()
        return Part(table, {path: self.footers[path].rows for path in self.paths}, self.mend)

    def mend(self) -> bool:
        """Copy each file with a column that DuckDB can't read and PyArrow can.

        Raises:
            InputError: neither can read one.
        """
        faults = {
            path: fault
            for path in self.paths
            if path not in self.copies and (fault := _first_unreadable(path, self.names))
        }
        for path, fault in faults.items():
            footer = self.footers[path]
            if footer.is_encrypted or footer.metadata is None or self._has_variant():
                raise fault
            try:
                self._copy(path)
            except (pa.ArrowException, OSError, UnicodeDecodeError):
                raise fault from None
        if faults:
            self._view()
        return bool(faults)

    def _view(self) -> Any:
        sound = [path for path in self.paths if path not in self.copies]
        kinds = _kinds(self.con.con, self.paths[0], self._nodes)
        scans = []
        if sound:
            scans.append((self._values(kinds), scan("read_parquet", sound, _OPTIONS)))
        if self.copies:
            copies = scan("read_parquet", list(self.copies.values()), _OPTIONS)
            scans.append((self._copied_values(kinds), copies))
        return view(self.con, self.source.name, scans, self.name)

    def _values(self, kinds: Mapping[str, tuple[str, DuckDBPyType]]) -> dict[str, sge.Expression]:
        values = {
            name: _value(name, kinds[name][1], node, _column(kinds[name][0]))
            for name, node in self._nodes.items()
        }
        return {name: value for name, value in values.items() if value is not None}

    def _copied_values(
        self, kinds: Mapping[str, tuple[str, DuckDBPyType]]
    ) -> dict[str, sge.Expression]:
        return {name: _copied(kinds[name][1], _column(name)) for name in self._values(kinds)}

    def _copy(self, path: Path) -> None:
        target = self.scratch / f"{self.source.name}-{len(list(self.scratch.glob('*')))}.parquet"
        parquet_copy.copy(path, self._nodes, target)
        self.copies[path] = target

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        """The columns to read; of two with one name, the first."""
        nodes = {node.name: node for node in reversed(self.schema)}
        return {name: nodes[name] for name in self.names if name in nodes}

    def _has_variant(self) -> bool:
        return any("VariantType" in str(node.type) for node in self._nodes.values())

    def _can_be_read(self, footer: Footer) -> bool:
        if footer.metadata is None:
            return True
        unnamed = any(is_taken_for_unnamed(node) for node in self._nodes.values())
        return not unnamed and times_can_be_read(self.schema, self._nodes, footer.metadata)


def parts(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    names: Sequence[str],
    scratch: Path,
) -> list[Part]:
    """Return a part for each shape among the files.

    Raises:
        InputError: a file is not Parquet, or lacks one of the columns.
    """
    footers = {path: footer_of(path) for path in paths}
    found = schemas(con.con, paths)
    shapes = []
    for nodes, alike in grouped(paths, found.__getitem__).items():
        for path in alike:
            require(path, [node.name for node in nodes], source, names)
            require_digits(path, [node for node in nodes if node.name in names])
        shapes.append(_Shape(con, source, names, nodes, alike, footers, scratch))
    return [shape.part() for shape in shapes]


def _first_unreadable(path: Path, names: Sequence[str]) -> InputError | None:
    """Read these columns, if the file has them, to their end; return the first fault."""
    with duckdb.connect() as con:
        nodes = {node.name: node for node in reversed(schemas(con, [path])[path])}
        for name, (theirs, kind) in _kinds(con, path, names).items():
            value = _value(name, kind, nodes[name], _column(theirs))
            if value is None:
                continue
            query = sge.Select(expressions=[call("bit_xor", call("hash", value))])
            try:
                con.execute(query.from_(scan("read_parquet", [path], _OPTIONS)).sql("duckdb"))
            except duckdb.Error as error:
                return _unreadable_column(path, name, error)
    return None


def _unreadable_column(path: Path, name: str, error: duckdb.Error) -> InputError:
    if footer_of(path).is_encrypted:
        return InputError(
            f"{path} is encrypted: its column {name} can't be read.",
            f"Write it without encryption. {UNCHANGED}",
        )
    for lacking in ("compression codec", "encoding"):
        if lacking in str(error) and "upported" in str(error):
            return InputError(
                f"{path} has its column {name} in a {lacking} that DuckDB can't read:"
                f" {first_line(error)}",
                f"Write it with another one, such as snappy and plain. {UNCHANGED}",
            )
    return InputError(
        f"{path} is damaged: its column {name} can't be read.",
        f"Copy or export it again, or leave it out. {UNCHANGED}",
    )


def check(path: Path, names: Sequence[str]) -> None:
    """Read these columns, if the file has them, to their end.

    Raises:
        InputError: the file or one of the columns can't be read.
    """
    footer_of(path)
    if fault := _first_unreadable(path, names):
        raise fault


def _kinds(
    con: duckdb.DuckDBPyConnection, path: Path, wanted: Collection[str]
) -> dict[str, tuple[str, DuckDBPyType]]:
    """Return DuckDB's names and types of a file's columns, by the file's own names."""
    # DuckDB takes names that differ only in case for the same and renames the later ones, so we
    # find a column by its place.
    try:
        found = con.read_parquet(
            [literal_path(path)], hive_partitioning=False, binary_as_string=False
        )
    except duckdb.Error as error:
        raise no_parquet(path, error) from error
    names = [node.name for node in schemas(con, [path])[path]]
    # of two with one name, the first
    columns = zip(reversed(names), reversed(found.columns), reversed(found.types), strict=True)
    kinds = {name: (theirs, kind) for name, theirs, kind in columns}
    return {name: kinds[name] for name in wanted if name in kinds}


def _column(name: str) -> sge.Expression:
    return sge.column(name, quoted=True)


def _value(
    name: str, kind: DuckDBPyType, node: Node, column: sge.Expression
) -> sge.Expression | None:
    """Return the expression that reads a column, None if its type can't be used."""
    if "NullType()" in node.type:
        return None
    if kind.id in _NESTED:
        return json_text(kind, node, column) if name == DOCUMENT else None
    if kind.id == "blob":
        return decoded(column)
    if str(kind) == "JSON":
        return as_text(column)
    return _time(kind, column)


def _copied(kind: DuckDBPyType, column: sge.Expression) -> sge.Expression:
    if kind.id.startswith("timestamp"):
        return sge.cast(_time(kind, column, "epoch_us"), str(kind))
    return column


def _time(kind: DuckDBPyType, column: sge.Expression, count: str | None = None) -> sge.Expression:
    """Return a time unchanged, NULL if it can't be cast."""
    if not kind.id.startswith("timestamp"):
        return column
    least = _FIRST_MICROSECOND
    if kind.id == "timestamp_ns" and count is None:
        count, least = "epoch_ns", -(2**63) + 1
    number = call(count or "epoch_us", column)
    return sge.Case().when(
        sge.and_(
            sge.GTE(this=number, expression=sge.convert(least)),
            sge.LTE(this=number.copy(), expression=sge.convert(_LAST_MICROSECOND)),
        ),
        column,
    )
