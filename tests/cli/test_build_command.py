from __future__ import annotations

import json
import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from command_line import built, parquet_rows, rows, type_, write_raw
from conftest import command, raw_event, raw_user, reading, result

from pipeline.catalog import load

__all__ = ["built", "type_"]

AJAR = command("c1", "LockedState", "ajar")
PIN = command("p", "PinAssignment", 1, "98")
COMMANDS = ["-s", "+stg_commands"]
PINS = [command(f"p{i}", "PinAssignment", i, f"{i}") for i in range(7)]


def last_line(typed) -> str:
    return typed.stdout.splitlines()[-1]


def beside(database: Path) -> list[str]:
    return sorted(path.name for path in database.parent.iterdir())


def count(database: Path, table: str) -> int:
    with duckdb.connect(str(database), read_only=True) as con:
        return con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_a_new_database_is_built_from_the_sample_wherever_one_stands(type_):
    assert type_("build").exit_code == 0
    assert beside(Path("build/pipeline.duckdb")) == ["pipeline.duckdb"]

    tested = type_("test")
    assert tested.exit_code == 0
    assert re.fullmatch(
        r"Done\. PASS=\d+ WARN=3 FAIL=0 ERROR=0 SKIP=0 TOTAL=\d+", last_line(tested)
    )
    outcomes = rows(type_("show", "met_command_outcomes", "--format", "json"))
    everything = next(row for row in outcomes if row["command"] == "(all)")
    assert everything["number_of_commands"] == 997
    assert everything["number_hub_success_confirmed"] == 660
    assert everything["confirmation_rate"] == pytest.approx(660 / everything["number_hub_success"])
    kept = ["pipeline.duckdb", "pipeline.duckdb.tested.json"]
    assert beside(Path("build/pipeline.duckdb")) == kept


def test_each_model_and_check_has_its_line_and_the_last_sums_them_up(type_):
    typed = type_("build", *write_raw([AJAR], [raw_user()]), *COMMANDS)

    lines = typed.stdout.splitlines()
    assert lines[0] == "read raw_sync_events: 1 row of events.parquet"
    assert re.fullmatch(r"OK created table stg_sync_events \(1 row\) in \d+\.\d\ds", lines[1])
    assert any(re.match(r"PASS stg_commands.unique_key in", line) for line in lines)
    assert any(
        re.match(r"WARN 1 stg_commands.accepted_values_lock_state in", line) for line in lines
    )
    passed = sum(line.startswith(("OK", "PASS")) for line in lines)
    done = f"Done. PASS={passed} WARN=1 FAIL=0 ERROR=0 SKIP=0 TOTAL={passed + 1}"
    assert last_line(typed) == done


def test_a_failing_check_shows_its_count_and_five_rows_with_pins_masked(type_):
    typed = type_("build", *write_raw(PINS), *COMMANDS)

    assert typed.exit_code == 0
    after = typed.stdout.split("WARN 7 stg_commands.matches_pin")[1]
    assert after.count("***") == 5


def test_reveal_shows_the_failing_rows_as_they_are(type_):
    typed = type_("build", *write_raw([PIN]), *COMMANDS, "--reveal")

    assert re.search(r"p +98\b", typed.stdout)


def test_reveal_never_comes_from_the_environment(type_):
    typed = type_(
        "build",
        *write_raw([PIN]),
        *COMMANDS,
        PIPELINE_REVEAL="1",
        REVEAL="1",
    )

    assert "***" in typed.stdout
    assert not re.search(r"p +98\b", typed.stdout)


def test_letters_that_a_terminal_would_obey_are_shown_as_letters(type_):
    raw = write_raw([command("c[/red]\x1b[2J", "LockedState", "[bold]ajar")])

    typed = type_("build", *raw, *COMMANDS)

    assert typed.exit_code == 0
    assert "c[/red]\\x1b[2J" in typed.stdout
    assert "[bold]ajar" in typed.stdout


def test_with_warn_error_a_warning_fails_what_it_is_about_and_publishes_nothing(type_, built):
    before = built.read_bytes()

    typed = type_("build", *write_raw([AJAR]), "--warn-error")

    assert typed.exit_code == 1
    assert "FAIL 1 stg_commands.accepted_values_lock_state" in typed.stdout
    assert "SKIP fct_command_statuses: stg_commands failed" in typed.stdout
    assert "SKIP met_command_outcomes: stg_commands failed" in typed.stdout
    assert "OK created table dim_users" in typed.stdout
    assert typed.stdout.splitlines()[-2] == "Nothing was published: the last build is unchanged."
    assert last_line(typed).startswith("Done. PASS=")
    assert built.read_bytes() == before
    assert beside(built) == ["pipeline.duckdb"]


