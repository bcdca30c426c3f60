from __future__ import annotations

import gc
import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner
from command_line import type_

from pipeline import catalog
from pipeline.cli import cli
from pipeline.sources import SOURCES

__all__ = ["type_"]


def names(typed) -> list[str]:
    assert typed.exit_code == 0, typed.output
    return [model["name"] for model in json.loads(typed.stdout)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-s", "stg_users", "dim_users"], "stg_users dim_users"),
        (["--select", "stg_users dim_users"], "stg_users dim_users"),
        (["-m", "dim_users", "-m", "stg_users"], "stg_users dim_users"),
        (["--models=stg_users", "dim_users"], "stg_users dim_users"),
        (["--select", "+dim_users"], "stg_user_versions stg_users dim_users"),
        (["-s", "*_users"], "quarantined_users stg_users dim_users"),
        (["-s", "tag:part_two,staging"], "stg_users"),
        (["-s", "tag:part_two", "--exclude", "marts"], "stg_users"),
        (["-s", "*_users", "--exclude", "stg_users", "dim_users"], "quarantined_users"),
        (["--exclude", "staging", "*_c*", "-s", "marts"], "audit_dispositions dim_users"),
    ],
    ids=" ".join,
)
def test_every_way_to_select(type_, words, expected):
    assert names(type_("ls", *words, "--format", "json")) == expected.split()


def test_what_a_model_needs_and_what_needs_it_is_selected_by_a_plus(type_):
    around = names(type_("ls", "-s", "+stg_users+", "--format", "json"))

    assert around[0] == "stg_user_versions"
    assert set(around) > {"stg_users", "dim_users", "met_daily_command_count_by_username"}
    assert "fct_command_readings" not in around


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["ls", "-s", "stg_user"], "Did you mean stg_users"),
        (["ls", "-s", "dim_users", "tag:part_tow"], "Did you mean part_two"),
        (["ls", "--exclude", "mart"], "Did you mean marts"),
        (["ls", "-s", "dim_users,staging"], "leaves no model"),
        (["ls", "-s"], "requires an argument"),
        (["sl"], "Did you mean"),
        (["biuld"], "Did you mean build"),
        (["build", "--memory-limt", "1GB"], "--memory-limit"),
        (["build", "--backend", "duckbd"], "'duckdb', 'bigquery'"),
        (["build", "dim_users"], "unexpected extra argument"),
        (["run", "--warn-error"], "No such option"),
        (["build", "--threads", "0"], "--threads"),
        (["build", "--threads", "many"], "--threads"),
        (["build", "--memory-limit", "much"], "Write --memory-limit like 4GB"),
        (["build", "--memory-limit", "-1GB"], "less than nothing"),
        (["build", "--database", "."], "directory"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_says_what_was_meant(type_, words, suggestion):
    typed = type_(*words)

    assert typed.exit_code == 2
    assert suggestion in typed.stderr
    assert "Traceback" not in typed.output


def test_ls_lists_models_in_dependency_order_with_layer_tags_and_key(type_):
    listed = json.loads(type_("ls", "--format", "json").stdout)

    assert [model["name"] for model in listed] == list(catalog.load().models)
    users = next(model for model in listed if model["name"] == "dim_users")
    assert (users["layer"], users["tags"], users["key"]) == ("marts", ["part_two"], ["user_id"])


def test_ls_as_a_table_has_a_line_for_each_model(type_):
    lines = type_("ls").stdout.splitlines()

    [line] = [line.split() for line in lines if "fct_command_statuses" in line]
    assert line == ["fct_command_statuses", "marts", "part_one", "command_uuid", "table"]
    listed = [line.split()[0] for line in lines if line.strip() and line.split()[0] in SELECTED]
    assert listed == SELECTED


# these tables hold a user's raw values, which the sample's build has not as text
AS_THEY_CAME = ("stg_user_versions", "quarantined_users")
SELECTED = list(catalog.load().models)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("DATABASE", "elsewhere.duckdb", ["run", "-s", "+dim_users"]),
        ("LOG_FORMAT", "json", ["run", "-s", "+dim_users"]),
    ],
)
def test_common_options_come_from_the_environment_too(type_, option, value, words):
    typed = type_(*words, **{f"PIPELINE_{option}": value})

    assert typed.exit_code == 0
    assert Path("elsewhere.duckdb").exists() == (option == "DATABASE")
    assert typed.stdout.startswith("{") == (option == "LOG_FORMAT")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("THREADS", "0", "--threads"),
        ("MEMORY_LIMIT", "much", "--memory-limit"),
        ("BACKEND", "sqlite", "--backend"),
    ],
)
def test_a_wrong_value_in_the_environment_is_wrong_usage(type_, option, value, said):
    typed = type_("build", **{f"PIPELINE_{option}": value})

    assert typed.exit_code == 2
    assert said in typed.stderr


