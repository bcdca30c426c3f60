"""How BigQuery stores a model's table: columns with their tags, partitions, clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import ibis
from google.cloud import bigquery
from ibis.backends.bigquery.datatypes import BigQuerySchema

from pipeline.backends.bigquery.tables import Dataset
from pipeline.backends.bigquery.types import schema_of
from pipeline.contract import Model
from pipeline.errors import UsageError

Tags = Mapping[str, Sequence[str]]
"""The policy tags of columns, by column."""

_NEVER = timedelta(days=3_650_000)
"""An explicit expiry of partitions: otherwise the dataset's default would delete old days."""


def table_of(
    model: Model, name: str, *, tags: Tags, expires: datetime | None = None
) -> bigquery.Table:
    """Return the empty table of a model, stored as the model declares.

    `name` is project.dataset.table. Partitions never expire, whatever the dataset's default is.
    """
    table = bigquery.Table(name, _fields(model, tags))
    table.description = model.grain
    table.expires = expires
    if model.partition_by:
        table.time_partitioning = partitions(model.partition_by, model.partition_unit)
    table.clustering_fields = list(model.cluster_by) or None
    return table


def partitions(column: str, unit: str = "day") -> bigquery.TimePartitioning:
    """Return partitions by a column of times or days, which never expire."""
    return bigquery.TimePartitioning(
        type_=unit.upper(), field=column, expiration_ms=int(_NEVER.total_seconds() * 1000)
    )


def nullable_fields(schema: ibis.Schema, tags: Tags) -> list[bigquery.SchemaField]:
    """Return columns that may be NULL or arrays, with their tags and without descriptions."""
    return [
        bigquery.SchemaField(
            each.name,
            each.field_type,
            "REPEATED" if each.mode == "REPEATED" else "NULLABLE",
            fields=each.fields,
            policy_tags=bigquery.PolicyTagList(tags[each.name]) if each.name in tags else None,
        )
        for each in BigQuerySchema.from_ibis(schema)
    ]


def tags_of(table: bigquery.Table) -> Tags:
    """Return the policy tags of a table's columns."""
    return {
        field.name: list(field.policy_tags.names)
        for field in table.schema
        if field.policy_tags and field.policy_tags.names
    }


def same_partitions(one: bigquery.Table, other: bigquery.Table) -> bool:
    """Tell whether two tables are partitioned alike; the partitions' expiry does not matter."""
    return _partitions(one) == _partitions(other)


def same_columns(one: bigquery.Table, other: bigquery.Table) -> bool:
    """Tell whether two tables have the same columns of the same types, in any order."""
    return dict(schema_of(one.schema)) == dict(schema_of(other.schema))


def require_unprotected(dataset: Dataset, table: bigquery.Table, why: str) -> None:
    """Refuse to replace a table that is protected: the new table would not be.

    Raises:
        UsageError: the table has row access policies or policy tags; the message names them.
    """
    tags = [f"the policy tag of {column}" for column in tags_of(table)]
    policies = [f"the row access policy {name}" for name in dataset.policies(table.table_id)]
    if protected := [*policies, *tags]:
        raise UsageError(
            f"{table.project}.{table.dataset_id}.{table.table_id} can't be replaced: {why}, and a"
            f" new table would not have {', '.join(protected)}.",
            "Rename or drop the table, run this again, and protect the new table.",
        )


def _partitions(table: bigquery.Table) -> object:
    by_time, by_range = table.time_partitioning, table.range_partitioning
    if by_time is not None:
        return by_time.type_, by_time.field
    return by_range and (by_range.field, by_range.range_)


def _fields(model: Model, tags: Tags) -> list[bigquery.SchemaField]:
    descriptions = {column.name: column.description for column in model.columns}
    return [
        bigquery.SchemaField(
            field.name,
            field.field_type,
            field.mode,
            description=descriptions[field.name],
            fields=field.fields,
            policy_tags=bigquery.PolicyTagList(tags[field.name]) if field.name in tags else None,
        )
        for field in BigQuerySchema.from_ibis(model.schema)
    ]