def test_fail_fast_stops_after_the_first_model_that_fails(type_):
    typed = type_("build", *write_raw([AJAR]), "--warn-error", "--fail-fast", "-s", "staging")

    assert typed.exit_code == 1
    assert "OK created view stg_readings" not in typed.stdout
    assert "SKIP stg_readings: the build failed fast" in typed.stdout


def test_run_publishes_what_a_check_would_have_stopped_and_counts_models_alone(type_):
    ran = type_("run", *write_raw([AJAR]))
    tested = type_("test", "--warn-error", "-s", "stg_commands")

    assert ran.exit_code == 0
    number = len(load().models)
    assert last_line(ran) == f"Done. PASS={number} WARN=0 FAIL=0 ERROR=0 SKIP=0 TOTAL={number}"
    assert tested.exit_code == 1
    assert "FAIL 1 stg_commands.accepted_values_lock_state" in tested.stdout


@pytest.mark.parametrize(("options", "pin"), [([], "***"), (["--reveal"], "98")], ids=str)
@pytest.mark.parametrize("name", ["build", "test"])
def test_failing_rows_are_stored_with_pins_masked_unless_revealed(type_, name, options, pin):
    type_("run", *write_raw([PIN, AJAR]), *COMMANDS)

    typed = type_(name, "-s", "stg_commands", "--store-failures", "failures", *options)

    assert typed.exit_code == 0
    assert sorted(path.name for path in Path("failures").iterdir()) == [
        "stg_commands.accepted_values_lock_state.parquet",
        "stg_commands.matches_pin.parquet",
    ]
    [row] = parquet_rows(Path("failures/stg_commands.matches_pin.parquet"))
    assert (row["command_uuid"], row["pin"], row["slot"]) == ("p", pin, "1")
    assert (row["_raw_command_desired_state"] == "***") == (pin == "***")


def test_results_are_written_as_json_also_where_the_build_fails(type_):
    raw = write_raw([AJAR])

    typed = type_("build", *raw, *COMMANDS, "--warn-error", "--results", "out/results.json")

    written = json.loads(Path("out/results.json").read_text())
    assert typed.exit_code == 1
    assert (written["ok"], written["published"]) == (False, False)
    assert written["counts"]["FAIL"] == 1
    assert {model["name"]: model["status"] for model in written["models"]}["stg_commands"] == "OK"
    failed = [check for check in written["checks"] if check["status"] == "FAIL"]
    assert [(check["name"], check["failures"]) for check in failed] == [
        ("accepted_values_lock_state", 1)
    ]


@pytest.fixture
def ajar(type_):
    """A database whose one command breaks one check."""
    assert type_("run", *write_raw([AJAR, PIN]), *COMMANDS).exit_code == 0


def end(typed) -> list[str]:
    """The results that a build repeats above the last line."""
    lines = typed.stdout.splitlines()
    first = next(at for at, line in enumerate(lines) if re.match(r"(WARN|FAIL) .+: ", line))
    return lines[first:-1]


def typed_again(line) -> list[str]:
    return shlex.split(line)[2:]


def test_what_warns_is_told_again_at_the_end_with_a_command_that_shows_its_rows(type_, ajar):
    tested = type_("test", "-s", "stg_commands", "--database", "build/pipeline.duckdb")

    told = end(tested)
    assert [line.split(":")[0] for line in told[::2]] == [
        "WARN 1 stg_commands.matches_pin",
        "WARN 1 stg_commands.accepted_values_lock_state",
    ]
    shown = type_(*typed_again(told[3]), "--format", "json")
    assert [row["lock_state"] for row in rows(shown)] == ["ajar"]
    assert "--database build/pipeline.duckdb" in told[3]


def test_what_failed_and_was_not_published_is_seen_by_the_command_that_is_told(type_):
    typed = type_("build", *write_raw([AJAR]), *COMMANDS, "--warn-error")

    told = end(typed)
    assert told[0].startswith("FAIL 1 stg_commands.accepted_values_lock_state: ")
    assert told[2] == "Nothing was published: the last build is unchanged."
    assert type_(*typed_again(told[1])).exit_code == 1
    [row] = parquet_rows(Path("failures/stg_commands.accepted_values_lock_state.parquet"))
    assert row["lock_state"] == "ajar"