def test_what_is_typed_counts_more_than_the_environment(type_):
    typed = type_(
        "run", "-s", "+dim_users", "--database", "typed.duckdb", PIPELINE_DATABASE="other.duckdb"
    )

    assert typed.exit_code == 0
    assert Path("typed.duckdb").exists()
    assert not Path("other.duckdb").exists()


def test_compile_prints_the_selected_models_in_order(type_):
    typed = type_("compile", "-s", "dim_users", "stg_users")

    headings = [line for line in typed.stdout.splitlines() if line.startswith("-- ")]
    assert typed.exit_code == 0
    assert headings == ["-- stg_users", "-- dim_users"]


@pytest.mark.parametrize(
    ("options", "models", "sources"),
    [
        ([], "`project`.`dataset`", "`project`.`dataset`"),
        (["--project", "my-project", "--dataset", "d"], "`my-project`.`d`", "`my-project`.`d`"),
        (
            ["--project", "my-project", "--dataset", "d", "--source-dataset", "raw"],
            "`my-project`.`d`",
            "`my-project`.`raw`",
        ),
    ],
    ids=["as they are called by default", "as given", "sources apart"],
)
def test_compile_names_tables_as_the_warehouse_does(type_, options, models, sources):
    typed = type_("compile", "--backend", "bigquery", "--output", "sql", *options)

    assert typed.exit_code == 0
    assert f"{models}.`stg_users`" in Path("sql/dim_users.sql").read_text()
    assert f"{sources}.`raw_users`" in Path("sql/stg_user_versions.sql").read_text()


@pytest.mark.parametrize("backend", ["duckdb", "bigquery"])
def test_compile_writes_one_select_for_each_model_and_connects_to_nothing(type_, backend):
    typed = type_("compile", "--backend", backend, "--output", "sql")

    assert typed.exit_code == 0
    assert typed.stdout == ""
    files = {path.stem: path.read_text() for path in Path("sql").iterdir()}
    assert set(files) == set(catalog.load().models)
    assert all(text.lstrip().startswith(("SELECT", "WITH")) for text in files.values())
    assert not [text for text in files.values() if ";" in text]
    assert [path.name for path in Path().iterdir()] == ["sql"]


def test_the_compiled_statements_make_what_a_build_makes(type_, sample):
    type_("compile", "--output", "sql")
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH '{sample}' AS built (READ_ONLY)")
        for source in SOURCES:
            file = Path(catalog.__file__).parents[1] / "data" / f"{source}.parquet"
            texts = "COLUMNS(*)::VARCHAR" if source == "raw_users" else "*"
            con.execute(f"CREATE TABLE {source} AS SELECT {texts} FROM '{file}'")
        for name in catalog.load().models:
            con.execute(f"CREATE TABLE {name} AS {Path(f'sql/{name}.sql').read_text()}")
            if name in AS_THEY_CAME:
                continue
            columns = ", ".join(f'"{column}"' for column in catalog.load().models[name].schema)
            for one, other in (
                (f"main.{name}", f"built.{name}"),
                (f"built.{name}", f"main.{name}"),
            ):
                more = f"SELECT {columns} FROM {one} EXCEPT ALL SELECT {columns} FROM {other}"
                assert con.execute(f"SELECT count(*) FROM ({more})").fetchone() == (0,), name


def test_generate_makes_files_that_its_own_line_builds(type_):
    made = type_("generate", "--output", "raw data", "--commands", "20", "--devices", "4")
    line = made.stdout.splitlines()[-1].removeprefix("Build them: python cli.py ")
    command, *options = shlex.split(line)

    assert (made.exit_code, command) == (0, "build")
    typed = type_("run", *options, "-s", "+fct_command_statuses")
    assert typed.exit_code == 0, typed.output
    assert "OK created table fct_command_statuses (20 rows)" in typed.stdout


@pytest.mark.parametrize(
    "words", ["ls", "lineage stg_users.username", "lineage raw_users.uid --down"]
)
def test_no_line_of_a_list_ends_in_blanks(type_, words):
    lines = type_(*words.split()).stdout.splitlines()

    assert len(lines) > 1
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_command_looks_for_garbage_rarely_and_its_process_as_before(monkeypatch):
    during, before = [], gc.get_threshold()
    probe = click.Command("probe", callback=lambda: during.extend(gc.get_threshold()))
    monkeypatch.setitem(cli.commands, "probe", probe)

    assert CliRunner().invoke(cli, ["probe"]).exit_code == 0

    assert [more > usual for more, usual in zip(during, before, strict=True)] == [True] * 3
    assert gc.get_threshold() == before


def test_a_program_with_the_commands_ends_without_a_last_look_for_garbage():
    ends = "atexit.register(lambda: print(gc.get_freeze_count() > 0))"
    program = f"import atexit, gc; {ends}; import pipeline.cli"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (ended.stdout, ended.stderr) == ("True\n", "")
