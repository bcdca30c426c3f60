from __future__ import annotations

import ast
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import arrow, command, event_types, raw_event, raw_user, reading, user_types
from html_pages import Page, dead_links

import pipeline
from pipeline.cli import cli
from pipeline.errors import ResourceError, UsageError
from pipeline.project import Project

PIN = "918273"
EVENTS = [
    command("assign", "PinAssignment", 3, PIN),
    command("lock", at=5.0),
    reading("r", at=7.0),
    # quarantined: no JSON, and no device
    raw_event("Command", f'{{"desired_state": ["PinAssignment", 3, "{PIN}"'),
    command("lost", "PinAssignment", 4, PIN, MapUniqueName=None),
    raw_event(PIN, {"pin": PIN}),
]


def project_in(folder: Path) -> Project:
    pq.write_table(arrow(EVENTS, event_types()), folder / "events.parquet")
    pq.write_table(arrow([raw_user()], user_types()), folder / "users.parquet")
    return pipeline.connect(
        "duckdb",
        database=folder / "p.duckdb",
        events=folder / "events.parquet",
        users=folder / "users.parquet",
    )


@pytest.fixture
def project(tmp_path):
    return project_in(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    project = project_in(tmp_path_factory.mktemp("built"))
    project.build()
    return project


def files_in(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_site_is_whole_before_any_build(project, tmp_path):
    first = project.docs(tmp_path / "site")

    assert first == tmp_path / "site" / "index.html"
    assert "Not built yet" in first.read_text("utf-8")
    assert dead_links(files_in(tmp_path / "site")) == []
    assert not (tmp_path / "p.duckdb").exists()


def test_the_site_tells_of_the_last_build(built, tmp_path):
    files = files_in(built.docs(tmp_path / "site").parent)

    page = Page(files["models/fct_command_statuses.html"])
    assert dead_links(files) == []
    assert "Not built yet" not in files["index.html"]
    assert page.all("span", **{"class": "status pass"})
    assert "The disposition of every raw row" in files["index.html"]
    assert "missing_device_id" in files["index.html"]


def test_no_door_code_is_in_any_file(built, tmp_path):
    stored = built.table("stg_commands").pin.to_pyarrow().to_pylist()
    files = files_in(built.docs(tmp_path / "site").parent)

    assert PIN in stored
    assert [name for name, text in files.items() if PIN in text] == []


def test_a_partial_build_is_a_whole_site(project, tmp_path):
    project.build(select="+dim_users")
    files = files_in(project.docs(tmp_path / "site").parent)

    assert dead_links(files) == []
    assert "not built yet" not in Page(files["models/dim_users.html"]).text
    assert "not built yet" in Page(files["models/stg_commands.html"]).text
    assert "The disposition of every raw row" not in files["index.html"]


def test_the_same_build_gives_the_same_bytes(built, tmp_path):
    once = files_in(built.docs(tmp_path / "one").parent)
    assert files_in(built.docs(tmp_path / "two").parent) == once


def test_each_engines_sql_is_there_this_backends_first(project, tmp_path):
    files = files_in(project.docs(tmp_path / "site").parent)
    page = Page(files["models/dim_users.html"])

    assert [had["data-engine"] for had in page.all("div", **{"class": "sql"})] == [
        "DuckDB",
        "BigQuery",
    ]
    assert "`project`.`dataset`.`stg_users`" in page.text


def test_pages_of_models_left_out_go_and_files_of_others_stay(project, tmp_path):
    site = tmp_path / "site"
    project.docs(site)
    (site / "models" / "mine.html").write_text("mine")
    project.docs(site, select="dim_users")

    assert {path.name for path in (site / "models").iterdir()} == {"dim_users.html", "mine.html"}


def test_the_command_writes_the_site_and_says_where(tmp_path):
    options = (
        f"--database {tmp_path}/p.duckdb --select dim_users stg_users --output {tmp_path}/site"
    )
    done = CliRunner().invoke(cli, ["docs", *options.split()])

    assert done.exit_code == 0
    assert f"{tmp_path}/site/index.html" in done.output.replace("\n", "")
    assert len(list((tmp_path / "site" / "models").iterdir())) == 2


def test_a_folder_that_can_not_be_written_is_an_error_that_names_it(project, tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(UsageError, match="taken can't be written"):
        project.docs(tmp_path / "taken")


def test_a_full_disk_is_told_as_such(project, tmp_path):
    (tmp_path / "index.html").symlink_to("/dev/full")

    with pytest.raises(ResourceError, match=f"The disk of {tmp_path} is full"):
        project.docs(tmp_path)


@pytest.mark.parametrize(
    "path", sorted(Path(pipeline.__file__).parent.glob("docs/*.py")), ids=lambda path: path.stem
)
def test_pages_are_made_of_finished_results_without_a_connection(path):
    tree = ast.parse(path.read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    forbidden = ("ibis", "duckdb", "google", "click", "pipeline.build", "pipeline.project")

    assert not [name for name in imported if name.startswith(forbidden)]
    assert imported & {"pipeline.backends.duckdb", "pipeline.backends.bigquery"} == set()


def checks_shown(project, model, folder):
    """The page's statuses of checks by name, and whether the first page tells of a test."""
    files = files_in(project.docs(folder).parent)
    statuses = {
        result["unique_id"].removeprefix(f"test.hub_events.{model}_"): result["status"]
        for result in json.loads(files["run_results.json"])["results"]
    }
    return statuses, "Last test" in files["index.html"]


@pytest.fixture
def with_a_double(project):
    """A build in which a user is doubled afterwards, by another program."""
    project.build(select="+dim_users")
    project.reconnect()
    with duckdb.connect(project.backend.database) as con:
        con.execute("INSERT INTO dim_users FROM dim_users")
    return pipeline.connect("duckdb", database=project.backend.database)


def test_a_test_after_the_build_is_shown_until_the_next_build(with_a_double, project, tmp_path):
    before, _ = checks_shown(with_a_double, "dim_users", tmp_path / "one")
    with_a_double.test("dim_users")
    after, told = checks_shown(with_a_double, "dim_users", tmp_path / "two")
    with_a_double.test("stg_users")
    later, _ = checks_shown(with_a_double, "dim_users", tmp_path / "three")
    project.build(select="dim_users")
    rebuilt, still_told = checks_shown(with_a_double, "dim_users", tmp_path / "four")

    statuses = [each["unique_key"] for each in (before, after, later, rebuilt)]
    assert statuses == ["pass", "fail", "fail", "pass"]
    assert (told, still_told) == (True, False)
    database = with_a_double.backend.database
    assert [path.name for path in database.parent.glob("p.duckdb*")] == ["p.duckdb"]


def test_a_test_that_can_not_be_kept_says_so_and_its_results_stand(with_a_double, monkeypatch):
    monkeypatch.setattr(Path, "replace", denied)

    result = with_a_double.test("dim_users")

    assert [found.status for found in result.checks if found.name == "unique_key"] == ["FAIL"]
    (note,) = result.notes
    assert "The docs will not show this test." in note.text
    database = with_a_double.backend.database
    assert [path.name for path in database.parent.glob("p.duckdb*")] == ["p.duckdb"]


def denied(*paths):
    raise PermissionError(13, "Permission denied")


def test_a_damaged_file_of_the_last_test_is_named(project, tmp_path):
    project.build(select="+dim_users")
    (tmp_path / "p.duckdb.tested.json").write_text("{")

    with pytest.raises(UsageError, match=r"tested\.json does not hold the results of a test"):
        project.docs(tmp_path / "site")
