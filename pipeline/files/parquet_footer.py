"""Reads the footers of Parquet files: columns, types, numbers of rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED, unreadable
from pipeline.files.first_bytes import first_bytes, other_kind
from pipeline.files.nested import Node, leaves
from pipeline.files.parts import literal_path

_SCHEMA = (
    "SELECT file_name, name, num_children, type, converted_type, precision, logical_type,"
    " repetition_type, type_length, scale FROM parquet_schema({})"
)
_DIGITS = 38
_MILLISECONDS = 9_223_372_036_854_775
_SIGNATURE = 28


@dataclass(frozen=True)
class Footer:
    """The footer of a Parquet file, as PyArrow reads it.

    `metadata` is None if a column is encrypted: PyArrow ends the process when it reads the columns.
    """

    rows: int
    is_encrypted: bool = False
    metadata: pq.FileMetaData | None = None


def footer_of(path: Path) -> Footer:
    """Read the footer of a file.

    Raises:
        InputError: the file is not Parquet, or not a whole one.
    """
    try:
        # opened here, because PyArrow gives `~` and `s3:` in a path a meaning
        with path.open("rb") as content, pq.ParquetFile(content) as file:
            rows = _rows(file.metadata)
            content.seek(-8, 2)
            size = int.from_bytes(content.read(4), "little")
            if size == file.metadata.serialized_size + _SIGNATURE:
                return Footer(rows, is_encrypted=True)
            return Footer(rows, metadata=file.metadata)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # PyArrow raises OSError for some damage too, but without an errno
        if isinstance(error, OSError) and error.errno:
            raise unreadable(path, error) from error
        # PyArrow refuses such a map, DuckDB does not; perhaps nothing reads the column
        if "Map keys" in str(error):
            return _footer_by_engine(path)
        raise no_parquet(path, error) from error


def _rows(metadata: pq.FileMetaData) -> int:
    """Count the rows by row groups, as DuckDB does; check that the file's count agrees."""
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    rows = sum(group.num_rows for group in groups)
    if rows != metadata.num_rows:
        raise pa.ArrowInvalid(f"it counts {metadata.num_rows} rows, its row groups {rows}.")
    return rows


def _footer_by_engine(path: Path) -> Footer:
    with duckdb.connect() as con:
        named = sge.convert(literal_path(path)).sql("duckdb")
        query = f"SELECT num_rows FROM parquet_file_metadata({named})"
        try:
            (rows,) = con.execute(query).fetchone() or (0,)
        except duckdb.Error as error:
            raise no_parquet(path, error) from error
    return Footer(rows)


def schemas(con: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, tuple[Node, ...]]:
    """Return the top-level columns of each file, in their order."""
    named = sge.convert([literal_path(path) for path in paths]).sql("duckdb")
    try:
        rows = con.execute(_SCHEMA.format(named)).fetchall()
    except duckdb.Error as error:
        # DuckDB checks more of a footer than PyArrow
        if len(paths) == 1:
            raise no_parquet(paths[0], error) from error
        return {path: nodes for path in paths for nodes in [schemas(con, [path])[path]]}
    of_files: dict[str, list[tuple[Any, ...]]] = {}
    for file, *row in rows:
        of_files.setdefault(file, []).append(tuple(row))
    return {path: _tree(of_files[str(path.absolute())]).children for path in paths}


def _tree(rows: list[tuple[Any, ...]]) -> Node:
    """Return the tree of a list of nodes, in which each comes before its children."""
    rest = iter(rows)

    def node() -> Node:
        name, number_of_children, *kind = next(rest)
        return Node(name, tuple(kind), tuple(node() for _ in range(number_of_children or 0)))

    return node()


def require_digits(path: Path, nodes: Sequence[Node]) -> None:
    """Check that DuckDB can hold the numbers of these columns.

    Raises:
        InputError: a DECIMAL is too long: DuckDB would read another number.
    """
    for node in nodes:
        for leaf in leaves(node):
            _, converted, precision, *_ = leaf.type
            if converted == "DECIMAL" and precision and precision > _DIGITS:
                raise InputError(
                    f"{path} has its column {node.name} as DECIMAL of {precision} digits, which"
                    f" DuckDB can't hold: it has at most {_DIGITS}.",
                    f"Export it as an integer, as text, or with fewer digits. {UNCHANGED}",
                )


def times_can_be_read(
    schema: Sequence[Node], names: Collection[str], metadata: pq.FileMetaData
) -> bool:
    """Tell by the statistics whether DuckDB reads all times of these columns correctly."""
    numbered = [(node, leaf) for node in schema for leaf in leaves(node)]
    return all(
        _time_can_be_read(leaf, metadata, place)
        for place, (node, leaf) in enumerate(numbered)
        if node.name in names
    )


def _time_can_be_read(leaf: Node, metadata: pq.FileMetaData, place: int) -> bool:
    _, converted, _, logical, *_ = leaf.type
    logical = logical or ""
    is_milliseconds = converted == "TIMESTAMP_MILLIS" or (
        logical.startswith("TimestampType") and "MILLIS=Milli" in logical
    )
    # DuckDB has no nanoseconds with a zone, and truncates them toward 1970
    is_cut = "isAdjustedToUTC=1" in logical and "NANOS=Nano" in logical
    if not (is_milliseconds or (is_cut and logical.startswith("TimestampType"))):
        return True
    least = 0 if is_cut else -_MILLISECONDS
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(place)
        found = chunk.statistics
        if found is None or not found.has_min_max:
            if found is None or found.null_count != chunk.num_values:
                return False
        elif found.min_raw < least or found.max_raw > (2**63 if is_cut else _MILLISECONDS):
            return False
    return True


def no_parquet(path: Path, error: Exception) -> InputError:
    """Return the error of a file that is not Parquet, or not a whole one."""
    return other_kind(path, first_bytes(path), "Parquet") or InputError(
        f"{path} can't be read as Parquet: {first_line(error)}",
        f"Copy or export it again, or leave it out. {UNCHANGED}",
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, in printable characters."""
    line = str(error).partition("\n")[0]
    # the message may quote the file's bytes
    return "".join(letter if letter.isprintable() else "?" for letter in line)
