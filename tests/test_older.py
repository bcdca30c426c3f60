"""If the code is newer than a built table, every command names the table and the remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from conftest import arrow, command, event_types, raw_user, reading, result, user_types
from pyarrow import parquet as pq

import pipeline
from pipeline.cli import cli


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A database of a few rows, built by the current code."""
    folder = tmp_path_factory.mktemp("older")
    events, users = folder / "events.parquet", folder / "users.parquet"
    pq.write_table(arrow([command("c"), result("c"), reading("r")], event_types()), events)
    pq.write_table(arrow([raw_user()], user_types()), users)
    database = folder / "p.duckdb"
    pipeline.connect("duckdb", database=database, events=events, users=users).build()
    return database


def type_(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


CHANGES = {
    "column": (
        "ALTER TABLE dim_users DROP COLUMN username",
        "dim_users was built by older code (it has no column username): build --select dim_users+",
    ),
    "type": (
        "ALTER TABLE dim_users ALTER username TYPE INTEGER USING 7",
        "dim_users was built by older code (its column username is int32, now string): "
        "build --select dim_users+",
    ),
    "kind": (
        "ALTER TABLE dim_users RENAME TO kept; CREATE VIEW dim_users AS FROM kept",
        "dim_users was built by older code (it is a view, now a table): build --select dim_users+",
    ),
}
DAILY = "met_daily_command_count_by_username"


@pytest.fixture(params=CHANGES)
def older(request, built, tmp_path) -> tuple[str, str]:
    """A database with one table as older code built it, and the message about it."""
    statement, message = CHANGES[request.param]
    shutil.copy(built, tmp_path / "p.duckdb")
    with duckdb.connect(tmp_path / "p.duckdb") as con:
        con.execute(statement)
    return str(tmp_path / "p.duckdb"), message


@pytest.mark.parametrize(
    "words",
    [
        ["show", "dim_users"],
        ["show", DAILY, "--preview"],
        ["build", "--select", DAILY],
        ["run", "--select", DAILY],
        ["digest", "--select", "dim_users"],
        ["explain", "c"],
    ],
    ids=" ".join,
)
def test_a_command_that_reads_it_says_that_older_code_has_built_it(older, words):
    database, message = older

    typed = type_(*words, "--database", database)

    assert typed.exit_code == 2
    assert message in typed.stderr
    assert typed.exception is None or isinstance(typed.exception, SystemExit)


def test_checks_of_it_fail_or_are_skipped_with_that_message(older):
    database, message = older

    typed = type_("test", "--database", database, "--verbose")

    assert isinstance(typed.exception, SystemExit | None), typed.exception
    if "is a view" not in message:
        assert typed.exit_code == 1
        assert message in " ".join(typed.stdout.split())
        needs = "SKIP fct_command_statuses.every_user_is_known: needs dim_users"
        assert f"{needs} (built by older code)" in typed.stdout


def test_what_does_not_read_it_works_and_so_does_the_remedy(older, tmp_path):
    database, message = older
    remedy = message.rpartition(": ")[2].split()

    assert type_("show", "stg_users", "--database", database).exit_code == 0
    assert type_("docs", "--database", database, "--output", str(tmp_path / "d")).exit_code == 0
    mended = type_(*remedy, "--database", database)
    assert mended.exit_code == 0, mended.output
    assert type_("show", "dim_users", "--database", database).exit_code == 0


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_dispositions DROP COLUMN source",
        'UPDATE _pipeline.runs SET checks = \'[{"model": "dim_users", "name": "columns",'
        ' "status": "PASS"}]\', models = \'[{"name": "dim_users"}]\'',
    ],
)
def test_docs_are_written_of_what_an_older_version_recorded(built, tmp_path, statement):
    shutil.copy(built, tmp_path / "p.duckdb")
    with duckdb.connect(tmp_path / "p.duckdb") as con:
        con.execute(statement)

    typed = type_("docs", "--database", str(tmp_path / "p.duckdb"), "--output", str(tmp_path))

    assert (typed.exit_code, typed.stderr) == (0, "")
