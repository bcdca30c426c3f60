from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path

import ibis.expr.types as ir
import pytest
from html_pages import Page, dead_links, parse, searchable
from ibis import _

from pipeline import catalog, docs
from pipeline.contract import Column, RowCheck, model
from pipeline.docs.pages import render
from pipeline.graph import Graph
from pipeline.results import CheckResult, ModelResult, RunRecord, SourceRead
from pipeline.rules.items import ITEM_DATA
from pipeline.sources import SOURCES

CONTRACT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
BUILT_AT = "2022-03-04T05:06:07+00:00"
HOSTILE = """<script>alert("1")</script> & 'x' {{ 7 * 7 }} </pre>"""


def described(loaded=None, names=None, **given):
    loaded = loaded or catalog.load()
    names = names or list(loaded.models)
    sql = {engine: dict.fromkeys(names, "SELECT 1") for engine in ("duckdb", "bigquery")}
    return docs.describe(loaded, names, **{"engine": "duckdb", "sql": sql} | given)


def run_of(models=(), checks=(), **given):
    record = RunRecord(
        dt.datetime.fromisoformat(BUILT_AT),
        75.0,
        {"raw_users": SourceRead(("users-*.csv",), 4321)},
        tuple(
            ModelResult.from_json({"rows": 12345, "seconds": 0.25, "built_at": BUILT_AT} | row)
            for row in models
        ),
        tuple(CheckResult.from_json({"seconds": 0.1} | row) for row in checks),
    )
    return replace(record, **given)


@pytest.fixture(scope="module")
def unbuilt():
    return render(described())


def test_every_link_leads_to_a_page_and_an_id_of_the_site(unbuilt):
    assert dead_links(unbuilt) == []


def test_a_reference_to_the_contract_leads_to_its_section(unbuilt):
    page = parse(unbuilt)["models/stg_repeated_events.html"]

    assert page.all("a", href="../contract.html#section-4")
    text = " ".join(parse(unbuilt)["contract.html"].text.split())
    for line in CONTRACT.splitlines():
        if line.startswith("#"):
            assert line.lstrip("# ").replace("`", "") in text


def test_a_part_of_the_models_is_a_whole_site_too():
    files = render(described(names=["stg_users", "met_command_outcomes"]))

    assert dead_links(files) == []
    assert "models/stg_commands.html" not in files
    assert "sources/raw_sync_events.html" not in files


def test_no_id_stands_twice_on_a_page(unbuilt):
    for page in parse(unbuilt).values():
        assert len(set(page.ids)) == len(page.ids)


def test_nothing_is_asked_for_from_elsewhere(unbuilt):
    asking = r"url\(|@import|@font-face|fetch\(|XMLHttp|import\(|WebSocket|sendBeacon|https?:|//\w"

    assert [path for path, text in unbuilt.items() if re.search(asking, text)] == []


def test_scripts_and_styles_are_files_of_the_site_alone(unbuilt):
    for page in parse(unbuilt).values():
        assert [attributes["src"].split("/")[-1] for attributes in page.all("script")] == [
            "columns.js",
            "site.js",
        ]
        assert page.all("style") == []
        assert not [name for _, had in page.elements for name in had if name.startswith("on")]


@pytest.mark.parametrize("name", [*SOURCES, *catalog.load().models])
def test_a_page_tells_all_that_is_declared(unbuilt, name):
    loaded = catalog.load()
    declared = loaded.models.get(name) or SOURCES[name]
    path = f"models/{name}.html" if name in loaded.models else f"sources/{name}.html"
    page = Page(unbuilt[path])
    text = " ".join(page.text.split())

    for column in declared.columns:
        assert f"column-{column.name}" in page.ids
        assert column.description.replace("`", "") in text
    for tag in getattr(declared, "tags", ()):
        assert tag in text
    for check in getattr(declared, "checks", ()):
        assert check.name in text
        assert " ".join(check.description.split()).replace("`", "") in text
    assert " ".join(declared.description.split()).replace("`", "") in text


def test_a_model_says_how_it_is_stored():
    text = Page(render(described())["models/fct_command_readings.html"]).text

    assert re.search(r"Partitioned by\s*command_date", text)
    assert re.search(r"Clustered by\s*device_id\s*command_uuid", text)
    assert re.search(r"Stored as\s*table", text)


