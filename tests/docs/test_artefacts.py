"""The files for catalogues, held to dbt's published formats and read as a catalogue reads them."""

from __future__ import annotations

import datetime as dt
import json

import jsonschema
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


# The parts of dbt's published schemas (schemas.getdbt.com: manifest v12, catalog v1, run-results
# v6) that these files use: names that an object needs and those that it may have.


def a(kind: str, *more: str) -> dict:
    return {"type": [kind, *more]}


def record(required: str, **properties: dict) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def every(values: dict) -> dict:
    return {"type": "object", "additionalProperties": values}


TEXT, MAYBE, OBJECT = a("string"), a("string", "null"), a("object")
TEXTS = {"type": "array", "items": TEXT}
METADATA = {
    "dbt_schema_version": TEXT,
    "dbt_version": TEXT,
    "generated_at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT[\d:.]+Z$"},
    "invocation_id": MAYBE,
    "env": OBJECT,
}
COLUMN = record(
    "name",
    name=TEXT,
    description=TEXT,
    data_type=MAYBE,
    constraints={"type": "array", "items": record("type", type={"enum": ["not_null"]})},
    meta=OBJECT,
    tags=TEXTS,
)
NODE = {
    "database": MAYBE,
    "schema": TEXT,
    "name": TEXT,
    "package_name": TEXT,
    "path": TEXT,
    "original_file_path": TEXT,
    "unique_id": TEXT,
    "fqn": TEXTS,
    "description": TEXT,
}
COMPILED = NODE | {
    "alias": TEXT,
    "checksum": record("name checksum", name=TEXT, checksum=TEXT),
    "config": OBJECT,
    "depends_on": record("", macros=TEXTS, nodes=TEXTS),
}
MODEL = record(
    " ".join([*COMPILED, "resource_type"]),
    resource_type={"const": "model"},
    tags=TEXTS,
    columns=every(COLUMN),
    meta=OBJECT,
    relation_name=MAYBE,
    raw_code=TEXT,
    language={"const": "sql"},
    refs={"type": "array", "items": record("name", name=TEXT, package=MAYBE, version=MAYBE)},
    sources={"type": "array", "items": TEXTS},
    compiled=a("boolean"),
    compiled_code=MAYBE,
    primary_key=TEXTS,
    **COMPILED,
)
TEST = record(
    " ".join([*COMPILED, "resource_type"]),
    resource_type={"const": "test"},
    column_name=MAYBE,
    attached_node=MAYBE,
    test_metadata=record("name", name=TEXT, kwargs=OBJECT, namespace=MAYBE),
    **COMPILED,
)
SOURCE = record(
    " ".join([*NODE, "resource_type source_name source_description loader identifier"]),
    resource_type={"const": "source"},
    source_name=TEXT,
    source_description=TEXT,
    loader=TEXT,
    identifier=TEXT,
    columns=every(COLUMN),
    relation_name=MAYBE,
    **NODE,
)
EMPTY = record("")
UNUSED = (
    "macros docs exposures metrics groups selectors disabled group_map saved_queries"
    " semantic_models unit_tests"
)
MANIFEST = record(
    f"metadata nodes sources parent_map child_map {UNUSED}",
    metadata=record(" ".join(METADATA), project_name=MAYBE, adapter_type=MAYBE, **METADATA),
    nodes=every({"oneOf": [MODEL, TEST]}),
    sources=every(SOURCE),
    parent_map=every(TEXTS),
    child_map=every(TEXTS),
    **dict.fromkeys(UNUSED.split(), EMPTY),
)
STAT = record(
    "id label value include",
    id=TEXT,
    label=TEXT,
    value=a("boolean", "string", "number", "null"),
    include=a("boolean"),
    description=MAYBE,
)
TABLE = record(
    "metadata columns stats",
    metadata=record(
        "type schema name",
        type=TEXT,
        schema=TEXT,
        name=TEXT,
        database=MAYBE,
        comment=MAYBE,
        owner=MAYBE,
    ),
    columns=every(
        record("type index name", type=TEXT, index=a("integer"), name=TEXT, comment=MAYBE)
    ),
    stats=every(STAT),
    unique_id=MAYBE,
)
CATALOG = record(
    "metadata nodes sources",
    metadata=record("", **METADATA),
    nodes=every(TABLE),
    sources=every(TABLE),
    errors={"type": ["array", "null"]},
)
TIMING = record("name", name=TEXT, started_at=MAYBE, completed_at=MAYBE)
RUN_RESULTS = record(
    "metadata results elapsed_time",
    metadata=record("", **METADATA),
    results={
        "type": "array",
        "items": record(
            "status timing thread_id execution_time adapter_response message failures unique_id"
            " compiled compiled_code relation_name",
            status={"enum": ["success", "error", "skipped", "pass", "fail", "warn"]},
            timing={"type": "array", "items": TIMING},
            thread_id=TEXT,
            execution_time=a("number"),
            adapter_response=OBJECT,
            message=MAYBE,
            failures=a("integer", "null"),
            unique_id=TEXT,
            compiled=a("boolean", "null"),
            compiled_code=MAYBE,
            relation_name=MAYBE,
        ),
    },
    elapsed_time=a("number"),
    args=OBJECT,
)
SCHEMAS = {"manifest.json": MANIFEST, "catalog.json": CATALOG, "run_results.json": RUN_RESULTS}


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


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "not built"])
def test_a_file_keeps_to_dbts_schema(name, is_built, run):
    found = written("bigquery", run=run if is_built else None)[name]

    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(found)


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
