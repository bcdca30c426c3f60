"""What the readers of all kinds share: views over files on the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend
from ibis.util import gen_name

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED
from pipeline.sources import Source

Key = TypeVar("Key")

DOCUMENT = "ItemData"
"""The one column that may hold a nested value: it is text that holds JSON."""

_GLOB = re.compile(r"([\[*?])")


@dataclass(frozen=True)
class Part:
    """Files of one shape as a table, and the rows of each, counted without it.

    A wanted column that the table lacks is NULL in all of its rows. `mend` is for a statement that
    failed: it replaces what the engine can't read by what it can, and tells whether it did.
    """

    table: ir.Table
    rows: Mapping[Path, int]
    mend: Callable[[], bool] = lambda: False


def grouped(paths: Sequence[Path], key: Callable[[Path], Key]) -> dict[Key, list[Path]]:
    """Return the files by what they have in common, in their order."""
    groups: dict[Key, list[Path]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def require(path: Path, header: Sequence[str], source: Source, names: Sequence[str]) -> None:
    """Check that a file has the columns, save those that a file may lack.

    Raises:
        InputError: it has not; names that differ in case or in blanks around them are others.
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


def scan(function: str, paths: Sequence[Path], options: Mapping[str, Any]) -> sge.Anonymous:
    """Call a reader of the engine on these files and no others."""
    files = sge.Array(expressions=[sge.convert(literal_path(path)) for path in paths])
    named = [
        sge.EQ(this=sge.to_identifier(name), expression=_literal(value))
        for name, value in options.items()
    ]
    return sge.Anonymous(this=function, expressions=[files, *named])


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
    """Write a path so that the engine takes its letters as they are, not as a glob or a scheme."""
    return _GLOB.sub(r"[\1]", str(path.absolute()))


def view(
    con: Backend,
    source: str,
    scans: Sequence[tuple[Mapping[str, sge.Expression], sge.Expression]],
    name: str | None = None,
) -> ir.Table:
    """Create a temporary view of named expressions over scans, of the mere rows if none.

    A view of that `name` is replaced.
    """
    selects = [_select(values, rows) for values, rows in scans]
    query = sge.union(*selects, distinct=False) if len(selects) > 1 else selects[0]
    unique = name or gen_name(source)
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