def test_the_source_tells_what_item_data_holds_by_item_key(unbuilt):
    page = Page(unbuilt["sources/raw_sync_events.html"])

    for item in ITEM_DATA:
        assert f"item-{item.key}" in page.ids
        assert all(member.name in page.text for member in item.members)


@pytest.mark.parametrize(
    "path", ["models/stg_commands.html", "sources/raw_sync_events.html", "models/dim_users.html"]
)
def test_what_is_sensitive_is_marked(unbuilt, path):
    page = Page(unbuilt[path])
    name = path.split("/")[1].removesuffix(".html")
    declared = catalog.load().models.get(name) or SOURCES[name]
    columns = [column for column in declared.columns if column.sensitive]
    members = [
        member
        for item in getattr(declared, "items", ())
        for part in (item.members, *(state.parameters for state in item.desired_states))
        for member in part
        if member.sensitive
    ]

    assert len(page.all("span", **{"class": "sensitive"})) == len(columns) + len(members)
    assert ("A sensitive column holds values that open doors." in page.text) == bool(columns)


def test_what_each_outcome_means_stands_where_the_outcome_is(unbuilt):
    text = " ".join(Page(unbuilt["models/fct_command_readings.html"]).text.split())

    assert "contradicted failure shows the asked state" in text
    assert "observed nothing shows the asked state" in text
    assert "unconfirmed success does not show it" in text
    assert "The meaning of each outcome" not in unbuilt["models/met_command_outcomes.html"]


def test_every_model_column_and_item_can_be_searched_for(unbuilt):
    found = {(entry["page"], entry["name"]): entry for entry in searchable(unbuilt)}

    for name, declared in {**SOURCES, **catalog.load().models}.items():
        assert (name, name) in found
        for column in declared.columns:
            assert found[name, column.name]["sensitive"] == column.sensitive
    assert found["raw_sync_events", "PinAssignment.pin"]["sensitive"]


def test_the_script_knows_what_each_column_is_made_of(unbuilt):
    text = unbuilt["columns.js"].partition("const LINEAGE = ")[2].strip().removesuffix(";")
    made_of = json.loads(text)

    value, decides = made_of["stg_commands.pin"]
    assert value == ["stg_repeated_events.desired_state_2", "stg_sync_events.desired_state_2"]
    assert "stg_sync_events.command" in decides
    assert (
        "raw_sync_events.ItemData.desired_state[2]" in made_of["stg_sync_events.desired_state_2"][0]
    )


def test_without_a_build_the_pages_say_so(unbuilt):
    assert "Not built yet" in Page(unbuilt["index.html"]).text
    assert "not built yet" in Page(unbuilt["models/dim_users.html"]).text
    assert "not run" in Page(unbuilt["models/dim_users.html"]).text
    assert "not read yet" in Page(unbuilt["sources/raw_users.html"]).text


def test_a_partial_build_is_told_of_where_it_was():
    files = render(described(run=run_of([{"name": "stg_users"}])))

    assert "12,345" in Page(files["models/stg_users.html"]).text
    assert "4 Mar 2022, 05:06 UTC" in Page(files["models/stg_users.html"]).text
    assert "0.25 s" in Page(files["models/stg_users.html"]).text
    assert "not built yet" in Page(files["models/dim_users.html"]).text
    assert "4,321" in Page(files["sources/raw_users.html"]).text
    assert "not read yet" in Page(files["sources/raw_sync_events.html"]).text


def test_the_first_page_tells_of_the_run():
    text = Page(render(described(run=run_of()))["index.html"]).text

    assert "4 Mar 2022, 05:06 UTC" in text
    assert "1 min 15 s" in text
    assert "4,321" in text
    assert "users-*.csv" in text


@pytest.mark.parametrize(
    ("status", "failures", "message", "shown"),
    [
        ("PASS", 0, "", "PASS"),
        ("WARN", 3, "", "WARN 3"),
        ("FAIL", 1234, "", "FAIL 1,234"),
        ("ERROR", 0, "no such column", "no such column"),
        ("SKIP", 0, "needs dim_users", "needs dim_users"),
    ],
)
def test_the_last_result_of_a_check_is_shown(status, failures, message, shown):
    check = {"model": "dim_users", "name": "unique_key", "status": status}
    run = run_of([{"name": "dim_users"}], [check | {"failures": failures, "message": message}])
    page = Page(render(described(run=run))["models/dim_users.html"])

    assert shown in page.text
    assert page.all("span", **{"class": f"status {status.lower()}"})


