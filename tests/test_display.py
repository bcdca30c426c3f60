from __future__ import annotations

import html
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import arrow, command, event_types, raw_user, reading, result, user_types

import pipeline

PIN = "98765432"  # a time may also have one or two digits of a PIN
MESSY = [command("c<b>", "LockedState", "ajar"), result("c<b>"), reading("r")]
PINS = [command(f"p{i}", "PinAssignment", i, PIN) for i in range(7)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(arrow([*MESSY, *PINS], event_types()), "events.parquet")
    pq.write_table(arrow([raw_user()], user_types()), "users.parquet")
    return pipeline.connect("duckdb", events="events.parquet", users="users.parquet")


def in_notebook(shown) -> str:
    """The text that a notebook shows of an object."""
    return html.unescape(re.sub(r"<[^>]+>", "", shown._repr_html_()))


def check_of(made, name):
    return next(found for found in made.checks if found.name == name)


def test_a_project_tells_where_it_is_without_opening_anything(project):
    assert repr(project) == "<pipeline on duckdb: build/pipeline.duckdb>"
    assert not Path("build").exists()


def test_a_project_in_a_notebook_says_how_to_build_what_is_not_built(project):
    assert "p.build()" in in_notebook(project)


def test_a_project_in_a_notebook_shows_what_is_built(project):
    project.build(select="+dim_users")

    shown = in_notebook(project)
    assert re.search(r"raw_users: 1 rows", shown)
    assert re.search(r"dim_users +marts +1 +\d+ PASS", shown)
    assert re.search(r"stg_commands +staging +not built", shown)


def test_a_project_that_cant_be_read_says_why(project):
    Path("build").mkdir()
    Path("build/pipeline.duckdb").write_text("no database")

    assert "pipeline.duckdb" in in_notebook(project).splitlines()[1]


def test_the_models_are_a_table_with_what_a_row_is(project):
    assert re.search(r"dim_users +marts +user_id +One row per user", in_notebook(project.models))
    assert repr(project.models) == str(project.models)


def test_a_model_shows_its_columns_and_which_are_sensitive(project):
    model = project.models["stg_commands"]

    shown = in_notebook(model)
    assert repr(model).startswith("<model stg_commands: One row per command")
    assert re.search(r"command_uuid +string, never NULL +the command's id", shown)
    assert re.search(r"pin +string +.* \(sensitive\)", shown)


def test_a_build_shows_its_models_what_did_not_pass_and_the_sums(project):
    made = project.build()

    shown = in_notebook(made)
    assert re.search(r"OK created view stg_commands \(8 rows\) in", shown)
    assert "WARN 7 stg_commands.matches_pin" in shown
    assert "PASS stg_commands" not in shown
    assert re.search(r"Done\. PASS=\d+ WARN=\d FAIL=0", shown)
    assert repr(made) == str(made)


def test_a_build_that_published_nothing_says_so(project):
    assert "Nothing was published" in in_notebook(project.build(warn_error=True))


def test_a_failed_check_shows_the_rows_that_break_it_as_letters(project):
    found = check_of(project.build(), "accepted_values_lock_state")

    assert repr(found) == "<WARN 1 stg_commands.accepted_values_lock_state>"
    assert re.search(r"c<b> +ajar", in_notebook(found))
    assert "c<b>" not in found._repr_html_()


def test_no_pin_is_shown_of_a_failed_check(project):
    made = project.build()
    found = check_of(made, "matches_pin")

    for shown in (in_notebook(found), in_notebook(made), str(found), str(made), repr(found)):
        assert PIN not in shown
    assert in_notebook(found).count("***") == 5
