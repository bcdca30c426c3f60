"""Fingerprints of models and checks: do they still match the published build?

A fingerprint covers the SQL that the code compiles to. So a change of a helper in `rules/` counts,
and one of a comment does not.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.contract import Model, TableCheck
from pipeline.counting import check_column, counting, row_checks
from pipeline.expressions import declared_table, model_sql
from pipeline.graph import Graph
from pipeline.results import CheckResult, ModelResult, RunRecord
from pipeline.sources import SOURCES
from pipeline.sql import Engine, columns_sql, to_sql

Fingerprint = dict[str, str]
PACKAGE = Path(__file__).parent
REASONS = {
    "code": "its code has changed",
    "columns": "its columns have changed",
    "storage": "its storage has changed",
    "declaration": "its declaration has changed",
    "files": "the way files are read has changed",
}
"""The reason that a differing part of a fingerprint stands for, the most telling part first."""
_RAW_VALUES = ("mixed.py", "numbers.py", "source_values.py", "time.py")
"""The rules that read a raw value by its type."""


@dataclass(frozen=True)
class Code:
    """The fingerprints of the current code: of models, and of checks by model and name.

    `key` changes whenever any code may have changed; it is empty if that can't be known.
    """

    key: str
    models: Mapping[str, Fingerprint]
    checks: Mapping[tuple[str, str], str]

    @classmethod
    def of(
        cls, graph: Graph, engine: Engine, names: Collection[str], previous: RunRecord | None
    ) -> Code:
        """Return these models' fingerprints; the last build's if no code has changed since."""
        key = code_key(graph)
        if previous and key and key == previous.code:
            models = {made.name: dict(made.fingerprint) for made in previous.models}
            checks = {(each.model, each.name): each.fingerprint for each in previous.checks}
            if all(models.get(name) for name in names) and all(checks.values()):
                return cls(key, models, checks)
        return cls(key, of_models(graph, engine, names), of_checks(graph, engine, names))

    def of_check(self, found: CheckResult) -> str:
        """Return the fingerprint of a check that ran, else the recorded one."""
        return self.checks.get((found.model, found.name), found.fingerprint)


def code_key(graph: Graph) -> str:
    """Return a text that changes whenever any code may have changed; empty if that is unknown.

    It is cheap, unlike fingerprints: it covers the modules' bytes and the compilers' versions.
    """
    modules = {model.function.__module__.split(".")[0] for model in graph.models.values()}
    return _package_key() if modules == {"pipeline"} else ""


@cache
def _package_key() -> str:
    contents = [path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))]
    versions = [version(name) for name in ("ibis-framework", "sqlglot")]
    return _digest([*versions, *(hashlib.md5(each).hexdigest() for each in contents)])


def of_models(graph: Graph, engine: Engine, names: Collection[str]) -> dict[str, Fingerprint]:
    """Return each model's fingerprint, part by part."""
    return {name: _of_model(graph, graph.models[name], engine) for name in names}


def of_checks(graph: Graph, engine: Engine, names: Collection[str]) -> dict[tuple[str, str], str]:
    """Return each check's fingerprint, by model and name."""
    return {
        (name, check): fingerprint
        for name in names
        for check, fingerprint in _of_checks(graph, name, engine).items()
    }


def why_modified(published: ModelResult | None, now: Mapping[str, str]) -> str:
    """Say why a model differs from the published one; empty if it does not."""
    if published is None:
        return "not built yet"
    if not published.fingerprint:
        return "built before fingerprints were kept"
    parts = [part for part in REASONS if published.fingerprint.get(part) != now.get(part)]
    return REASONS[parts[0]] if parts else ""


@cache  # a program that builds again makes the expressions of all checks only once
def _of_checks(graph: Graph, name: str, engine: Engine) -> dict[str, str]:
    model = graph.models[name]
    found = {
        "columns": _digest([[column.name, column.type] for column in model.columns]),
        "unique_key": _digest(list(model.key)),
    }
    # one statement for all of them, which a build compiles anyway
    counted = columns_sql(counting(model, declared_table(graph, name)), engine)
    for number, rule in enumerate(row_checks(model)):
        found[rule.name] = _digest([counted[check_column(number)], rule.severity])
    for check in graph.table_checks[name]:
        found[check.name] = _digest([_sql_of(graph, check, engine), check.severity])
    return found


def _of_model(graph: Graph, model: Model, engine: Engine) -> Fingerprint:
    reads_files = SOURCES.keys() & {*model.upstream}
    return {
        "code": _digest(model_sql(graph, model.name, engine)),
        "columns": _digest([[column.name, column.type] for column in model.columns]),
        "storage": _digest([model.materialized, model.partition_by, model.cluster_by]),
        "declaration": _digest(repr(model.locality)),
    } | ({"files": _reading()} if reads_files else {})


@cache
def _reading() -> str:
    """Digest the code that reads files, and raw values of all types that they may have.

    A model's SQL covers only the declared types. Layout, comments and docstrings do not count.
    """
    rules = [PACKAGE / "rules" / name for name in _RAW_VALUES]
    return _digest([_code_of(path) for path in (*sorted((PACKAGE / "files").glob("*.py")), *rules)])


def _code_of(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _sql_of(graph: Graph, rule: TableCheck, engine: Engine) -> str:
    # any number of rows: only the code counts
    tables = [1 if name in rule.counted else declared_table(graph, name) for name in rule.reads]
    return to_sql(rule.function(*tables), engine)


def _digest(content: Any) -> str:
    return hashlib.md5(json.dumps(content).encode(), usedforsecurity=False).hexdigest()
