"""Finds built tables that older code built, and names the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from pipeline.backends.base import Tables
from pipeline.contract import Model
from pipeline.errors import EngineError, UsageError
from pipeline.graph import Graph
from pipeline.results import RunRecord


def current(model: Model, tables: Tables) -> ir.Table:
    """Return a built model with its declared columns.

    Raises:
        UsageError: older code built it.
    """
    require_current([model], tables)
    return tables.table(model.name).select(*model.schema.names)


def require_current(models: Iterable[Model], tables: Tables) -> None:
    """Refuse built tables that differ from the current code.

    Raises:
        UsageError: older code built one.
    """
    if older := [text for text in (built_by_older_code(each, tables) for each in models) if text]:
        raise UsageError("\n".join(older))


def built_by_older_code(model: Model, tables: Tables) -> str:
    """Return how a built table differs from its model's code, and the remedy; '' if it does not."""
    if differences := list(_differences(model, tables)):
        what = f"{model.name} was built by older code ({'; '.join(differences)})"
        return f"{what}: build --select {model.name}+"
    return ""


def outdated(graph: Graph, published: RunRecord) -> dict[str, str]:
    """Return the models that are older than one of their upstream tables, and why.

    A partial build leaves the models as they are that need the ones that it makes.
    """
    now = {name: read.read_at for name, read in published.sources.items()}
    now |= {made.name: made.built_at.isoformat() for made in published.models if made.built_at}
    found = {}
    for made in published.models:
        for name, was in made.made_from.items():
            if made.name in graph.models and now.get(name) != was:
                found[made.name] = f"{name} is newer"
    return found


def _differences(model: Model, tables: Tables) -> Iterator[str]:
    try:
        built: Mapping[str, dt.DataType] = tables.table(model.name).schema()
    except EngineError as error:
        # a view on a table whose columns have changed since
        yield f"it can't be read: {error.what}"
        return
    if lost := [name for name in model.schema if name not in built]:
        yield f"it has no column {', '.join(lost)}"
    for name, declared in model.schema.items():
        if name in built and built[name] != declared:
            yield f"its column {name} is {built[name]}, now {declared}"
    kind = "view" if tables.is_view(model.name) else "table"
    if kind != model.materialized:
        yield f"it is a {kind}, now a {model.materialized}"
