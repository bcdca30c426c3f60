"""Rules over a model's declaration: whether BigQuery can store such a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from pipeline.contract import Model
from pipeline.lint.rule import GOOGLE, Rule

_MOST_CLUSTERS = 4
_RESERVED = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")


def _column_names(model: Model) -> Iterator[str]:
    for name in model.schema:
        if not _NAME.fullmatch(name) or name.upper().startswith(_RESERVED):
            yield name
    copies = Counter(name.lower() for name in model.schema)
    yield from (name for name, number in copies.items() if number > 1)


def _partition(model: Model) -> Iterator[str]:
    name = model.partition_by
    if name is not None and not (
        name in model.schema and (model.schema[name].is_date() or model.schema[name].is_timestamp())
    ):
        yield f"partition by {name}"


def _clusters(model: Model) -> Iterator[str]:
    if len(model.cluster_by) > _MOST_CLUSTERS:
        yield f"{len(model.cluster_by)} columns"
    for name in model.cluster_by:
        kind = model.schema.get(name)
        if kind is None or kind.is_floating() or kind.is_nested() or kind.is_json():
            yield f"cluster by {name}"


def _stored_view(model: Model) -> Iterator[str]:
    if model.materialized == "view" and (model.partition_by or model.cluster_by):
        yield model.name


STORAGE_RULES = (
    Rule(
        "column_name",
        "error",
        "BigQuery takes letters, digits and _, at most 300, no prefix of its own, and no two names"
        " that differ in case alone.",
        "Rename the column.",
        f"{GOOGLE}/schemas#column_names",
        _column_names,
    ),
    Rule(
        "partition_column",
        "error",
        "BigQuery partitions by a DATE or TIMESTAMP column of the table itself.",
        "Add such a column, as command_date is one.",
        f"{GOOGLE}/partitioned-tables#limitations",
        _partition,
    ),
    Rule(
        "cluster_columns",
        "error",
        "BigQuery clusters by at most four columns, none of them FLOAT64, STRUCT, ARRAY or JSON.",
        "Cluster by the first columns that queries filter by.",
        f"{GOOGLE}/creating-clustered-tables#limitations",
        _clusters,
    ),
    Rule(
        "stored_view",
        "error",
        "A view stores nothing that could be partitioned or clustered.",
        'Leave partition_by and cluster_by out, or say materialized="table".',
        f"{GOOGLE}/views-intro#view_limitations",
        _stored_view,
    ),
)
"""The rules over a model's declaration."""
