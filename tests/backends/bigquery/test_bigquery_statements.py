"""The statements that materialize models on BigQuery."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlglot.expressions as sge

from pipeline import catalog
from pipeline.backends.bigquery.statements import create, renamed
from pipeline.expressions import columns_read, declared_table, expression
from pipeline.sql import to_query

GRAPH = catalog.load()
MODELS = GRAPH.models
EXPIRES = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)


def statement(name: str, expires: dt.datetime | None = None) -> str:
    return create(MODELS[name], f"project.dataset.{name}", "SELECT 1", expires)


@pytest.mark.parametrize(
    ("name", "partition", "cluster"),
    [
        ("fct_command_statuses", "`command_date`", "`device_id`, `command_uuid`"),
        ("fct_command_readings", "`command_date`", "`device_id`, `command_uuid`"),
        (
            "met_daily_command_count_by_username",
            "TIMESTAMP_TRUNC(`timestamp_date`, DAY)",
            "`username`",
        ),
    ],
)
def test_a_table_is_partitioned_and_clustered_as_declared(name, partition, cluster):
    assert f"\nPARTITION BY {partition}\nCLUSTER BY {cluster}\n" in statement(name)


@pytest.mark.parametrize("name", MODELS)
def test_every_column_and_the_grain_are_described(name):
    text = statement(name).replace("\\'", "'")

    assert text.startswith(f"CREATE OR REPLACE {MODELS[name].materialized.upper()} `project`.")
    assert f"description='{MODELS[name].grain}'" in text
    for column in MODELS[name].columns:
        assert f"`{column.name}`" in text
        assert f"OPTIONS(description='{column.description}')" in text


def test_only_what_is_for_now_expires():
    assert "expiration_timestamp=TIMESTAMP '2030-01-02T00:00:00+00:00'" in statement(
        "dim_users", EXPIRES
    )
    assert "expiration" not in statement("dim_users")


def test_a_view_reads_the_tables_that_are_published():
    table = declared_table(catalog.load(), "stg_users", "project", "dataset")
    now = table.op().copy(name="_building_1_stg_users").to_expr()

    query = renamed(to_query(now, "bigquery"), {"_building_1_stg_users": "stg_users"})

    assert query.sql("bigquery").endswith("FROM `project`.`dataset`.`stg_users`")


def scans(name: str) -> list[tuple[str, set[str]]]:
    """Return each read of a table in a model's statement: its name and the columns it takes."""
    made = expression(MODELS[name], lambda upstream: declared_table(GRAPH, upstream))
    query = to_query(made, "bigquery")
    return [
        (
            table.name,
            {c.name for c in table.parent_select.find_all(sge.Column) if c.table == table.alias},
        )
        for table in query.find_all(sge.Table)
        if table.name in {*MODELS, *GRAPH.sources_of(MODELS)}
    ]


def test_a_build_reads_each_raw_column_in_use_once_and_no_other():
    read = [scan for name in MODELS for scan in scans(name) if scan[0] not in MODELS]

    assert sorted(name for name, _ in read) == ["raw_sync_events", "raw_users"]
    assert {name: frozenset(columns) for name, columns in read} == columns_read(GRAPH, MODELS)