def test_quiet_prints_what_needs_a_look_and_the_last_line_alone(type_, ajar):
    quiet = type_("test", "-s", "stg_commands", "--quiet")

    assert quiet.stdout.splitlines() == [*end(quiet), last_line(quiet)]
    assert last_line(quiet).startswith("Done. PASS=")
    refused = type_("test", "--quiet", "--verbose")
    assert (refused.exit_code, "exclude each other" in refused.stderr) == (2, True)


def test_failing_rows_are_shown_as_many_as_asked_for_with_pins_masked(type_, ajar):
    words = ["show", "stg_commands", "--failing", "matches_pin", "--format", "json"]

    assert [row["pin"] for row in rows(type_(*words))] == ["***"]
    assert [row["pin"] for row in rows(type_(*words, "--reveal"))] == ["98"]
    assert rows(type_(*words, "--limit", "0")) == []
    assert rows(type_("show", "stg_commands", "--failing", "unique_key", "--format", "json")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--failing", "matches_pn"], "Did you mean matches_pin"),
        (["--failing", "matches_pin", "--columns", "pin"], "Leave out --columns"),
    ],
)
def test_a_check_that_there_is_not_or_more_than_it_is_wrong_usage(type_, ajar, words, said):
    typed = type_("show", "stg_commands", *words)

    assert (typed.exit_code, said in typed.stderr) == (2, True)


@pytest.mark.parametrize("name", ["build", "run", "test"])
def test_in_json_every_line_is_an_object_and_the_last_sums_up(type_, built, name):
    typed = type_(name, "--log-format", "json", "-s", "tag:part_two")

    lines = [json.loads(line) for line in typed.stdout.splitlines()]
    assert typed.stderr == ""
    assert {line["event"] for line in lines[:-1]} <= {"model", "check"}
    assert len({line["run"] for line in lines}) == 1
    times = [datetime.fromisoformat(line["time"]) for line in lines]
    assert times == sorted(times)
    assert {time.tzinfo for time in times} == {UTC}
    assert lines[-1]["event"] == "done"
    assert lines[-1]["TOTAL"] == len(lines) - 1
    assert lines[-1]["published"] is (None if name == "test" else True)


def test_in_json_an_error_is_an_object_too(type_):
    typed = type_("build", "--events", "none.parquet", "--log-format", "json")

    [line] = [json.loads(line) for line in typed.stdout.splitlines()]
    assert typed.exit_code == line["exit_status"] == 2
    assert (line["event"], line["message"]) == ("error", "none.parquet does not exist.")
    assert line["run"]


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (["build", "--log-format", "json", "--thread", "2"], {}, "--thread"),
        (["build", "--log-format=json", "--threads", "many"], {}, "'many'"),
        (["test", "extra"], {"PIPELINE_LOG_FORMAT": "json"}, "extra"),
        (["build", "--log-format", "json", "--project", "p"], {}, "--project is not for duckdb"),
    ],
)
def test_in_json_wrong_usage_is_an_object_too(type_, words, environment, message):
    typed = type_(*words, **environment)

    [line] = [json.loads(line) for line in typed.stdout.splitlines()]
    assert (line["event"], line["exit_status"]) == ("error", typed.exit_code) == ("error", 2)
    assert message in line["message"]
    assert {"time", "run"} <= line.keys()


def test_wrong_usage_is_text_where_no_json_was_asked_for(type_):
    assert type_("build", "--thread", "2").stdout == ""


def test_a_build_without_files_reads_what_the_last_one_read_also_tomorrows(type_):
    write_raw([command("c1")], [raw_user()])
    Path("events.parquet").rename("events-1.parquet")
    type_("run", "--events", "events-*.parquet", *COMMANDS)
    write_raw([command("c2")], [raw_user()])
    Path("events.parquet").rename("events-2.parquet")
    Path("elsewhere").mkdir()
    database = Path("build/pipeline.duckdb").absolute()
    os.chdir("elsewhere")

    assert type_("run", "--database", database, *COMMANDS).exit_code == 0

    assert count(database, "stg_commands") == 2


