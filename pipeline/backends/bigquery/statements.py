"""The statements that fill, publish and describe models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlglot.expressions as sge

from pipeline.contract import Model

DIALECT = "bigquery"


@dataclass(frozen=True)
class Copied:
    """The rows of a table that replace another table's rows, or are added to them.

    Names are project.dataset.table. Each of `parts` is a condition; each row meets exactly one.
    One statement writes one part, because a job writes at most 4,000 partitions.
    """

    source: str
    target: str
    columns: Sequence[str]
    parts: Sequence[str] = ("",)
    append: bool = False

    def statements(self) -> Iterable[str]:
        """Return the statements, in order."""
        if not self.append:
            yield f"TRUNCATE TABLE {quoted(self.target)}"
        for part in self.parts:
            yield insert(self.target, self.columns, f"SELECT * FROM {quoted(self.source)}", part)


def insert(target: str, columns: Iterable[str], query: str, where: str = "") -> str:
    """Return the statement that adds a query's rows to a table, each column by its name."""
    # the names again, because INSERT goes by position
    names = ", ".join(map(quoted, columns))
    lines = [f"INSERT INTO {quoted(target)} ({names})", f"SELECT {names} FROM (", query, ")"]
    return "\n".join([*lines, f"WHERE {where}"] if where else lines)


def delete(target: str, matching: sge.Query) -> str:
    """Return the statement that deletes the rows of a table that a query of it alone returns."""
    table, where = matching.args["from_"].this, matching.args["where"].this.sql(DIALECT)
    alias = table.alias_or_name
    return f"DELETE FROM {quoted(target)} AS {quoted(alias)}\nWHERE {where}"


def require(condition: str, message: str) -> str:
    """Return a statement that fails if a condition does not hold; `message` is an expression."""
    return f"SELECT IF({condition}, 0, ERROR({message}))"


def script(statements: Iterable[str]) -> str:
    """Return one job that runs statements in order."""
    return ";\n".join(statements) + ";"


def transaction(statements: Iterable[str]) -> str:
    """Return one script whose statements all take effect in one moment, or not at all."""
    return script(["BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"])


def expires(table: str, moment: datetime | None) -> str:
    """Return the statement that lets a table expire at a moment, or never."""
    value = "NULL" if moment is None else time(moment)
    return f"ALTER TABLE {quoted(table)} SET OPTIONS(expiration_timestamp={value})"


def create_view(model: Model, name: str, query: str) -> str:
    """Return the one atomic statement that makes a model's view, replacing another."""
    columns = ",\n".join(
        f"  {quoted(column.name)} OPTIONS(description={text(column.description)})"
        for column in model.columns
    )
    names = ", ".join(map(quoted, model.schema.names))
    lines = [f"CREATE OR REPLACE VIEW {quoted(name)} (", columns, ")"]
    lines += [f"OPTIONS(description={text(model.grain)})", f"AS SELECT {names} FROM (", query, ")"]
    return "\n".join(lines)


def quoted(name: str) -> str:
    """Return the name of a column, or of a table with project and dataset, in backticks."""
    # a project's name may hold a dot of its own
    return ".".join(f"`{part}`" for part in name.rsplit(".", 2))


def text(value: str) -> str:
    """Return a text as a literal."""
    return sge.convert(value).sql(DIALECT)


def time(value: datetime) -> str:
    """Return a time as a literal."""
    return f"TIMESTAMP {text(value.isoformat())}"


def renamed(query: sge.Query, names: Mapping[str, str]) -> sge.Query:
    """Return a query that reads other tables: each name is replaced by the one it maps to."""
    copy = query.copy()
    for table in copy.find_all(sge.Table):
        if table.name in names:
            table.set("this", sge.to_identifier(names[table.name], quoted=True))
    return copy


def as_of(query: sge.Query, tables: Iterable[str], moment: datetime) -> sge.Query:
    """Return a query that reads the tables of these names as they were at a moment."""
    held, copy = set(tables), query.copy()
    for table in copy.find_all(sge.Table):
        if table.name in held:
            held_at = sge.Var(this=time(moment))
            table.set("version", sge.Version(this="TIMESTAMP", expression=held_at, kind="AS OF"))
    return copy


def parsed_apart(query: sge.Query, place: str) -> tuple[sge.Query, sge.Query]:
    """Split a query that parses JSON, and return two: each is only half as deep.

    The first parses, into a column of structs. The second is the rest, and reads the first one's
    rows from `place`.

    Raises:
        ValueError: the query parses nothing.
    """
    rest = query.copy()
    parsing = [each for each in rest.find_all(sge.Subquery) if _makes_structs(each.this)]
    if not parsing:
        raise ValueError("the query makes no structs, so it can't be split")
    innermost = parsing[-1]
    rows = sge.to_table(quoted(place), dialect=DIALECT)
    first = innermost.this.copy()
    innermost.replace(sge.alias_(rows, innermost.alias, table=True))
    return first, rest


def _makes_structs(query: sge.Expression) -> bool:
    return isinstance(query, sge.Select) and any(
        inner.args.get("kind") == "STRUCT"
        for value in query.expressions
        for inner in value.find_all(sge.Select)
    )


def select(expressions: Iterable[Any], table: str, where: str = "") -> sge.Select:
    """Return a query of expressions over a table given as project.dataset.table."""
    query = sge.Select(expressions=list(expressions)).from_(
        sge.to_table(quoted(table), dialect=DIALECT)
    )
    return query.where(where, dialect=DIALECT) if where else query
