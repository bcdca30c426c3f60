"""The statements that materialize models on BigQuery."""

from __future__ import annotations

import datetime as dt
import json
import re

import googlesql
import ibis
import pyarrow as pa
import pytest
import sqlglot.expressions as sge
from conftest import arrow, command, event_types, raw_event, reading
from google.cloud import bigquery

from pipeline import catalog
from pipeline.backends.bigquery import runs
from pipeline.backends.bigquery.sources import every_row
from pipeline.backends.bigquery.statements import (
    Copied,
    as_of,
    create_view,
    expires,
    parsed_apart,
    renamed,
    transaction,
)
from pipeline.backends.bigquery.storage import table_of, tags_of
from pipeline.backends.bigquery.types import schema_of
from pipeline.expressions import columns_read, declared_table, expression
from pipeline.results import RunRecord, SourceRead
from pipeline.sql import to_query

GRAPH = catalog.load()
MODELS = GRAPH.models
EXPIRES = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "unit", "partition", "cluster"),
    [
        ("fct_command_statuses", "DAY", "command_date", ["device_id", "command_uuid"]),
        ("fct_command_readings", "DAY", "command_date", ["device_id", "command_uuid"]),
        ("met_daily_command_count_by_username", "MONTH", "timestamp_date", ["username"]),
    ],
)
def test_a_table_is_partitioned_and_clustered_as_declared(name, unit, partition, cluster):
    table = table_of(MODELS[name], f"project.dataset.{name}", tags={})

    found = table.time_partitioning
    assert (found.type_, found.field, table.clustering_fields) == (unit, partition, cluster)
    # ten thousand years: a default of the dataset would drop old days
    assert found.expiration_ms == 3_650_000 * 86_400_000


@pytest.mark.parametrize("name", MODELS)
def test_every_column_and_the_grain_are_described(name):
    model = MODELS[name]
    if model.materialized == "view":
        text = create_view(model, f"project.dataset.{name}", "SELECT 1").replace("\\'", "'")
        assert text.startswith(f"CREATE OR REPLACE VIEW `project`.`dataset`.`{name}`")
        assert f"description='{model.grain}'" in text
        for column in model.columns:
            assert f"`{column.name}` OPTIONS(description='{column.description}')" in text
        return
    table = table_of(model, f"project.dataset.{name}", tags={})
    assert table.description == model.grain
    described = {field.name: field.description for field in table.schema}
    assert described == {column.name: column.description for column in model.columns}
    assert schema_of(table.schema) == model.schema


def test_a_tagged_column_is_tagged_when_its_table_is_made():
    tag = "projects/p/locations/eu/taxonomies/1/policyTags/2"

    table = table_of(MODELS["fct_command_statuses"], "project.dataset.name", tags={"pin": [tag]})

    assert tags_of(table) == {"pin": [tag]}


def test_only_what_is_for_now_expires():
    model = MODELS["dim_users"]
    assert table_of(model, "project.dataset.x", tags={}, expires=EXPIRES).expires == EXPIRES
    assert table_of(model, "project.dataset.x", tags={}).expires is None
    old = expires("project.dataset.x", EXPIRES)
    assert "expiration_timestamp=TIMESTAMP '2030-01-02T00:00:00+00:00'" in old
    assert "expiration_timestamp=NULL" in expires("project.dataset.x", None)
    view = create_view(MODELS["stg_commands"], "project.dataset.x", "SELECT 1")
    assert "expiration_timestamp" not in view


def test_a_view_reads_the_tables_that_are_published():
    table = declared_table(catalog.load(), "stg_users", "project", "dataset")
    now = table.op().copy(name="_building_1_stg_users").to_expr()

    query = renamed(to_query(now, "bigquery"), {"_building_1_stg_users": "stg_users"})

    assert query.sql("bigquery").endswith("FROM `project`.`dataset`.`stg_users`")


def test_only_raw_tables_are_read_as_they_were():
    raw = declared_table(GRAPH, "raw_users", "project", "raw")
    other = declared_table(GRAPH, "stg_users", "project", "dataset")
    query = to_query(raw.join(other, raw.username == other.username)[["uid"]], "bigquery")

    text = as_of(query, ["raw_users"], EXPIRES).sql("bigquery")

    at = " FOR SYSTEM_TIME AS OF TIMESTAMP '2030-01-02T00:00:00+00:00'"
    assert text.count(at) == 1
    assert re.search(rf"`raw_users` AS `t\d`{re.escape(at)}", text)


