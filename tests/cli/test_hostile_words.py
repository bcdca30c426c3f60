"""Words and ids that mean something else to an engine, a shell or a terminal."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from command_line import rows, run_into, type_, write_raw
from conftest import command, raw_user, reading

import pipeline
from pipeline.errors import UsageError

__all__ = ["type_"]

IDS = (
    *("'", "\\", "a'; DROP TABLE stg_commands; --", '"x"', "%", "_", "`", "*", "x\ny", "-1"),
    *("😀", "[red]x[/red]", "$(id)", "{}", "?", "$1", "' OR '1'='1", "\ufeffx"),
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A command for each id, to a device of that name, and a reading that confirms it."""
    folder = tmp_path_factory.mktemp("hostile")
    events = [
        event
        for at, id in enumerate(IDS)
        for event in (
            command(id, MapUniqueName=id, at=at * 60.0),
            reading(id, MapUniqueName=id, at=at * 60.0 + 1),
        )
    ]
    return run_into(folder / "h.duckdb", *write_raw(events, [raw_user()], folder))


@pytest.mark.parametrize("id", IDS)
def test_explain_tells_of_the_id_as_it_stands(type_, hostile, id):
    told = type_("explain", "--database", hostile, "--format", "json", "--", id)

    story = json.loads(told.stdout)
    assert story["command"]["command_uuid"] == story["command"]["device_id"] == id
    assert len(story["events"]) == 2
    assert [each["reading_uuid"] for each in story["readings"]] == [id]


# a story is found alike for any format, so these are the ids that a terminal's text may lose
@pytest.mark.parametrize(
    "id", ["'", "\\", '"x"', "%", "x\ny", "😀", "[red]x[/red]", "{}", "\ufeffx"]
)
def test_the_text_of_a_story_has_the_id_as_it_stands(type_, hostile, id):
    assert id.splitlines()[0] in type_("explain", "--database", hostile, "--", id).stdout


@pytest.mark.parametrize("id", ["' OR true --", "%%", "\\'", "__", "c?"])
def test_explain_takes_no_id_for_more_than_an_id(type_, hostile, id):
    told = type_("explain", "--database", hostile, "--format", "json", "--", id)

    assert told.exit_code == 1
    assert json.loads(told.stdout)["events"] == []


def test_a_device_whose_name_holds_nul_is_explained(type_):
    events = [command("c", MapUniqueName="d\0x"), reading("r", MapUniqueName="d\0x")]
    database = run_into(Path("nul.duckdb"), *write_raw(events))

    told = type_("explain", "--database", database, "--format", "json", "c")

    assert [each["reading_uuid"] for each in json.loads(told.stdout)["readings"]] == ["r"]


def test_an_id_with_nul_is_just_no_command(hostile):
    assert not pipeline.connect("duckdb", database=hostile).explain("a\0b").found


@pytest.mark.parametrize(
    "name", ["a'b", 'a"b;c', "s3:x", "md:x", "[a]*", ":memory:", "é\\ü", "-x", "$(id)", "a\nb"]
)
def test_a_database_is_the_file_of_that_name(type_, hostile, name):
    shutil.copyfile(hostile, name)
    words = ["--columns", "command_uuid", "--format", "json", "--limit", "100"]

    shown = rows(type_("show", "stg_commands", "--database", name, *words))

    assert {row["command_uuid"] for row in shown} == set(IDS)


@pytest.mark.parametrize("name", ["a'b", 's3:x;y"', "[a]*", ":memory:"])
def test_a_build_makes_the_file_of_that_name_and_no_other(type_, name):
    options = write_raw([command("c")])

    type_("run", "--database", name, *options)

    assert sorted(path.name for path in Path().iterdir()) == sorted(
        [name, "events.parquet", "users.parquet"]
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a?b.duckdb", "there is a ? in its path"),
        (os.fsdecode(b"a\xff.duckdb"), "a\\xff.duckdb can't be a DuckDB database: its path is no"),
    ],
)
def test_a_path_that_the_engine_would_misread_is_refused(type_, name, told):
    typed = type_("build", "--database", name)

    assert typed.exit_code == 2
    assert told in typed.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    "columns", ["pin'", '"pin"', "*", "pin AS x", "COLUMNS(*)", "pin;x", "PIN", "stg_commands.pin"]
)
def test_columns_are_names_of_columns_alone(type_, hostile, columns):
    shown = type_("show", "stg_commands", "--database", hostile, "--columns", columns)

    assert shown.exit_code == 2
    assert "has no column" in shown.stderr


@pytest.mark.parametrize("spec", ["'; DROP TABLE x", "`", "*'", "tag:'", "+", "[", "$(id)", "../x"])
@pytest.mark.parametrize("command", ["build", "run", "test", "compile", "lint", "ls", "digest"])
def test_a_selection_is_names_of_models_alone(type_, command, spec):
    typed = type_(command, "--select", spec)

    assert typed.exit_code == 2
    assert len(typed.stderr.splitlines()) >= 2
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("option", "name"),
    [
        *(("--project", name) for name in ("p`; DROP", "a.b", "Project", "p", "my project", "x-")),
        *(("--dataset", name) for name in ("d`x", "a.b", "a-b", "", "d; DROP", "ü")),
        *(("--source-dataset", name) for name in ("d`x", "a.b", "raw--")),
    ],
)
def test_a_name_that_bigquery_does_not_have_comes_into_no_statement(type_, option, name):
    given = {"--project": "my-project", "--dataset": "models"} | {option: name}
    words = [word for pair in given.items() for word in pair]

    compiled = type_("compile", "--backend", "bigquery", *words)
    built = type_("build", "--backend", "bigquery", "--api-endpoint", "http://127.0.0.1:9", *words)

    assert compiled.exit_code == built.exit_code == 2
    assert compiled.stdout == ""
    assert "BigQuery" in compiled.stderr
    assert "can't be reached" not in built.stderr


def test_python_refuses_such_names_as_well():
    with pytest.raises(UsageError, match="not a name of a BigQuery dataset"):
        pipeline.connect("bigquery", project="my-project", dataset="a.b")
