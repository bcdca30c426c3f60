"""Comments on tables, views and columns: the model's descriptions."""

from __future__ import annotations

from collections.abc import Iterator

import sqlglot.expressions as sge

from pipeline.contract import Model


def comments(model: Model) -> str:
    """Return the statements that comment a built model, for one transaction."""
    return "; ".join(each.sql("duckdb") for each in _comments(model))


def _comments(model: Model) -> Iterator[sge.Comment]:
    yield _comment(model.materialized, sge.table_(model.name, quoted=True), model.grain)
    for column in model.columns:
        name = sge.column(column.name, table=model.name, quoted=True)
        yield _comment("column", name, column.description)


def _comment(kind: str, named: sge.Expression, text: str) -> sge.Comment:
    return sge.Comment(this=named, kind=kind.upper(), expression=sge.convert(text))