def test_rows_are_published_in_one_transaction_by_parts_where_they_are_many():
    rows = Copied("p.d.new", "p.d.old", ["a", "b"], parts=("a < 5", "a >= 5"))
    more = Copied("p.d.file", "p.d.raw", ["a"], append=True)

    script = transaction([*rows.statements(), *more.statements()])

    assert [" ".join(each.split()) for each in script.split(";\n")] == [
        "BEGIN TRANSACTION",
        "TRUNCATE TABLE `p`.`d`.`old`",
        "INSERT INTO `p`.`d`.`old` (`a`, `b`) SELECT `a`, `b` FROM ( SELECT * FROM `p`.`d`.`new` )"
        " WHERE a < 5",
        "INSERT INTO `p`.`d`.`old` (`a`, `b`) SELECT `a`, `b` FROM ( SELECT * FROM `p`.`d`.`new` )"
        " WHERE a >= 5",
        "INSERT INTO `p`.`d`.`raw` (`a`) SELECT `a` FROM ( SELECT * FROM `p`.`d`.`file` )",
        "COMMIT TRANSACTION;",
    ]


@pytest.mark.parametrize(
    ("settings", "condition"),
    [
        ({}, ""),
        (
            {"time_partitioning": bigquery.TimePartitioning(field="day")},
            "(`day` >= DATE '0001-01-01' OR `day` IS NULL)",
        ),
        (
            {"time_partitioning": bigquery.TimePartitioning(field="at")},
            "(`at` >= TIMESTAMP '0001-01-01 00:00:00+00' OR `at` IS NULL)",
        ),
        (
            {"time_partitioning": bigquery.TimePartitioning()},
            "(_PARTITIONTIME >= TIMESTAMP '0001-01-01 00:00:00+00' OR _PARTITIONTIME IS NULL)",
        ),
        (
            {"range_partitioning": bigquery.RangePartitioning(field="n")},
            "(`n` >= -9223372036854775808 OR `n` IS NULL)",
        ),
    ],
)
def test_a_table_that_asks_for_a_partition_filter_gets_one_that_each_row_meets(settings, condition):
    kinds = {"day": "DATE", "at": "TIMESTAMP", "n": "INTEGER"}
    fields = [bigquery.SchemaField(name, kind) for name, kind in kinds.items()]
    table = bigquery.Table("project.dataset.raw_users", fields)
    for name, value in settings.items():
        setattr(table, name, value)
    table.require_partition_filter = bool(settings)

    assert every_row(table) == condition


def test_a_record_is_written_as_it_is_whatever_is_in_it():
    nasty = 'a "quote", it\'s a \\ back\\slash, `tick`,\na line and \u2028 ü'
    read = {"raw_users": SourceRead((nasty,), 3)}

    sql = runs.insert("project.dataset", RunRecord(EXPIRES, 1.5, read), "run")

    into, _, values = sql.partition(" FROM UNNEST([1])")[0].partition("\nSELECT ")
    types = {field.name: field.field_type for field in runs.SCHEMA}
    named = re.findall(r"`(\w+)`[,)]", into)
    row = ", ".join(f"{name} {types[name]}" for name in named)
    rows = f"SELECT ARRAY<STRUCT<{row}>>[({values})]"
    (found,) = googlesql.query(f"SELECT row.sources FROM UNNEST(({rows})) AS row", {}).to_pylist()
    assert json.loads(found["sources"])["raw_users"]["inputs"] == [nasty]


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


def test_a_statement_that_is_too_complex_is_split_at_its_parse_and_makes_the_same_rows():
    events = [
        command("c"),
        command("p", "PinAssignment", 3, "918273"),
        reading("r"),
        raw_event("Switch", "{"),
    ]
    raw = ibis.table(
        ibis.Schema.from_pyarrow(pa.schema(list(event_types().items()))),
        name="raw_sync_events",
        catalog="project",
        database="dataset",
    )
    whole = to_query(expression(MODELS["stg_sync_events"], lambda name: raw), "bigquery")
    tables = {"project.dataset.raw_sync_events": arrow(events, event_types())}

    first, rest = parsed_apart(whole, "project.dataset.parsed")

    # the deepest text of the raw column is parsed by the first, and the raw table read by it alone
    assert "raw_sync_events" not in rest.sql("bigquery")
    assert first.sql("bigquery").count("SELECT") < whole.sql("bigquery").count("SELECT") / 2
    tables["project.dataset.parsed"] = googlesql.query(first.sql("bigquery"), tables)
    made = googlesql.query(rest.sql("bigquery"), tables)
    assert made.num_rows == len(events)
    assert made.sort_by("_uid").equals(
        googlesql.query(whole.sql("bigquery"), tables).sort_by("_uid")
    )
