"""The portability check: every model compiles for both engines and holds nothing that one rejects.

Rules are over a model's Ibis tree, its BigQuery SQL and its declaration; a rule is one entry in one
of these lists, and one test that breaks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import ibis.expr.types as ir
import sqlglot
from ibis.common.exceptions import IbisError

from pipeline import graph
from pipeline.contract import Model
from pipeline.errors import ContractError
from pipeline.expressions import Engine, declared_table, expression, to_sql
from pipeline.graph import Graph
from pipeline.lint.expression_rules import EXPRESSION_RULES, OPERATIONS, Tree
from pipeline.lint.nullness import Nullness
from pipeline.lint.rule import Finding, broken
from pipeline.lint.sql_rules import SQL_RULES
from pipeline.lint.storage_rules import STORAGE_RULES

__all__ = ["Finding", "lint"]


def lint(
    select: Sequence[str] = (), exclude: Sequence[str] = (), models: Graph | None = None
) -> list[Finding]:
    """Return what is found in the selected models, in dependency order; needs no connection.

    Raises:
        UsageError: a part of the selection names nothing, or nothing is left.
    """
    loaded = models or graph.load()
    return [
        finding
        for name in loaded.select(select, exclude)
        for finding in _findings(loaded, loaded.models[name])
    ]


def _findings(loaded: Graph, model: Model) -> list[Finding]:
    found = broken(STORAGE_RULES, model.name, model)
    try:
        expr = expression(model, lambda upstream: declared_table(loaded, upstream))
    except ContractError as error:
        return [*found, _drifted(model, error)]
    except Exception as error:  # whatever its function raises, the other models are looked at
        return [*found, _impossible(model, "as an expression", error)]
    found += broken(EXPRESSION_RULES, model.name, Tree(expr.op(), Nullness(loaded, expr.op())))
    return found + _compiled(model, expr)


def _compiled(model: Model, expr: ir.Table) -> list[Finding]:
    found: list[Finding] = []
    statements: dict[Engine, str] = {}
    for engine in get_args(Engine):
        try:
            statements[engine] = to_sql(expr, engine)
        except IbisError as error:
            found.append(_impossible(model, f"for {engine}", error))
    if sql := statements.get("bigquery"):
        found += broken(SQL_RULES, model.name, sqlglot.parse_one(sql, dialect="bigquery"))
    return found


def _drifted(model: Model, error: ContractError) -> Finding:
    return Finding(
        model.name,
        "declared_schema",
        "error",
        error.what,
        "The model does not make the columns it declares.",
        error.next_step,
        f"{OPERATIONS}/schemas",
    )


def _impossible(model: Model, where: str, error: Exception) -> Finding:
    return Finding(
        model.name,
        "compiles",
        "error",
        where,
        f"Ibis can't write it: {error}",
        "Say it with other operations, or add one to dialect.py with a rule for each engine.",
        "https://ibis-project.org/backends/support/matrix",
    )
