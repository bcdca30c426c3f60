"""Parquet files: typed, with a header and a count of rows in their footer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED, unreadable
from pipeline.files.parts import DOCUMENT, Part, grouped, literal_path, require, scan, view
from pipeline.sources import Source

# folders named like `key=value` must not become columns; text without its mark is text all the same
_OPTIONS = {"hive_partitioning": False, "binary_as_string": True}


Columns = tuple[tuple[str, pa.DataType], ...]


@dataclass(frozen=True)
class Footer:
    """What a Parquet file says about itself."""

    columns: Columns
    rows: int


def parts(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    names: Sequence[str],
    optional: Collection[str] = (),
) -> list[Part]:
    """Return a part for each shape among the files.

    Raises:
        InputError: a file is no Parquet, or lacks one of the columns.
    """
    footers = {path: footer_of(path) for path in paths}
    for path, footer in footers.items():
        require(path, [name for name, _ in footer.columns], names, optional)
    shapes = grouped(paths, lambda path: footers[path].columns)
    return [
        _part(con, source, alike, columns, names, {path: footers[path].rows for path in alike})
        for columns, alike in shapes.items()
    ]


def footer_of(path: Path) -> Footer:
    """Read what a file says about itself.

    Raises:
        InputError: the file is no Parquet, or not a whole one.
    """
    try:
        # opened here, for PyArrow takes `~` and `s3:` in a path for more than letters
        with path.open("rb") as content, pq.ParquetFile(content) as file:
            columns = tuple((field.name, field.type) for field in file.schema_arrow)
            return Footer(columns, _rows(file.metadata))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # PyArrow tells some damage as the system would, but without a number
        if isinstance(error, OSError) and error.errno:
            raise unreadable(path, error) from error
        raise _no_parquet(path, error) from error


def _rows(metadata: pq.FileMetaData) -> int:
    """Count the rows as the engine does, by row groups, and see that the file's count agrees."""
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    rows = sum(group.num_rows for group in groups)
    if rows != metadata.num_rows:
        raise pa.ArrowInvalid(f"it counts {metadata.num_rows} rows, its row groups {rows}.")
    return rows


def check(path: Path, names: Sequence[str]) -> None:
    """Read these columns, as far as the file has them, to their end.

    Raises:
        InputError: the file or one of the columns can't be read.
    """
    columns = footer_of(path).columns
    with duckdb.connect() as con:
        for name, column in _columns(con, path, columns, names).items():
            query = sge.Select(expressions=[_function("bit_xor", _function("hash", column))])
            try:
                con.execute(query.from_(scan("read_parquet", [path], _OPTIONS)).sql("duckdb"))
            except duckdb.Error as error:
                raise InputError(
                    f"{path} is damaged: its column {name} can't be read.",
                    f"Copy or export it again, or leave it out. {UNCHANGED}",
                ) from error


def _function(name: str, argument: sge.Expression) -> sge.Expression:
    return sge.Anonymous(this=name, expressions=[argument])


def _no_parquet(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} can't be read as Parquet: {_first_line(error)}",
        f"Copy or export it again, or leave it out. {UNCHANGED}",
    )


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0]
    # it may quote the file's bytes
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _part(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    columns: Columns,
    names: Sequence[str],
    rows: Mapping[Path, int],
) -> Part:
    values = _columns(con.con, paths[0], columns, names)
    return Part(view(con, source.name, values, scan("read_parquet", paths, _OPTIONS)), rows)


def _columns(
    con: duckdb.DuckDBPyConnection, path: Path, columns: Columns, names: Sequence[str]
) -> dict[str, sge.Expression]:
    """Return how the columns are read that have anything to read."""
    # The engine takes names that differ only in case for the same and renames the later ones, so
    # a column is found by its place.
    try:
        theirs = con.read_parquet(
            [literal_path(path)], hive_partitioning=False, binary_as_string=True
        ).columns
    except duckdb.Error as error:
        # it looks at more of a footer than PyArrow
        raise _no_parquet(path, error) from error
    places = {name: place for place, (name, _) in reversed([*enumerate(columns)])}
    values = {
        name: _value(name, columns[places[name]][1], sge.column(theirs[places[name]], quoted=True))
        for name in names
        if name in places
    }
    return {name: value for name, value in values.items() if value is not None}


def _value(name: str, kind: pa.DataType, column: sge.Expression) -> sge.Expression | None:
    """Return how a column is read, None where nothing in it can be used."""
    if pa.types.is_null(kind):
        return None
    if not pa.types.is_nested(kind):
        return column
    if name != DOCUMENT:
        return None
    return sge.cast(_function("to_json", column), "VARCHAR")
