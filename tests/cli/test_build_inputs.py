"""The files that a build reads, and the first lines that name them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pytest
from command_line import type_, write_raw
from conftest import command, raw_user

from pipeline.backends.duckdb.inputs import SAMPLE

__all__ = ["type_"]

USERS = ["-s", "stg_user_versions"]
NEW = (
    "build/pipeline.duckdb is new in {}, and no files were named: this builds the sample. "
    "Name files of your own with --events and --users."
)


def lines_of(typed) -> list[str]:
    assert typed.exit_code == 0, typed.output
    return typed.stdout.splitlines()


@pytest.fixture
def own(type_):
    """The user's own events and users in the current folder."""
    write_raw([command("c1")], [raw_user()])


def test_a_bare_build_says_that_it_makes_the_sample_and_where(type_, tmp_path):
    users = f"read raw_users: 41 rows of {SAMPLE / 'raw_users.parquet'} (the sample)"

    first = lines_of(type_("run", *USERS))
    again = lines_of(type_("run", *USERS))

    assert first[:2] == [users, NEW.format(tmp_path)]
    assert again[0] == users


def test_own_files_are_named_by_their_number_and_pattern(type_, own):
    Path("exports").mkdir()
    for name in ("a", "b"):
        Path(f"exports/{name}.parquet").write_bytes(Path("users.parquet").read_bytes())

    one = lines_of(type_("run", *USERS, "--users", "exports/a.parquet"))
    two = lines_of(type_("run", *USERS, "--users", "exports/*.parquet"))
    again = lines_of(type_("run", *USERS))
    four = lines_of(
        type_("run", *USERS, *[word for n in "abcd" for word in ("--users", f"exports/[{n}a]*")])
    )

    assert one[0] == "read raw_users: 1 row of exports/a.parquet"
    assert two[0] == "read raw_users: 2 rows of 2 files, exports/*.parquet"
    assert again[0] == "read raw_users: 2 rows of 2 files, exports/*.parquet (as the last build)"
    assert four[0] == (
        "read raw_users: 2 rows of 2 files, exports/[aa]*, exports/[ba]*, exports/[ca]*, and 1 more"
    )


def test_machines_read_the_inputs_too(type_, own, tmp_path):
    path = str(tmp_path / "users.parquet")
    expected = {
        "source": "raw_users",
        "inputs": [path],
        "rows": 1,
        "files": 1,
        "origin": "given",
        "rows_before": None,
    }

    typed = type_("run", *USERS, "--users", path, "--log-format", "json", "--results", "r.json")

    [read] = [json.loads(line) for line in lines_of(typed) if '"read"' in line]
    assert {name: read[name] for name in expected} == expected
    assert json.loads(Path("r.json").read_text())["sources"] == [expected]


def test_own_events_are_never_joined_with_the_samples_users(type_, own):
    lines_of(type_("run"))

    typed = type_("run", "--events", "events.parquet")

    assert typed.exit_code == 2
    assert "No files of raw_users were given" in typed.stderr
    assert "Name them with --users PATH" in typed.stderr
    assert lines_of(type_("run", "--events", "events.parquet", "-s", "stg_sync_events"))
    # now own events are recorded, so a build without options asks for users
    assert type_("run").exit_code == 2
    both = lines_of(type_("run", "--users", "users.parquet"))
    assert both[:2] == [
        "read raw_sync_events: 1 row of events.parquet (as the last build)",
        "read raw_users: 1 row of users.parquet",
    ]


def test_a_record_of_an_older_version_that_names_the_sample_counts_as_none(type_, own):
    lines_of(type_("run", *USERS))
    sources = {
        name: {"inputs": [str(SAMPLE / f"{name}.parquet")], "rows": 1}
        for name in ("raw_sync_events", "raw_users")
    }
    with duckdb.connect("build/pipeline.duckdb") as con:
        con.execute("UPDATE _pipeline.runs SET sources = ?", [json.dumps(sources)])

    typed = type_("run", "--events", "events.parquet")

    assert typed.exit_code == 2
    assert "No files of raw_users were given" in typed.stderr
    assert lines_of(type_("run", *USERS))[0].endswith("(the sample)")


def test_recorded_files_that_have_moved_are_said_to_be_recorded(type_, own):
    lines_of(type_("run", *USERS, "--users", "users.parquet"))
    Path("elsewhere").mkdir()
    Path("users.parquet").rename("elsewhere/users.parquet")

    typed = type_("run", *USERS)

    assert typed.exit_code == 2
    assert "users.parquet does not exist. The path is recorded from the last build." in typed.stderr
    assert "Name the files where they are now with --users PATH" in typed.stderr
    assert lines_of(type_("run", *USERS, "--users", "elsewhere/users.parquet"))


@pytest.mark.parametrize("option", ["--events", "--users"])
def test_a_file_that_does_not_exist_is_an_error_also_where_nothing_reads_it(type_, own, option):
    other = {"--events": "raw_users", "--users": "raw_sync_events"}[option]

    typed = type_("run", "-s", f"source:{other}", option, "none.parquet")

    assert typed.exit_code == 2
    assert "none.parquet does not exist" in typed.stderr
    assert not Path("build/pipeline.duckdb").exists()


def test_recorded_paths_are_plain_ones(type_, own, tmp_path):
    Path("a").mkdir()
    os.chdir("a")

    lines_of(type_("run", *USERS, "--users", "../a/.././users.parquet"))

    with duckdb.connect("build/pipeline.duckdb", read_only=True) as con:
        [(sources,)] = con.execute("SELECT sources FROM _pipeline.runs").fetchall()
    assert json.loads(sources)["raw_users"]["inputs"] == [str(tmp_path / "users.parquet")]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a" * 300 + ".parquet", "is too long a name for a file."),
        ("events.parquet/more.parquet", "can't be read: Not a directory."),
    ],
    ids=["too long", "in a file"],
)
def test_a_path_that_no_system_call_takes_is_told_in_a_message(type_, own, path, told):
    typed = type_("run", *USERS, "--events", path, "--users", "users.parquet")

    assert typed.exit_code == 2
    assert told in typed.stderr
