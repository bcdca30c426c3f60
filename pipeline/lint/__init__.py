"""The portability check: every model compiles for both engines, and neither rejects it.

Rules look at a model's Ibis tree, its BigQuery SQL and its declaration. A rule is one entry in one
of these lists, and one test that breaks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import ibis.expr.types as ir
import sqlglot
from ibis.common.exceptions import IbisError

import pipeline.lineage as lineage
from pipeline.contract import Model
from pipeline.errors import ContractError
from pipeline.expressions import declared_expression
from pipeline.graph import Graph
from pipeline.lint.expression_rules import EXPRESSION_RULES, Tree
from pipeline.lint.rule import OPERATIONS, broken
from pipeline.lint.sql_rules import SQL_RULES
from pipeline.lint.storage_rules import STORAGE_RULES
from pipeline.nullness import Nullness
from pipeline.results import Finding
from pipeline.sql import Engine, to_sql


def lint(graph: Graph, names: Sequence[str]) -> list[Finding]:
    """Return the rules' findings in these models, in order; needs no connection."""
    return [finding for name in names for finding in _findings(graph, graph.models[name])]


def _findings(graph: Graph, model: Model) -> list[Finding]:
    try:
        graph.require([model.name])
    except ContractError as error:
        return [_faulty(model, error)]
    found = broken(STORAGE_RULES, model.name, model)
    try:
        expr = declared_expression(graph, model.name)
    except ContractError as error:
        return [*found, _faulty(model, error)]
    found += broken(EXPRESSION_RULES, model.name, Tree(expr.op(), Nullness(graph, expr.op())))
    return found + _compiled(model, expr) + _undeclared(graph, model)


def _undeclared(graph: Graph, model: Model) -> list[Finding]:
    """Return a finding for each column with sensitive origins that is not declared so."""
    traced = lineage.of(graph)
    return [
        Finding(
            model.name,
            "undeclared_sensitive",
            "error",
            f"{name} is made of {', '.join(traced.sensitive_origins(model.name, name))}",
            "It has values of a sensitive column, so every command masks it.",
            'Declare it with sensitive=True, or say why it tells nothing: not_sensitive="…".',
            "SECURITY.md",
        )
        for name in model.schema
        if name in traced.sensitive(model.name) - model.sensitive
    ]


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


def _faulty(model: Model, error: ContractError) -> Finding:
    return Finding(
        model.name,
        "declaration",
        "error",
        error.what,
        "The declaration is faulty, or the function does not make the declared columns.",
        error.next_step or "Mend the line that it names.",
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
