"""Binds models to tables, and checks the schema that they declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline.contract import Model
from pipeline.declarations import place, raised
from pipeline.errors import ContractError
from pipeline.graph import Graph
from pipeline.sources import SOURCES
from pipeline.sql import Engine, Names, to_sql


def expression(model: Model, table: Callable[[str], ir.Table]) -> ir.Table:
    """Return a model as an expression of its upstream tables, with the declared columns.

    `table` returns the table of an upstream name.

    Raises:
        ContractError: the model's function raises, or its columns or types are not the declared
            ones.
    """
    tables = [table(upstream) for upstream in model.upstream]
    try:
        made = model.function(*tables)
    except Exception as error:  # the author's function may raise anything
        raise raised(model.name, model.function, error) from error
    if not isinstance(made, ir.Table):
        what = f"it returns {type(made).__name__}, not a table"
        raise ContractError(f"{model.name} ({place(model.function)}): {what}.", "Return a table.")
    if drift := list(_drift(model, made.schema())):
        raise ContractError(
            f"{model.name} ({place(model.function)}): it does not make what it declares: "
            f"{'; '.join(drift)}.",
            "Change its columns or its expression, so both say the same.",
        )
    return made.select(*model.schema.names)


def unbuilt(graph: Graph, name: str, source: Callable[[str], ir.Table]) -> ir.Table:
    """Return a model as one expression of the sources, without built tables in between."""
    tables: dict[str, ir.Table] = {}

    def table(upstream: str) -> ir.Table:
        if upstream not in tables:
            model = graph.models.get(upstream)
            tables[upstream] = expression(model, table) if model else source(upstream)
        return tables[upstream]

    return table(name)


def declared_table(
    graph: Graph, name: str, catalog: str | None = None, database: str | None = None
) -> ir.Table:
    """Return a model or source as a table of its declared schema, bound to no connection."""
    schema = graph.models[name].schema if name in graph.models else SOURCES[name].schema
    return ibis.table(schema, name=name, catalog=catalog, database=database)


@cache
def declared_expression(
    graph: Graph,
    name: str,
    namespace: Names = (None, None),
    source_namespace: Names = (None, None),
) -> ir.Table:
    """Return a model as an expression of its declared upstream tables, bound to no connection.

    `namespace` is the place of the models, `source_namespace` that of the sources.

    Raises:
        ContractError: as `expression`.
    """

    def table(upstream: str) -> ir.Table:
        where = source_namespace if upstream in SOURCES else namespace
        return declared_table(graph, upstream, *where)

    return expression(graph.models[name], table)


def bound(graph: Graph, name: str, table: Callable[[str], ir.Table]) -> ir.Table:
    """Return a model as an expression of these upstream tables.

    If they are as declared, it is `declared_expression`: then a build calls a model's function and
    compiles its result only once.

    Raises:
        ContractError: as `expression`.
    """
    model = graph.models[name]
    if all(table(each).equals(declared_table(graph, each)) for each in model.upstream):
        return declared_expression(graph, name)
    return expression(model, table)


def model_sql(graph: Graph, name: str, engine: Engine, *namespaces: Names) -> str:
    """Return a model's SELECT; `namespaces` are as of `declared_expression`."""
    return to_sql(declared_expression(graph, name, *namespaces), engine)


def columns_read(graph: Graph, names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return, per source, the columns that these models read."""
    read: dict[str, set[str]] = {}
    for name in names:
        if not graph.sources_of([name]):
            continue
        for field in declared_expression(graph, name).op().find(ops.Field):
            if isinstance(field.rel, ops.UnboundTable) and field.rel.name in SOURCES:
                read.setdefault(field.rel.name, set()).add(field.name)
    return {source: frozenset(columns) for source, columns in read.items()}


def _drift(model: Model, made: ibis.Schema) -> Iterable[str]:
    declared: Mapping[str, dt.DataType] = model.schema
    for name in declared:
        if name not in made:
            yield f"no column {name}"
        elif _nullable(made[name]) != declared[name]:
            yield f"{name} is {made[name]}, declared {declared[name]}"
    for name in made:
        if name not in declared:
            yield f"undeclared column {name}"


def _nullable(dtype: dt.DataType) -> dt.DataType:
    # the checks look for NULL; Ibis knows only of literals whether they can be NULL
    if isinstance(dtype, dt.Array):
        return dt.Array(_nullable(dtype.value_type))
    if isinstance(dtype, dt.Struct):
        return dt.Struct({name: _nullable(field) for name, field in dtype.items()})
    return dtype.copy(nullable=True)
