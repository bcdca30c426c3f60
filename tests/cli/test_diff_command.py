from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest
from command_line import built, parquet_rows, type_

import pipeline

__all__ = ["built", "type_"]

A_COMMAND = "00627d57-4ec0-48af-a5e9-815fbf3b0943"


@pytest.fixture
def other(built):
    """A copy of the sample's build with one row gone, one changed, and one column more."""
    copy = Path("other.duckdb")
    shutil.copyfile(built, copy)
    with duckdb.connect(str(copy)) as con:
        con.execute("DELETE FROM dim_users WHERE user_id = '1001'")
        con.execute(
            "UPDATE fct_command_readings SET outcome = 'lost', pin = '4711'"
            f" WHERE command_uuid = '{A_COMMAND}'"
        )
        con.execute("ALTER TABLE met_command_outcomes ADD COLUMN more INTEGER")
    return copy


def test_two_databases_are_compared_by_row(type_, built, other):
    typed = type_("diff", built, other, COLUMNS="100")

    told = typed.stdout
    assert typed.exit_code == 1
    assert re.findall(r"^\w+: .+", told, re.MULTILINE) == [
        "dim_users: 1 only in A (20 rows in A, 19 in B)",
        "fct_command_readings: 1 changed (997 rows in A, 997 in B)",
        "met_command_outcomes: same rows (8 rows in A, 8 in B)",
    ]
    assert "column more is only in B" in told
    assert re.search(rf"{A_COMMAND} +outcome +failed +lost", told)
    assert "4711" not in told
    assert "albara.barbrook" in told
    assert told.splitlines()[-1].startswith("3 of ")


def test_a_database_is_the_same_as_its_copy(type_, built):
    typed = type_("diff", built, built)

    assert typed.exit_code == 0
    assert re.fullmatch(r"0 of \d+ models differ\.", typed.stdout.splitlines()[-1])


def test_models_columns_and_samples_are_chosen_and_all_rows_kept(type_, built, other):
    words = ["--model", "dim_users", "--columns", "username", "--limit", "0", "--store", "kept"]

    typed = type_("diff", built, other, *words)

    assert typed.exit_code == 1
    assert typed.stdout.splitlines()[-1] == "1 of 1 models differ."
    assert [path.name for path in Path("kept").iterdir()] == ["dim_users.only_in_a.parquet"]
    [row] = parquet_rows(Path("kept/dim_users.only_in_a.parquet"))
    assert row == {"user_id": "1001", "username": "albara.barbrook"}


def test_a_file_of_digests_is_compared_with_a_database_by_model(type_, built, other):
    Path("a.json").write_text(type_("digest", "--format", "json").stdout)

    typed = type_("diff", "a.json", other)

    assert typed.exit_code == 1
    assert "dim_users: 20 rows in a.json, 19 in other.duckdb" in typed.stdout
    assert typed.stdout.splitlines()[-1].startswith("2 of ")
    assert type_("diff", "a.json", built).exit_code == 0
    refused = type_("diff", "a.json", other, "--model", "dim_users")
    assert (refused.exit_code, "no rows to look at" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.duckdb", "none.duckdb"], "none.duckdb does not exist"),
        (["build/pipeline.duckdb", "bigquery:p"], "Write bigquery:PROJECT.DATASET"),
        (["build/pipeline.duckdb", "README"], "holds no digests"),
        (["build/pipeline.duckdb", "build/pipeline.duckdb", "--model", "dim_user"], "dim_users"),
        (
            ["build/pipeline.duckdb"] * 2 + ["--model", "dim_users", "--columns", "name"],
            "dim_users has no column 'name'. Did you mean username",
        ),
    ],
)
def test_what_cant_be_compared_is_wrong_usage(type_, built, words, said):
    Path("README").write_text("words")

    typed = type_("diff", *words)

    assert typed.exit_code == 2
    assert said in " ".join(typed.stderr.split())


def test_a_notebook_shows_the_difference(built, other):
    found = pipeline.connect("duckdb", database=built).diff(other, "dim_users")

    assert "dim_users: 1 only in A" in str(found)
    assert "<pre" in found._repr_html_()
    assert [model.model for model in found.differing] == ["dim_users"]
