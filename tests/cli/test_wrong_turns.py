"""Wrong turns: each ends with a message that names the next step, and with a status."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command_line import built, type_, write_raw
from conftest import command, raw_user

from pipeline.backends.duckdb.folder import building_folder
from pipeline.cli import cli

__all__ = ["built", "type_"]

ROOT = Path(__file__).parents[2]
BUILD = "Build it first: `python cli.py build`"
DIGESTS = "Write them with `python cli.py digest --format json > FILE`."
HELP = "--help' for help"
ON_BIGQUERY = "--backend bigquery --project project --dataset d"
PATH = "Check the path."
TURNS = [
    # the command line
    ("", 2, "build", "Build the models, check each, and publish all at once."),
    ("buil", 2, "No such command 'buil'. Did you mean build?"),
    ("build --selct dim_users", 2, "No such option '--selct'", "--select", HELP),
    ("build --backend bigqery", 2, "'bigqery'", "'duckdb', 'bigquery'", HELP),
    ("build --threads 0", 2, "--threads", "1<=x<=1024", HELP),
    ("build --threads many", 2, "--threads", "'many'", HELP),
    ("build --memory-limit lots", 2, "does not take these limits", "like 4GB or 512MB"),
    ("build --memory-limit 1KB", 1, "out of memory", "Give it more with --memory-limit"),
    ("show", 2, "Missing argument 'MODEL'", HELP),
    ("show dim_users --format xml", 2, "'xml'", "'table', 'csv', 'json'", HELP),
    ("show dim_users --limit -1", 2, "--limit", HELP),
    ("generate", 2, "Missing option '--output'", HELP),
    ("generate --output g --devices 0", 2, "--devices 0", "Take 1 or more."),
    # models
    ("build -s dim_user", 2, "No model is called 'dim_user'.", "Did you mean dim_users"),
    ("build -s tag:part_for", 2, "No model has the tag 'part_for'.", "part_one"),
    ("build -s dim_users --exclude dim_*", 2, "leaves no model", "`python cli.py ls`"),
    ("build --database new.duckdb -s dim_users", 2, "not built yet", "--select +dim_users"),
    ("ls -s stg_comands", 2, "Did you mean stg_commands"),
    ("lint -s stg_comands", 2, "Did you mean stg_commands"),
    ("compile -s stg_comands", 2, "Did you mean stg_commands"),
    ("show fct_command_reading", 2, "no model", "Did you mean fct_command_readings"),
    ("show dim_users --columns usrname", 2, "no column 'usrname'", "Did you mean username?"),
    # conditions
    ("show dim_users --where 'usrname = 1'", 2, "no column 'usrname'", "Did you mean username?"),
    ("show dim_users --where 'username ='", 2, "not a complete expression", "\"device_id = 'd1'\""),
    ("show dim_users --where 'true; true'", 2, "more than one statement", "Write one boolean"),
    ("show dim_users --where 'username = 1'", 2, "fails on a row", "TRY_CAST"),
    ("show stg_commands --where \"pin = '1'\"", 2, "pin is sensitive", "Add --reveal"),
    # the database
    ("show dim_users --database none.duckdb", 2, "no database none.duckdb", BUILD, "--database"),
    ("test --database none.duckdb", 2, "no database none.duckdb", BUILD),
    ("digest --database none.duckdb", 2, "no database none.duckdb", BUILD),
    ("explain x --database none.duckdb", 2, "no database none.duckdb", BUILD),
    ("build --database text.txt", 2, "can't be opened", "Name another file with --database"),
    ("show dim_users --database text.txt", 2, "can't be opened", "Name another file"),
    ("build --database folder", 2, "'folder' is a directory", HELP),
    # files
    ("build --events none.parquet", 2, "none.parquet does not exist.", PATH),
    ("build --events 'none-*.csv'", 2, "none-*.csv matches no file.", PATH),
    (
        "build --events text.txt",
        2,
        "unknown kind",
        "Name a .parquet, .ndjson, .jsonl, .json or .csv",
    ),
    ("build --events folder", 2, "folder is a folder.", "Name the files in it"),
    ("build --events empty.parquet", 2, "empty.parquet can't be read", "export it again"),
    ("build --events users.parquet", 2, "something else's file", "may be mixed up"),
    (
        "build --database new.duckdb --events events.parquet",
        2,
        "No files of raw_users were given",
        "--users PATH",
    ),
    ("diff text.txt text.txt", 2, "text.txt holds no digests.", DIGESTS),
    ("diff list.json list.json", 2, "list.json holds no digests.", DIGESTS),
    ("diff none.json list.json", 2, "none.json does not exist.", "bigquery:PROJECT.DATASET"),
    ("docs --output text.txt", 2, "text.txt can't be written", "Name a place"),
    # ids
    ("explain nosuch", 1, "no command nosuch", "`python cli.py show stg_commands`"),
    ("explain ''", 2, "not empty", "`python cli.py show stg_commands`"),
    # BigQuery
    ("build --backend bigquery", 2, "project and the dataset", "--project and --dataset"),
    ("build --project p", 2, "--project is not for duckdb.", "Add --backend bigquery"),
    ("build --dry-run", 2, "duckdb does not charge", "--backend bigquery"),
    (f"build {ON_BIGQUERY} --events events.parquet", 2, "--events is not", "cli.py load`"),
    (f"build {ON_BIGQUERY} --memory-limit 1GB", 2, "--memory-limit is not for bigquery.", "Leave"),
    ("build --backend bigquery --project p --dataset d", 2, "'p' is not an id", "6 to 30"),
    (f"build {ON_BIGQUERY}", 2, "no Google credentials", "none.json", "gcloud auth"),
    (f"show dim_users {ON_BIGQUERY}", 2, "no Google credentials", "gcloud auth"),
    (
        f"show dim_users {ON_BIGQUERY} --api-endpoint http://127.0.0.1:9",
        2,
        "can't be reached",
        "--api-endpoint",
    ),
]


@pytest.fixture
def around(built, monkeypatch):
    """A folder with a built sample, raw files, and other files."""
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "none.json")
    write_raw([command("c1")], [raw_user()])
    Path("text.txt").write_text("text")
    Path("list.json").write_text("[1]")
    Path("empty.parquet").touch()
    Path("folder").mkdir()
    return built


@pytest.mark.parametrize(("line", "status", "words"), [(a, b, c) for a, b, *c in TURNS], ids=str)
def test_a_wrong_turn_ends_in_a_message_with_the_next_step(type_, around, line, status, words):
    before = around.read_bytes()

    typed = type_(*shlex.split(line))

    assert typed.exit_code == status
    assert [word for word in words if word not in typed.output] == []
    assert "Traceback" not in typed.output
    assert around.read_bytes() == before


def test_a_second_build_ends_in_a_message_that_names_the_first(type_, around):
    with building_folder(around):
        typed = type_("build")

    assert typed.exit_code == 2
    assert "Another build of this database is running" in typed.output
    assert "Wait until it ends, or build into another file with --database." in typed.output


def test_a_table_that_an_older_build_lacks_is_told_with_what_builds_it(type_, around):
    shutil.rmtree("build")
    type_("run", "--events", "events.parquet", "-s", "+stg_commands")

    for line in ("show dim_users", "test -s dim_users", "explain c1"):
        typed = type_(*shlex.split(line))
        assert typed.exit_code == 2
        assert "not built yet" in typed.output
        assert "+" in typed.output.splitlines()[-1]


def test_without_unix_file_locks_a_build_says_where_it_runs(type_, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows: importing it fails

    built = type_("build", "--select", "+dim_users")

    assert built.exit_code == 2
    assert "On Windows, run the pipeline in WSL" in built.stderr
    assert list(Path("build").iterdir()) == []


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("hub-events", "`hub-events build`"),
        ("python -m pipeline", "`python -m pipeline build`"),
        ("cli.py", "`python cli.py build`"),
    ],
)
def test_a_remedy_is_written_as_the_program_was_started(tmp_path, monkeypatch, program, told):
    monkeypatch.chdir(tmp_path)

    shown = CliRunner().invoke(cli, ["show", "dim_users"], prog_name=program)

    assert shown.exit_code == 2
    assert told in shown.stderr


def test_a_python_without_the_libraries_says_which_one_to_use(tmp_path):
    shutil.copytree(Path(click.__file__).parent, tmp_path / "click")
    words = [sys.executable, "-S", str(ROOT / "cli.py"), "ls"]

    typed = subprocess.run(
        words, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, cwd=tmp_path
    )

    assert typed.returncode == 2
    assert f"{sys.executable}) has no ibis" in typed.stderr
    assert ".venv/bin/python" in typed.stderr
    assert "Traceback" not in typed.stderr
