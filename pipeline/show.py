"""What `show` is asked for: columns, and a condition that is read before it is run."""

from __future__ import annotations

from collections.abc import Sequence

import sqlglot
import sqlglot.expressions as sge

from pipeline.contract import Model
from pipeline.errors import UsageError, did_you_mean
from pipeline.expressions import Engine


def columns_of(model: Model, names: Sequence[str]) -> list[str]:
    """Return the named columns of a model, each once; all of them by default.

    Raises:
        UsageError: the model has no such column.
    """
    for name in names:
        _require_column(name, model)
    return list(dict.fromkeys(names or model.schema.names))


def condition(text: str, model: Model, engine: Engine, *, reveal: bool) -> sge.Expression:
    """Read a boolean expression over a model's columns.

    Raises:
        UsageError: it is no single expression, holds a query, names an unknown column, or a
            sensitive one without `reveal`.
    """
    try:
        statements = sqlglot.parse(f"SELECT {text}", dialect=engine)
    except sqlglot.errors.SqlglotError as error:
        raise _unreadable(text, str(error).splitlines()[0]) from error
    if len(statements) != 1 or not isinstance(statements[0], sge.Select):
        raise _unreadable(text, "it is more than one statement")
    select = statements[0]
    if len(select.expressions) != 1 or any(
        value for name, value in select.args.items() if name not in ("expressions", "kind")
    ):
        raise _unreadable(text, "it is more than one expression")
    tree: sge.Expression = select.expressions[0]
    if isinstance(tree, sge.Alias) or tree.find(sge.Query, sge.Star, sge.Columns):
        raise _unreadable(text, "a condition holds no query, no list of columns and no AS")
    for column in tree.find_all(sge.Column):
        _require_column(column.name, model)
        if column.name in model.sensitive and not reveal:
            raise UsageError(
                f"{column.name} is sensitive, and a condition on it would tell its values.",
                "Add --reveal if you may see them.",
            )
    return tree


def _require_column(name: str, model: Model) -> None:
    if name not in model.schema:
        raise UsageError(
            f"{model.name} has no column {name!r}.", did_you_mean(name, model.schema.names)
        )


def _unreadable(text: str, why: str) -> UsageError:
    return UsageError(
        f"--where {text!r} can't be used: {why}.",
        "Write one boolean expression over the model's columns, such as \"device_id = 'd1'\".",
    )
