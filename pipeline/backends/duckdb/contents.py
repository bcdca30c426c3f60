"""The contents of a database file: tables of our builds, and objects that are not ours."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ibis.backends.duckdb import Backend as IbisDuckDB

from pipeline.backends.duckdb import manifest
from pipeline.backends.duckdb.tables import RECORDS, DuckDBTables
from pipeline.errors import UsageError
from pipeline.results import FileRead, RunRecord

_TABLES = """
SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()
UNION ALL
SELECT schema_name, view_name FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal
"""
_OTHERS = f"""
SELECT count(*) FROM (
SELECT schema_name FROM duckdb_schemas()
WHERE database_name = current_database() AND schema_name NOT IN ('main', '{RECORDS}')
UNION ALL
SELECT schema_name FROM duckdb_sequences() WHERE database_name = current_database()
UNION ALL
SELECT schema_name FROM duckdb_types()
WHERE database_name = current_database() AND NOT internal
UNION ALL
SELECT schema_name FROM duckdb_functions()
WHERE database_name = current_database() AND NOT internal
)
"""
_INDEXES = """
SELECT table_name, sql FROM duckdb_indexes()
WHERE database_name = current_database() AND schema_name = 'main' AND sql IS NOT NULL
ORDER BY index_name
"""


@dataclass(frozen=True)
class Contents:
    """The contents of the published file; a new database holds nothing.

    `models` are the tables and views that our builds made; `tables` are those of others, with their
    schema; `indexes` are the statements of others' indexes on models' tables.
    """

    previous: RunRecord | None = None
    models: frozenset[str] = frozenset()
    tables: tuple[tuple[str, str], ...] = ()
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: bool = False
    """Whether there is a schema, sequence, type or macro that is not ours."""
    files: tuple[FileRead, ...] | None = None
    """The files that the published raw events came from, None if there is no record."""

    @property
    def foreign(self) -> bool:
        """Whether the file has objects that a build must carry over."""
        return bool(self.tables or self.indexes or self.others)

    def require_room(self, file: Path, names: Collection[str]) -> None:
        """Check that models may be written to the file.

        Raises:
            UsageError: no build of ours made the file's tables, or a table of somebody else's has
                a model's name.
        """
        elsewhere = "Name another file with --database, for instance build/pipeline.duckdb."
        if self.tables and self.previous is None:
            raise UsageError(
                f"{file} holds {_listed(self.tables)}, and no build of this pipeline made it.",
                f"{elsewhere} Nothing was changed.",
            )
        for schema, name in self.tables:
            if schema == "main" and name in names:
                raise UsageError(
                    f"{file} holds a table {name} that no build made, and a model has this name.",
                    f"Rename that table. Or: {elsewhere} Nothing was changed.",
                )


def contents(con: IbisDuckDB, known: Collection[str]) -> Contents:
    """Look through a connection's database; `known` are the models to build.

    A table is a model's if the last build recorded it, or if an earlier build did and one of the
    models to build has its name.
    """
    previous = DuckDBTables(con).last_run()
    there = con.con.execute(_TABLES).fetchall()
    recorded = {made.name for made in previous.models} if previous else set()
    models = {name for schema, name in there if schema == "main" and name in recorded}
    named_alike = {name for schema, name in there if schema == "main" and name in known} - models
    if previous and named_alike:
        models |= named_alike & _ever_recorded(con)
    tables = [
        (schema, name)
        for schema, name in there
        if schema != RECORDS and not (schema == "main" and name in models)
    ]
    indexes: dict[str, tuple[str, ...]] = {}
    for name, statement in con.con.execute(_INDEXES).fetchall():
        if name in models:
            indexes[name] = (*indexes.get(name, ()), statement)
    (others,) = con.con.execute(_OTHERS).fetchone() or (0,)
    return Contents(
        previous, frozenset(models), tuple(sorted(tables)), indexes, others > 0, manifest.read(con)
    )


def _ever_recorded(con: IbisDuckDB) -> set[str]:
    query = f"SELECT models FROM {RECORDS}.runs"
    return {
        row["name"] for (rows,) in con.con.execute(query).fetchall() for row in json.loads(rows)
    }


def _listed(tables: Collection[tuple[str, str]]) -> str:
    names = [name if schema == "main" else f"{schema}.{name}" for schema, name in tables]
    if len(names) <= 2:
        return " and ".join(names)
    return f"{', '.join(names[:2])} and {len(names) - 2:,} more"
