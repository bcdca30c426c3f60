"""Views over files in DuckDB, for the readers of all kinds of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.sources import Source

Key = TypeVar("Key")

DOCUMENT = "ItemData"
"""The one column that may hold a nested value, as JSON text."""

_NUMBERS = count(1)
_GLOB = re.compile(r"([\[*?])")


@dataclass(frozen=True)
class Part:
    """Files of one shape as a table, and an independent count of each file's rows.

    A wanted column that the table lacks is NULL in all rows. After a failed statement, `mend`
    replaces sound files that DuckDB can't read, and tells whether there were any.
    """

    table: ir.Table
    rows: Mapping[Path, int]
    mend: Callable[[], bool] = lambda: False


def grouped(paths: Sequence[Path], key: Callable[[Path], Key]) -> dict[Key, list[Path]]:
    """Return the files grouped by a key, in their order."""
    groups: dict[Key, list[Path]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def require(path: Path, header: Sequence[str], source: Source, names: Sequence[str]) -> None:
    """Check that a file has the columns, except for the optional ones.

    Raises:
        InputError: it lacks a column; case and blanks around a name count.
    """
    required = [column.name for column in source.columns if not column.optional]
    wanted = [name for name in names if name in required]
    lacking = [name for name in wanted if name not in header]
    if not lacking:
        return
    folded = {theirs.strip().casefold(): theirs for theirs in header}
    for name in lacking:
        if theirs := folded.get(name.casefold()):
            raise InputError(
                f"{path} has no column {name}, but {theirs!r}: case and blanks count.",
                f"Write the header as {', '.join(required)}. {UNCHANGED}",
            )
    if not set(names) & set(header):
        raise InputError(
            f"{path} has none of the columns {', '.join(wanted)}: it is something else's file.",
            f"Name the right file; --events and --users may be mixed up. {UNCHANGED}",
        )
    raise InputError(
        f"{path} has no column {lacking[0]}, which the models read.",
        f"Export it with that column or leave the file out. {UNCHANGED}",
    )


def scan(function: str, files: Sequence[Path | str], options: Mapping[str, Any]) -> sge.Anonymous:
    """Call a reader of DuckDB on exactly these files: paths, or names in a file system of ours."""
    names = [literal_path(file) if isinstance(file, Path) else file for file in files]
    named = [
        sge.EQ(this=sge.to_identifier(name), expression=_literal(value))
        for name, value in options.items()
    ]
    listed = sge.Array(expressions=[sge.convert(name) for name in names])
    return sge.Anonymous(this=function, expressions=[listed, *named])


def _literal(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return sge.convert(value)
    return sge.Struct(
        expressions=[
            sge.PropertyEQ(this=sge.to_identifier(name), expression=sge.convert(kind))
            for name, kind in value.items()
        ]
    )


def literal_path(path: Path) -> str:
    """Escape a path, so DuckDB takes no part of it for a glob or a scheme."""
    return _GLOB.sub(r"[\1]", str(path.absolute()))


def view(
    con: Backend,
    source: str,
    scans: Sequence[tuple[Mapping[str, sge.Expression], sge.Expression]],
    name: str | None = None,
) -> ir.Table:
    """Create a temporary view of named expressions over scans; without any, of the bare rows.

    It replaces a view of that `name`.
    """
    selects = [_select(values, rows) for values, rows in scans]
    query = sge.union(*selects, distinct=False) if len(selects) > 1 else selects[0]
    unique = name or f"files_of_{source}_{next(_NUMBERS)}"
    create = sge.Create(
        this=sge.to_identifier(unique, quoted=True),
        kind="VIEW",
        replace=name is not None,
        expression=query,
        properties=sge.Properties(expressions=[sge.TemporaryProperty()]),
    )
    con.con.execute(create.sql("duckdb"))
    return con.table(unique)


def _select(values: Mapping[str, sge.Expression], rows: sge.Expression) -> sge.Select:
    named = values or {"_": sge.true()}
    expressions = [sge.alias_(value, column, quoted=True) for column, value in named.items()]
    return sge.Select(expressions=expressions).from_(rows)
