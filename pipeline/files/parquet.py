"""Parquet files: typed, with a header and a count of rows in their footer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.files.parts import DOCUMENT, Part, literal_path, scan, view
from pipeline.sources import Source

# folders named like `key=value` must not become columns; text without its mark is text all the same
_OPTIONS = {"hive_partitioning": False, "binary_as_string": True}


Columns = tuple[tuple[str, pa.DataType], ...]


@dataclass(frozen=True)
class Footer:
    """What a Parquet file says about itself."""

    columns: Columns
    rows: int


def parts(con: Backend, source: Source, paths: Sequence[Path], names: Sequence[str]) -> list[Part]:
    """Return a part for each shape among the files.

    Raises:
        InputError: a file is no Parquet, or lacks one of the columns.
    """
    footers = {path: _footer(path) for path in paths}
    shapes: dict[Columns, list[Path]] = {}
    for path, footer in footers.items():
        _require(path, [name for name, _ in footer.columns], names)
        shapes.setdefault(footer.columns, []).append(path)
    return [
        _part(con, source, alike, columns, names, sum(footers[path].rows for path in alike))
        for columns, alike in shapes.items()
    ]


def _footer(path: Path) -> Footer:
    try:
        with pq.ParquetFile(path) as file:
            columns = tuple((field.name, field.type) for field in file.schema_arrow)
            return Footer(columns, file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} can't be read as Parquet: {error}",
            f"Export it again or leave it out. {UNCHANGED}",
        ) from error


def _require(path: Path, header: Sequence[str], names: Sequence[str]) -> None:
    for name in names:
        if name not in header:
            raise InputError(
                f"{path} has no column {name}, which the models read.",
                f"Export it with that column or leave the file out. {UNCHANGED}",
            )


def _part(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    columns: Columns,
    names: Sequence[str],
    rows: int,
) -> Part:
    # The engine takes names that differ only in case for the same and renames the later ones, so
    # a column is found by its place.
    theirs = con.con.read_parquet([literal_path(paths[0])], **_OPTIONS).columns
    kinds = dict(reversed(columns))
    places = {name: [known for known, _ in columns].index(name) for name in names}
    values = {
        name: _value(name, kinds[name], sge.column(theirs[place], quoted=True))
        for name, place in places.items()
    }
    known = {name: value for name, value in values.items() if value is not None}
    return Part(view(con, source.name, known, scan("read_parquet", paths, _OPTIONS)), rows)


def _value(name: str, kind: pa.DataType, column: sge.Expression) -> sge.Expression | None:
    """Return how a column is read, None where nothing in it can be used."""
    if pa.types.is_null(kind):
        return None
    if not pa.types.is_nested(kind):
        return column
    if name != DOCUMENT:
        return None
    return sge.cast(sge.Anonymous(this="to_json", expressions=[column]), "VARCHAR")
