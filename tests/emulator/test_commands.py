"""Users' commands, from local files to models on BigQuery."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import signal
import time
from collections import Counter
from dataclasses import replace

import duckdb as engine
import pytest

import pipeline
from emulator.server import PROJECT
from pipeline import build as builds
from pipeline import catalog
from pipeline.backends.bigquery.backend import BigQuery
from pipeline.graph import Graph
from pipeline.options import RunOptions

MODELS = catalog.load().models
RAW = {"raw_sync_events", "raw_users"}


def plain(value):
    """A value as text, the same for equal values of both engines."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, list):
        return [plain(element) for element in value]
    return (
        {name: plain(field) for name, field in value.items()} if isinstance(value, dict) else value
    )


@pytest.fixture(scope="module")
def duckdb(files, tmp_path_factory):
    """The same files built on DuckDB."""
    events, users = files
    database = tmp_path_factory.mktemp("duckdb") / "pipeline.duckdb"
    project = pipeline.connect("duckdb", database=database, events=events, users=users)
    assert project.build().ok
    yield project
    project.reconnect()


@pytest.fixture(scope="module")
def bigquery(warehouse, built):
    """The models that the command line built on BigQuery."""
    return pipeline.connect("bigquery", project=PROJECT, dataset=built, api_endpoint=warehouse.url)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_same_rows_and_types_as_on_duckdb(duckdb, bigquery, name):
    def rows(project):
        table = project.backend.fetch(project.table(name))
        assert table.schema.names == list(MODELS[name].schema.names)
        return Counter(json.dumps(plain(row), default=str) for row in table.to_pylist())

    assert bigquery.table(name).schema() == MODELS[name].schema
    assert rows(bigquery) == rows(duckdb)


def test_rows_that_differ_from_duckdbs_are_named(duckdb, bigquery, tmp_path):
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(duckdb.backend.place, copy)
    with engine.connect(str(copy)) as con:
        [(gone,), (other,)] = con.execute(
            "SELECT command_uuid FROM fct_command_readings ORDER BY 1 LIMIT 2"
        ).fetchall()
        con.execute("DELETE FROM fct_command_readings WHERE command_uuid = ?", [gone])
        con.execute(
            "UPDATE fct_command_readings SET outcome = 'lost' WHERE command_uuid = ?", [other]
        )

    found = pipeline.connect("duckdb", database=copy).diff(
        bigquery, ["dim_users", "fct_command_readings"]
    )

    [differing] = found.differing
    assert (differing.only_in_a, differing.only_in_b, differing.changed) == (0, 1, 1)
    assert differing.columns == {"outcome": 1}
    assert differing.samples["only_in_b"]["command_uuid"].to_pylist() == [gone]
    assert differing.samples["changed"]["command_uuid"].to_pylist() == [other]


def test_a_build_leaves_the_models_and_its_record_and_nothing_that_expires(warehouse, built):
    names = warehouse.names(built)

    assert names - {"made_elsewhere"} == {*MODELS, *RAW, "_pipeline_runs", "_pipeline_days"}
    for name in MODELS:
        table = warehouse.client.get_table(f"{PROJECT}.{built}.{name}")
        assert table.table_type == MODELS[name].materialized.upper()
        assert table.expires is None
        assert table.description == MODELS[name].grain


def test_the_record_tells_what_was_read(bigquery, warehouse, built):
    recorded = bigquery.backend.last_run().sources

    for name in RAW:
        (found,) = warehouse.rows(f"SELECT COUNT(*) AS n FROM `{PROJECT}.{built}.{name}`")
        assert recorded[name].rows == found["n"]
        assert recorded[name].inputs == (f"{PROJECT}.{built}.{name}",)


def test_the_checks_pass_on_what_is_built(warehouse, built):
    lines = warehouse.run("test", dataset=built).splitlines()

    assert "FAIL=0 ERROR=0 SKIP=0" in lines[-1]


def test_show_masks_and_takes_a_condition(warehouse, built):
    options = ["--format", "json", "--where", "command = 'PinAssignment'", "--limit", "3"]

    rows = json.loads(warehouse.run("show", "stg_commands", *options, dataset=built))

    assert {row["command"] for row in rows} == {"PinAssignment"}
    assert {row["_raw_command_desired_state"] for row in rows} == {"***"}
    refused = warehouse.run("show", "stg_commands", "--where", "slot > 1", dataset=built, status=2)
    assert "BigQuery does not take the condition" in refused