def test_events_alone_are_enough_once_the_users_are_recorded(type_):
    type_("run", *write_raw([command("c1")], [raw_user()]))

    typed = type_("run", "--events", "events.parquet")

    assert typed.exit_code == 0
    assert count(Path("build/pipeline.duckdb"), "dim_users") == 1


@pytest.mark.parametrize(
    ("given", "other", "option"),
    [("--events", "raw_users", "--users"), ("--users", "raw_sync_events", "--events")],
)
def test_one_source_alone_is_an_error_that_names_the_other(type_, given, other, option):
    write_raw([command("c1")], [raw_user()])

    typed = type_("build", given, f"{given[2:]}.parquet")

    assert typed.exit_code == 2
    assert f"No files of {other} were given" in typed.stderr
    assert f"Name them with {option} PATH" in typed.stderr
    assert not Path("build/pipeline.duckdb").exists()


def test_one_source_alone_is_enough_for_models_that_read_no_other(type_):
    write_raw([command("c1")], [raw_user()])

    typed = type_("build", "--events", "events.parquet", "-s", "+fct_command_statuses")

    assert typed.exit_code == 0
    assert "SKIP fct_command_statuses.every_user_is_known: needs dim_users (not selected)" in (
        typed.stdout
    )


def test_a_partial_build_leaves_the_other_models_as_they_are(type_, built):
    raw = write_raw([command("c1"), result("c1"), reading("r1")], [raw_user()])

    typed = type_("build", *raw, "-s", "+dim_users")

    assert typed.exit_code == 0
    assert count(built, "dim_users") == 1
    assert count(built, "fct_command_statuses") == 997


def test_a_missing_upstream_model_is_an_error_that_says_how_to_select_it(type_):
    typed = type_("build", "-s", "dim_users")

    assert typed.exit_code == 2
    assert "--select +dim_users" in typed.stderr
    assert not Path("build/pipeline.duckdb").exists()


def test_test_checks_what_is_built_and_skips_what_needs_more(type_):
    type_("run", *write_raw([command("c1")]), "-s", "+fct_command_statuses")

    typed = type_("test")

    assert typed.exit_code == 0
    assert "SKIP fct_command_statuses.every_user_is_known: needs dim_users (not built)" in (
        typed.stdout
    )
    assert "every_command_has_a_status" in typed.stdout


def test_test_of_a_model_that_is_not_built_is_an_error(type_):
    type_("run", *write_raw([command("c1")]), "-s", "+stg_commands")

    typed = type_("test", "-s", "dim_users")

    assert typed.exit_code == 2
    assert "--select +dim_users" in typed.stderr


def test_test_changes_no_byte_of_the_database(type_, built):
    before = built.read_bytes()

    assert type_("test").exit_code == 0

    assert built.read_bytes() == before
    # the results, for the docs, until the next build
    assert beside(built) == ["pipeline.duckdb", "pipeline.duckdb.tested.json"]


def test_quarantined_rows_stop_nothing(type_):
    raw = write_raw([raw_event("Command", "{broken"), command("c1")])

    assert type_("build", *raw, "-s", "staging").exit_code == 0
    assert count(Path("build/pipeline.duckdb"), "quarantined_events") == 1


def test_sources_without_rows_build_and_pass(type_):
    typed = type_("build", *write_raw([]))

    assert typed.exit_code == 0
    [row] = rows(type_("show", "met_command_outcomes", "--format", "json"))
    assert (row["command"], row["number_of_commands"], row["confirmation_rate"]) == (
        "(all)",
        0,
        None,
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--results", "/sys/results.json"),
        ("--store-failures", "/sys/failures"),
        ("--database", "/sys/x.duckdb"),
        ("--database", "a_file/x.duckdb"),
    ],
)
def test_a_place_that_cant_be_written_is_an_error_that_names_it(type_, option, value):
    Path("a_file").touch()

    typed = type_("build", *write_raw([AJAR]), *COMMANDS, option, value)

    assert typed.exit_code == 2
    assert re.search(rf"Error: .*{value}.* can't be written: ", typed.stderr)


def test_an_expected_failure_shows_a_traceback_only_with_debug(type_):
    quiet = type_("build", "--events", "none.parquet")
    for words in (["--debug", "build"], ["build", "--debug"]):
        loud = type_(*words, "--events", "none.parquet")
        assert loud.exit_code == quiet.exit_code == 2
        assert "Traceback" in loud.stderr
        assert loud.stderr.endswith(quiet.stderr)
    assert "Traceback" not in quiet.output