def test_checks_that_need_a_look_come_first():
    found = {"not_null_username": "WARN", "columns": "PASS", "unique_key": "PASS"}
    checks = [{"model": "dim_users", "name": name, "status": found[name]} for name in found]
    text = Page(render(described(run=run_of(checks=checks)))["models/dim_users.html"]).text

    in_order = ["not_null_username", "not_null_user_id", "columns", "unique_key"]
    assert sorted(in_order, key=lambda name: text.index(f"{name}\n")) == in_order


def test_a_check_that_is_no_longer_declared_is_not_shown():
    check = {"model": "dim_users", "name": "forgotten", "status": "PASS"}
    files = render(described(run=run_of([{"name": "dim_users"}], [check])))

    assert "forgotten" not in files["models/dim_users.html"]


@model(
    key=["a"],
    tags=[HOSTILE],
    columns=[Column("a", "string", HOSTILE), Column('b"><i>', "string", "b")],
    checks=[RowCheck("good", _.a.isnull(), HOSTILE)],
)
def hostile(raw_users: ir.Table) -> ir.Table:
    """Replaced below, because a docstring must be a literal."""
    return raw_users.select("uid", a="username").rename({'b"><i>': "uid"})


@pytest.fixture
def attacked(monkeypatch):
    monkeypatch.setattr(hostile, "__doc__", HOSTILE)
    monkeypatch.setattr(hostile, "__module__", "pipeline.marts.hostile")
    check = {"model": "hostile", "name": "good", "status": "ERROR", "message": HOSTILE}
    run = run_of([{"name": "hostile"}], [check], sources={"raw_users": SourceRead((HOSTILE,), 1)})
    audit = [
        {
            "source": source,
            "item_key": HOSTILE,
            "disposition": HOSTILE,
            "number_of_rows": 5,
        }
        for source in SOURCES
    ]
    sql = {"duckdb": {"hostile": f"SELECT '{HOSTILE}' AS {HOSTILE} -- {HOSTILE}"}}
    return render(described(Graph([hostile.model]), ["hostile"], run=run, audit=audit, sql=sql))


def test_text_of_any_kind_stays_text(attacked):
    for page in parse(attacked).values():
        assert len(page.all("script")) == 2
        assert not page.all("i") or all("class" in had for had in page.all("i"))
    page = Page(attacked["models/hostile.html"])
    seen = " ".join(page.text.split())
    # docstring, tag, column, check, its message, SQL
    assert seen.count("""alert("1")""") >= 6
    assert "{{ 7 * 7 }}" in seen
    assert dead_links(attacked) == []


def test_item_keys_that_are_not_declared_are_counted_but_not_shown():
    audit = [
        {"source": "raw_sync_events", "item_key": key, "disposition": "staged", "number_of_rows": 2}
        for key in ("DoorLocked", "918273", None)
    ]
    text = render(described(audit=audit))["index.html"]

    assert "918273" not in text
    assert re.search(r"any other.*?>4<", text, re.DOTALL)
    assert re.search(r"DoorLocked.*?>2<", text, re.DOTALL)


def test_the_same_site_is_the_same_text():
    run = run_of([{"name": "dim_users"}])

    assert render(described(run=run)) == render(described(run=run))


def test_the_first_page_shows_the_last_builds_with_their_values():
    earlier = dt.datetime.fromisoformat(BUILT_AT) - dt.timedelta(days=1)
    runs = [run_of(), run_of(started_at=earlier, seconds=150.0, mode="incremental")]

    page = Page(render(described(run=runs[0], runs=runs))["index.html"])

    assert "The last 2 builds" in page.text
    assert "3 Mar 2022, 05:06 UTC (incremental): 2 min 30 s" in page.text
    (chart,) = page.all("svg", **{"aria-label": "Time taken: 2 min 30 s, 1 min 15 s"})
    assert chart["role"] == "img"
    assert "builds" not in Page(render(described(run=runs[0], runs=runs[:1]))["index.html"]).text