def test_rows_of_a_table_are_listed_without_a_query(warehouse, built, duckdb):
    options = ["--columns", "command_uuid,readings,pin", "--limit", "3", "--format", "json"]
    before = len(warehouse.service.asked)

    rows = json.loads(warehouse.run("show", "fct_command_readings", *options, dataset=built))

    assert not any("configuration" in each.body for each in warehouse.service.asked[before:])
    table = duckdb.table("fct_command_readings")
    for row in rows:
        (there,) = table.filter(table.command_uuid == row["command_uuid"]).to_pyarrow().to_pylist()
        assert list(row) == ["command_uuid", "readings", "pin"]
        assert len(row["readings"]) == len(there["readings"])
        assert row["pin"] == (None if there["pin"] is None else "***")
    assert len(rows) == 3
    assert rows == sorted(rows, key=lambda row: row["command_uuid"])
    texts = json.loads(
        warehouse.run(
            "show", "stg_sync_events", "--format", "json", "--limit", "100", dataset=built
        )
    )
    assert {row["item_data"] for row in texts} <= {None, "***"}
    none = warehouse.run("show", "dim_users", "--limit", "0", "--format", "json", dataset=built)
    assert json.loads(none) == []


def test_rows_of_a_view_are_those_of_a_few_days(warehouse, built):
    before = len(warehouse.service.asked)

    rows = json.loads(warehouse.run("show", "stg_commands", "--format", "json", dataset=built))

    (sql,) = (each.sql for each in warehouse.service.asked[before:] if each.sql)
    assert re.search(r"`update_timestamp` BETWEEN TIMESTAMP\('\d{4}-\d\d-\d\dT00:00:00", sql), sql
    assert len(rows) == 10


def test_digests_are_those_of_duckdb(duckdb, warehouse, built):
    found = json.loads(warehouse.run("digest", "--format", "json", dataset=built))

    assert found == {name: vars(digest) for name, digest in duckdb.digest().items()}


def test_rows_made_anew_on_this_machine_show_an_altered_row(warehouse, built):
    table = f"`{PROJECT}.{built}.fct_command_readings`"
    [row] = warehouse.rows(f"SELECT command_uuid, outcome FROM {table} ORDER BY 1 LIMIT 1")

    def set_outcome(text: str) -> None:
        where = f"command_uuid = '{row['command_uuid']}'"
        warehouse.rows(f"UPDATE {table} SET outcome = '{text}' WHERE {where}")

    def verify(*words: str, status: int = 0) -> str:
        return warehouse.run("verify", "--on", "duckdb", *words, dataset=built, status=status)

    part = verify("--share", "40%", "--seed", "1")
    set_outcome("lost")
    try:
        wrong = verify("--share", "100%", status=1)
    finally:
        set_outcome(row["outcome"])

    assert "No model differs." in part
    assert "1 of 17 models differ." in wrong
    assert row["command_uuid"] in wrong
    assert "lost" in wrong


def test_one_commands_story_is_told_from_its_raw_events(duckdb, warehouse, built):
    uuid = duckdb.table("stg_commands").command_uuid.min().to_pyarrow().as_py()

    before = len(warehouse.service.asked)
    told = warehouse.run("explain", uuid, dataset=built)

    assert uuid in told
    # what is billed is small: all columns only of a few days or one device, else narrow ones
    for each in warehouse.service.asked[before:]:
        if "`stg_sync_events`" in each.sql:
            assert "`staged_kind`" in each.sql
            few = "BETWEEN" in each.sql or "`device_id` = " in each.sql
            assert few or "`node_id`" not in each.sql


def test_the_docs_tell_of_what_is_built(warehouse, built, tmp_path):
    warehouse.run("docs", "--output", str(tmp_path), dataset=built)

    assert (tmp_path / "index.html").exists()


def test_a_partial_build_leaves_the_other_models(warehouse, built):
    before = warehouse.client.get_table(f"{PROJECT}.{built}.stg_users").modified

    lines = warehouse.run("build", "--select", "dim_users", dataset=built).splitlines()

    assert lines[0].startswith("OK created table dim_users (")
    assert "scanned)" in lines[0]
    assert warehouse.client.get_table(f"{PROJECT}.{built}.stg_users").modified == before


def test_what_is_needed_and_not_built_is_asked_for(warehouse, built):
    source = ("--source-dataset", built)

    found = warehouse.run("build", "--select", "dim_users", *source, dataset="empty", status=2)

    assert "--select +dim_users" in found


def test_a_dry_run_creates_nothing(warehouse, built):
    source = ("--source-dataset", built)

    found = warehouse.run("build", "--dry-run", *source, dataset="never_made")

    assert "stg_users: unknown until stg_user_versions is built" in found.splitlines()
    assert "never_made" not in {item.dataset_id for item in warehouse.client.list_datasets()}


