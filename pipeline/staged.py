"""Keeps rows of files that are gone, as an earlier build staged them, if the user asks for it.

No staged row names its file. A published row came from a gone file if no existing file has an equal
one, in the columns that come from the source unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

import pipeline.lineage as lineage
from pipeline.backends.base import Append, KeepsStaged, Made
from pipeline.contract import Model
from pipeline.errors import InputError
from pipeline.expressions import expression
from pipeline.graph import Graph

_NEXT = (
    "Put the files back, or lose their rows with --allow-fewer-rows. The last build is unchanged."
)


def create(
    workspace: KeepsStaged, graph: Graph, model: Model, table: Callable[[str], ir.Table]
) -> Made:
    """Materialize the model that reads events, and add the published rows of files that are gone.

    Raises:
        InputError: the model's columns have changed, or the rows of gone files can't be found.
        EngineError: the engine can't run a statement.
        ResourceError: memory or disk ran out.
    """
    published = workspace.former(model.name)
    if published.schema() != model.schema:
        raise InputError(
            f"{model.name} has other columns than the published one, so rows of files that are gone"
            " can't stay.",
            _NEXT,
        )

    def add(append: Append) -> None:
        now = workspace.table(model.name)
        append(_rows(workspace, model, published, now, _as_they_came(graph, model)))

    return workspace.create(model, expression(model, table), add)


def _as_they_came(graph: Graph, model: Model) -> list[str]:
    """Return the columns that hold a source's column unchanged."""
    made = lineage.of(graph).direct(model.name)
    return [
        name
        for name, each in made.items()
        if each.is_whole
        and each.decides <= each.value
        and not any(origin.path for origin in each.value)
    ]


def _rows(
    workspace: KeepsStaged, model: Model, published: ir.Table, now: ir.Table, same: Sequence[str]
) -> ir.Table:
    before = published.group_by(*same).agg(before=_.count())
    still = now.group_by(*same).agg(still=_.count())
    both = before.left_join(still, [before[name].identical_to(still[name]) for name in same])
    counts = both.select(
        *(before[name] for name in same), "before", gone=_.before - _.still.fill_null(0)
    )
    keys = counts.filter(_.gone > 0)
    rows = published.inner_join(keys, [published[name].identical_to(keys[name]) for name in same])
    rows = rows.select(*(published[name] for name in model.schema.names), "before", "gone")
    # Existing files may give some of several rows that are equal in these columns. It is unknown
    # which ones, unless the rows are equal in all columns.
    mixed = rows.filter(_.gone < _.before).distinct().group_by(*same).agg(kinds=_.count())
    found = keys.aggregate(rows=_.gone.sum())
    number = sum(each.rows for each in workspace.gone)
    (told,) = workspace.fetch(found).to_pylist()
    (kinds,) = workspace.fetch(mixed.aggregate(most=_.kinds.max())).to_pylist()
    if (told["rows"] or 0) != number or (kinds["most"] or 0) > 1:
        raise InputError(
            f"The {number:,} rows of files that are gone can't be found in {model.name}: by "
            f"{', '.join(same)}, {told['rows'] or 0:,} rows come from no existing file.",
            _NEXT,
        )
    place = ibis.row_number().over(ibis.window(group_by=list(same)))
    return rows.mutate(place=place).filter(_.place < _.gone).select(*model.schema.names)
