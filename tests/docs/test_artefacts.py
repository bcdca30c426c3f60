"""The files for catalogues, held to dbt's published formats and read as a catalogue reads them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from pipeline import catalog, docs
from pipeline.docs.artefacts import artefacts
from pipeline.graph import Graph
from pipeline.results import CheckResult, ModelResult, RunRecord, SourceRead

NOW = dt.datetime(2022, 3, 4, tzinfo=dt.UTC)
CHECKS = [
    ("dim_users", "unique_key", "PASS", 0),
    ("stg_commands", "matches_pin", "WARN", 3),
    ("fct_command_statuses", "every_user_is_known", "SKIP", 0),
]


FILES = ("manifest.json", "catalog.json", "run_results.json")


def read(name: str, content: dict) -> Any:
    """Read a file of dbt's published formats; refuses one that lacks or adds anything."""
    # imported here, because it takes seconds, and most runs do not need it
    from dbt_artifacts_parser import parser

    kind = name.removesuffix(".json")
    return getattr(parser, f"parse_{kind}")(**{kind: content})


def written(engine="duckdb", run=None, graph: Graph | None = None, **places) -> dict[str, dict]:
    graph = graph or catalog.load()
    sql = {engine: {name: f"SELECT '{name}'" for name in graph.models}}
    site = docs.describe(graph, list(graph.models), engine=engine, sql=sql, run=run, **places)
    return {name: json.loads(text) for name, text in artefacts(site).items()}


@pytest.fixture(scope="module")
def run():
    names = ("dim_users", "stg_commands", "fct_command_statuses")
    return RunRecord(
        NOW,
        75.0,
        {"raw_users": SourceRead(("users.csv",), 4321)},
        tuple(ModelResult(name, "table", "OK", 12, 0.5) for name in names),
        tuple(
            CheckResult(model, name, "warn", "", status, failures)
            for model, name, status, failures in CHECKS
        ),
    )


@pytest.fixture(scope="module")
def files(run):
    return written(run=run)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "not built"])
def test_a_reader_of_dbts_files_takes_a_file_as_it_is(name, is_built, run):
    found = written("bigquery", run=run if is_built else None)[name]

    again = json.loads(read(name, found).model_dump_json(by_alias=True, exclude_unset=True))
    assert again.keys() == found.keys()
    assert again.get("nodes", {}).keys() == found.get("nodes", {}).keys()
    assert len(again.get("results", [])) == len(found.get("results", []))


def test_every_model_source_and_check_is_there_and_knows_what_it_is_made_of(files):
    manifest = files["manifest.json"]
    models = catalog.load().models
    ids = {**manifest["nodes"], **manifest["sources"]}

    assert {name for name in ids if name.startswith("model.")} == {
        f"model.hub_events.{name}" for name in models
    }
    assert set(manifest["parent_map"]) == set(manifest["child_map"]) == set(ids)
    assert all(parent in ids for above in manifest["parent_map"].values() for parent in above)
    assert manifest["parent_map"]["model.hub_events.dim_users"] == ["model.hub_events.stg_users"]
    raw = "source.hub_events.raw.raw_users"
    assert "model.hub_events.stg_user_versions" in manifest["child_map"][raw]
    check = "test.hub_events.fct_command_statuses_every_user_is_known"
    assert set(manifest["parent_map"][check]) == {
        "model.hub_events.fct_command_statuses",
        "model.hub_events.dim_users",
    }


def test_columns_have_their_type_meaning_and_origin_and_a_tag_where_sensitive(files):
    pin = files["manifest.json"]["nodes"]["model.hub_events.fct_command_readings"]["columns"]["pin"]

    assert pin["tags"] == ["sensitive"]
    assert pin["meta"] == {"sensitive": True, "made_of": ["fct_command_statuses.pin"]}
    assert (pin["data_type"], pin["description"] != "") == ("TEXT", True)
    user = files["manifest.json"]["nodes"]["model.hub_events.dim_users"]["columns"]["user_id"]
    assert (user["tags"], user["constraints"]) == ([], [{"type": "not_null"}])


def test_a_catalogue_finds_the_keys_and_what_is_never_null_as_dbts_own_tests(files):
    nodes = files["manifest.json"]["nodes"].values()
    tests = {
        (node["test_metadata"]["name"], node["column_name"])
        for node in nodes
        if node.get("attached_node") == "model.hub_events.dim_users"
    }

    assert {("unique", "user_id"), ("not_null", "user_id"), ("not_null", "username")} <= tests


def test_results_are_those_of_the_last_build_and_name_nodes(files):
    results = {each["unique_id"]: each for each in files["run_results.json"]["results"]}

    assert set(results) <= set(files["manifest.json"]["nodes"])
    statuses = {name.rpartition(".")[2]: each["status"] for name, each in results.items()}
    assert statuses == {
        "dim_users": "success",
        "stg_commands": "success",
        "fct_command_statuses": "success",
        "dim_users_unique_key": "pass",
        "stg_commands_matches_pin": "warn",
        "fct_command_statuses_every_user_is_known": "skipped",
    }
    assert results["test.hub_events.stg_commands_matches_pin"]["failures"] == 3
    assert results["model.hub_events.dim_users"]["adapter_response"] == {"rows_affected": 12}


def test_the_catalog_has_what_is_built_where_it_is(run):
    places = (("p", "telemetry"), ("p", "raw"))
    files = written("bigquery", run=run, places=places)

    table = files["catalog.json"]["nodes"]["model.hub_events.dim_users"]
    assert table["metadata"]["schema"] == "telemetry"
    assert table["stats"]["num_rows"]["value"] == 12
    assert table["columns"]["user_id"]["type"] == "STRING"
    assert set(files["catalog.json"]["nodes"]) == {
        f"model.hub_events.{name}" for name in ("dim_users", "stg_commands", "fct_command_statuses")
    }
    source = files["catalog.json"]["sources"]["source.hub_events.raw.raw_users"]
    assert (source["metadata"]["schema"], source["stats"]["num_rows"]["value"]) == ("raw", 4321)
    node = files["manifest.json"]["nodes"]["model.hub_events.dim_users"]
    assert node["relation_name"] == "`p`.`telemetry`.`dim_users`"
