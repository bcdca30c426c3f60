"""Compiles an expression to an engine's SQL, the same text each time; needs no connection."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import ibis
import ibis.backends.sql.compilers as compilers
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.expressions as sge

Engine = Literal["duckdb", "bigquery"]
Names = tuple[str | None, str | None]
"""Catalog and database of tables, in BigQuery project and dataset; None if there is only one."""

COMPILERS = {"duckdb": compilers.duckdb.compiler, "bigquery": compilers.bigquery.compiler}
_MADE_UP_NAME = re.compile(r"(ibis_\w+)_[a-z2-7]{26}")


def to_sql(expr: ir.Table, engine: Engine) -> str:
    """Return an expression's SQL for an engine, the same text each time.

    Needs no connection. It compiles an expression only once.
    """
    return _text(_unbound(expr), engine)


def columns_sql(expr: ir.Table, engine: Engine) -> dict[str, str]:
    """Return the SQL of each column that a query selects from one table.

    If the query selects from anything else, a column's SQL alone does not define it: then each
    column has the SQL of the whole query.
    """
    query = _query(_unbound(expr), engine)
    selects = [*query.find_all(sge.Select, sge.SetOperation)]
    dialect, whole = COMPILERS[engine].dialect, len(selects) > 1
    return {
        column.alias_or_name: (query if whole else column.unalias()).sql(dialect=dialect)
        for column in selects[0].selects
    }


@lru_cache(maxsize=256)
def _text(rows: ops.Relation, engine: Engine) -> str:
    return _query(rows, engine).sql(dialect=COMPILERS[engine].dialect, pretty=True)


@lru_cache(maxsize=256)
def _query(rows: ops.Relation, engine: Engine) -> sge.Query:
    return _compiled(rows, engine)


def type_name(kind: str, engine: Engine) -> str:
    """Return an engine's name of a declared type."""
    return str(COMPILERS[engine].type_mapper.to_string(ibis.dtype(kind)))


def to_query(expr: ir.Table, engine: Engine) -> sge.Query:
    """Return an expression's query for an engine as a syntax tree, the same each time."""
    return _compiled(_unbound(expr), engine)


def _unbound(expr: ir.Table) -> ops.Relation:
    """Return an expression that holds no connection, so a cache may keep it."""
    is_bound = expr.op().find(ops.DatabaseTable)
    return (expr.unbind() if is_bound else expr).op()


def _compiled(rows: ops.Relation, engine: Engine) -> sge.Query:
    return _reproducible(COMPILERS[engine].to_sqlglot(rows.to_expr()))


def _reproducible(query: sge.Query) -> sge.Query:
    # Ibis invents random names, and drops columns in the order of a set
    names: dict[str, str] = {}
    for identifier in query.find_all(sge.Identifier):
        if made_up := _MADE_UP_NAME.fullmatch(identifier.name):
            name = names.setdefault(identifier.name, f"{made_up[1]}_{len(names) + 1}")
            identifier.set("this", name)
    for star in query.find_all(sge.Star):
        star.set("except_", sorted(star.args.get("except_") or (), key=lambda left: left.name))
    return query
