"""Checks the columns and the condition of `show` before they run."""

from __future__ import annotations

from collections.abc import Sequence

import sqlglot
import sqlglot.expressions as sge

from pipeline.contract import Model
from pipeline.errors import UsageError, did_you_mean
from pipeline.sql import Engine

_NO_EXPRESSION = (sge.Query, sge.Values, sge.Table, sge.Star, sge.Columns)
_FUNCTIONS = {
    "logic": ("and case cast coalesce greatest if isnull least nullif or safe_func try try_cast"),
    "text": (
        "ascii byte_length char_length chr concat concat_ws contains ends_with format ilike "
        "instr left length levenshtein lower md5 pad prefix regexp_contains regexp_extract "
        "regexp_full_match regexp_ilike regexp_like regexp_replace repeat replace reverse right "
        "split split_part starts_with str_position strpos substr substring suffix trim unicode "
        "upper"
    ),
    "numbers": "abs ceil floor is_inf is_nan isfinite mod power round safe_divide sign sqrt",
    "times": (
        "current_date current_timestamp date date_add date_diff date_from_parts date_part "
        "date_sub date_trunc datediff datetime day day_of_week dayofweek_iso epoch epoch_ms "
        "epoch_us extract hour minute month now second str_to_time time_to_str time_to_unix "
        "timestamp timestamp_add timestamp_diff timestamp_micros timestamp_sub timestamp_trunc "
        "timestampdiff timezone ts_or_ds_to_datetime ts_or_ds_to_timestamp unix_micros "
        "unix_seconds unix_to_time weekday year"
    ),
    "nested": (
        "array array_any array_contains array_filter array_max array_min array_overlaps "
        "array_size array_slice cardinality filter json_array_length json_extract "
        "json_extract_scalar json_format json_keys json_type json_valid list_any_value "
        "list_extract list_has list_position list_sum struct struct_extract transform"
    ),
}
FUNCTIONS = frozenset(name for names in _FUNCTIONS.values() for name in names.split())
"""The functions that a condition may call, by SQLGlot's names: they read only the row.

An engine has others that wait, read settings, files or the network, write a log or call a paid
service. New ones come with each version, so this list names those that are allowed.
"""


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
        UsageError: it is not a single expression, holds a query, names an unknown column, or a
            sensitive one without `reveal`.
    """
    try:
        statements = sqlglot.parse(f"SELECT {text}", dialect=engine)
    except sqlglot.errors.SqlglotError as error:
        raise _unreadable(text, "it is not a complete expression") from error
    if len(statements) != 1 or not isinstance(statements[0], sge.Select):
        raise _unreadable(text, "it is more than one statement")
    select = statements[0]
    if len(select.expressions) != 1 or any(
        value for name, value in select.args.items() if name not in ("expressions", "kind")
    ):
        raise _unreadable(text, "it is more than one expression")
    tree: sge.Expression = select.expressions[0]
    if isinstance(tree, sge.Alias) or tree.find(*_NO_EXPRESSION):
        raise _unreadable(text, "a condition holds no query, no list of columns and no AS")
    _require_pure(text, tree)
    for column in tree.find_all(sge.Column):
        _require_column(column.name, model)
        if column.name in model.sensitive and not reveal:
            raise UsageError(
                f"{column.name} is sensitive, and a condition on it would tell its values.",
                "Add --reveal if you may see them.",
            )
    return tree


def _require_pure(text: str, tree: sge.Expression) -> None:
    for call in tree.find_all(sge.Func):
        name = (call.name if isinstance(call, sge.Anonymous) else call.sql_name()).lower()
        if name not in FUNCTIONS:
            near = did_you_mean(name, FUNCTIONS)
            raise _unreadable(text, f"{name} is not a function that a condition may call. {near}")
        # anybody may have written a function of a schema
        if isinstance(call.parent, sge.Dot):
            raise _unreadable(text, f"{name} is called by more than its name")


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