def test_a_view_in_a_tables_place_gives_way_and_the_reverse(warehouse, built):
    select = ("--select", "stg_user_versions stg_users quarantined_users")
    source = ("--source-dataset", built)
    warehouse.client.create_dataset("turned", exists_ok=True)
    warehouse.rows(f"CREATE VIEW `{PROJECT}.turned.stg_users` AS SELECT 1 AS one")
    warehouse.rows(f"CREATE TABLE `{PROJECT}.turned.quarantined_users` AS SELECT 1 AS one")

    warehouse.run("build", *select, *source, dataset="turned")

    for name in ("stg_users", "quarantined_users"):
        found = warehouse.client.get_table(f"{PROJECT}.turned.{name}")
        assert found.table_type == MODELS[name].materialized.upper()


def test_a_killed_build_leaves_the_last_one_whole_and_the_next_just_works(warehouse, built):
    select, source = ("--select", "+dim_users"), ("--source-dataset", built)
    warehouse.run("build", *select, *source, dataset="killed")
    wanted = {"stg_user_versions", "stg_users", "dim_users", "_pipeline_runs"}
    assert warehouse.names("killed") == wanted
    rows = warehouse.rows(f"SELECT * FROM `{PROJECT}.killed.dim_users` ORDER BY user_id")

    process = warehouse.start("build", *select, *source, dataset="killed")
    while not any(name.startswith("_building_") for name in warehouse.names("killed")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    leftovers = warehouse.names("killed") - wanted
    lock = {name for name in leftovers if name.startswith("_pipeline_lock_")}
    assert len(lock) == 1
    assert all(name.startswith("_building_") for name in leftovers - lock)
    assert all(warehouse.client.get_table(f"{PROJECT}.killed.{name}").expires for name in leftovers)
    again = warehouse.rows(f"SELECT * FROM `{PROJECT}.killed.dim_users` ORDER BY user_id")
    assert again == rows
    warehouse.run("build", *select, *source, dataset="killed")
    assert warehouse.names("killed") == wanted | leftovers - lock


def test_csv_is_loaded_as_text_and_appended(warehouse, tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("uid,username,dateRegistered,last_modified\n007,ann,2022-01-01,1e5\n")

    warehouse.run("load", "--users", str(users), dataset="texts")
    warehouse.run("load", "--append", "--users", str(users), dataset="texts")

    row = {
        "uid": "007",
        "username": "ann",
        "dateRegistered": "2022-01-01",
        "last_modified": "1e5",
    }
    assert warehouse.rows(f"SELECT * FROM `{PROJECT}.texts.raw_users`") == [row, row]
    assert warehouse.names("texts") == {"raw_users"}


def test_a_load_replaces_both_tables_or_neither(warehouse, built, files, tmp_path):
    broken = tmp_path / "users.csv"
    broken.write_text("uid,username\n")
    before = warehouse.rows(f"SELECT COUNT(*) AS n FROM `{PROJECT}.{built}.raw_sync_events`")

    found = warehouse.run(
        "load", "--events", files[0], "--users", str(broken), dataset=built, status=2
    )

    assert "users.csv has no column dateRegistered" in found
    after = warehouse.rows(f"SELECT COUNT(*) AS n FROM `{PROJECT}.{built}.raw_sync_events`")
    assert after == before
    assert not [name for name in warehouse.names(built) if name.startswith("_loading_")]


def test_events_parsed_by_a_statement_of_their_own_are_the_same_rows(warehouse, bigquery, built):
    apart = replace(MODELS["stg_sync_events"], parsed_apart=True)
    backend = BigQuery(PROJECT, "apart", built, api_endpoint=warehouse.url)
    before = len(warehouse.service.asked)

    builds.build(Graph([apart]), backend, [apart.name], RunOptions(checks=False))

    def rows(place):
        return Counter(json.dumps(row, default=str) for row in place.to_pylist())

    with backend.reader() as reader:
        made = reader.fetch(reader.table(apart.name))
    assert rows(made) == rows(bigquery.backend.fetch(bigquery.table(apart.name)))
    asked = [each.sql for each in warehouse.service.asked[before:]]
    filled = [sql for sql in asked if sql.startswith("INSERT") and "_parsed`" in sql]
    assert ["raw_sync_events" in sql for sql in filled] == [True, False]
    assert warehouse.names("apart") == {apart.name, "_pipeline_runs"}
