"""Compiles equal expressions once: many builds of one process then take less time."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator
from typing import Any
from unittest import mock

import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.expressions as sge

from pipeline import fingerprints
from pipeline.graph import Graph
from pipeline.sql import COMPILERS, Engine


@contextlib.contextmanager
def compiled_once(engine: Engine) -> Iterator[None]:
    """Remember the queries of an engine's expressions, and the fingerprints of all models.

    The queries are the same whatever connection an expression is bound to.
    """
    compiler = type(COMPILERS[engine])

    def to_sqlglot(self: Any, expr: ir.Table, **options: Any) -> sge.Query:
        if options:
            return _PLAIN[engine](self, expr, **options)
        return _query(engine, expr.unbind().op()).copy()

    with (
        mock.patch.object(compiler, "to_sqlglot", to_sqlglot),
        mock.patch.object(fingerprints, "of_models", _of_models),
    ):
        yield


_of_models_once = functools.cache(fingerprints.of_models)


def _of_models(graph: Graph, engine: Engine, names: Collection[str]) -> Any:
    return _of_models_once(graph, engine, tuple(names))


_PLAIN = {engine: type(compiler).to_sqlglot for engine, compiler in COMPILERS.items()}


@functools.lru_cache(maxsize=4096)
def _query(engine: Engine, rows: ops.Relation) -> sge.Query:
    return _PLAIN[engine](COMPILERS[engine], rows.to_expr())
