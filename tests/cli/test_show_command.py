from __future__ import annotations

import csv
import io

import pytest
from command_line import built, rows, run_into, type_, write_raw
from conftest import command, raw_user, reading, result

__all__ = ["built", "type_"]

PIN = command("p1", "PinAssignment", 3, "4711")


@pytest.fixture(scope="module")
def three_commands(tmp_path_factory):
    """A database with three commands, two of them with a PIN, and one more in quarantine."""
    folder = tmp_path_factory.mktemp("three")
    users = [raw_user(7, username="ann, the 1st"), raw_user(8, username=None)]
    events = [
        command("c1", MapUniqueName="d1"),
        result("c1", MapUniqueName="d1"),
        reading("r1", MapUniqueName="d1"),
        PIN,
        command("p2", "PinAssignment", 4, "0815"),
        command("p3", "PinAssignment", 5, "4711", MapUniqueName=None),
    ]
    return run_into(folder / "three.duckdb", *write_raw(events, users, folder))


@pytest.fixture
def show(type_, three_commands):
    """Show a model of the three commands."""
    return lambda *words: type_("show", *words, "--database", three_commands)


def ids(shown) -> list[str]:
    return [row["command_uuid"] for row in rows(shown)]


def test_the_first_rows_by_key_are_shown_as_many_as_asked_for(show):
    assert ids(show("stg_commands", "--format", "json")) == ["c1", "p1", "p2"]
    assert ids(show("stg_commands", "--format", "json", "--limit", "2")) == ["c1", "p1"]
    assert ids(show("stg_commands", "--format", "json", "--limit", "0")) == []


def test_columns_come_in_the_order_asked_for_each_once(show):
    shown = show("stg_commands", "--columns", "slot, command_uuid,slot", "--format", "csv")

    assert shown.stdout == "slot,command_uuid\n,c1\n3,p1\n4,p2\n"


def test_csv_quotes_what_it_must_and_writes_nested_values_as_json(show):
    users = show("dim_users", "--columns", "username,date_registered", "--format", "csv")
    readings = show("fct_command_readings", "--columns", "readings", "--format", "csv")

    assert users.stdout.splitlines()[1] == '"ann, the 1st",2022-01-01T12:00:00+00:00'
    first = list(csv.reader(io.StringIO(readings.stdout)))[1]
    assert first[0].startswith('[{"reading_uuid": "r1", "reading_type": "DoorLocked"')


def test_json_keeps_types_and_nesting(show):
    [first, *_] = rows(show("fct_command_readings", "--format", "json"))

    assert first["is_hub_success"] is True
    assert first["pin"] is None
    assert first["command_date"] == "2022-01-01"
    assert first["readings"][0]["seconds_after_command"] == 2.0


def test_a_table_shows_null_and_every_column(show):
    shown = show("dim_users")

    assert shown.stdout.split()[:4] == ["user_id", "username", "date_registered", "last_modified"]
    assert "ann, the 1st" in shown.stdout
    assert "NULL" in show("stg_commands", "--columns", "pin").stdout


SENSITIVE = [
    ("stg_commands", "pin"),
    ("stg_commands", "_raw_command_desired_state"),
    ("fct_command_statuses", "pin"),
    ("fct_command_readings", "_raw_command_desired_state"),
    ("quarantined_events", "item_data"),
    ("stg_sync_events", "desired_state_2"),
]


@pytest.mark.parametrize("row_format", ["table", "csv", "json"])
@pytest.mark.parametrize(("model", "column"), SENSITIVE)
def test_no_pin_is_shown_unless_revealed(show, model, column, row_format):
    words = [model, "--columns", column, "--format", row_format]

    assert "4711" not in show(*words).stdout
    assert "***" in show(*words).stdout
    assert "4711" in show(*words, "--reveal").stdout


def test_no_model_shows_a_pin_in_any_column(show):
    for model in (
        "stg_sync_events",
        "stg_commands",
        "fct_command_statuses",
        "fct_command_readings",
    ):
        shown = show(model, "--format", "csv", "--limit", "100")
        assert "***" in shown.stdout
        assert "4711" not in shown.stdout


def test_reveal_is_never_taken_from_the_environment(type_, three_commands):
    words = ["show", "stg_commands", "--columns", "pin", "--database", three_commands]

    shown = type_(*words, PIPELINE_REVEAL="1", REVEAL="1")

    assert "***" in shown.stdout
    assert "4711" not in shown.stdout


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("command = 'PinAssignment'", ["p1", "p2"]),
        ("slot = '3' OR command_uuid LIKE 'c%'", ["c1", "p1"]),
        ("\"command_uuid\" IN ('p2')", ["p2"]),
        (
            "update_timestamp >= TIMESTAMPTZ '2022-01-01 12:00:00+00' AND NOT slot IS NULL",
            ["p1", "p2"],
        ),
        ("len(slot) = 1 -- a comment", ["p1", "p2"]),
        ("false", []),
    ],
)
def test_where_keeps_the_rows_for_which_it_holds(show, condition, expected):
    assert ids(show("stg_commands", "--where", condition, "--format", "json")) == expected


def test_a_condition_may_look_into_arrays(show):
    condition = "readings[1].reading_uuid = 'r1'"

    assert ids(show("fct_command_readings", "--where", condition, "--format", "json")) == ["c1"]


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "1",
        "'a'",
        "slot",
        "*",
        "slot = ",
        "true; DROP TABLE stg_sync_events",
        "true) OR (true",
        "true LIMIT 1",
        "true AS x",
        "true, true",
        "EXISTS (SELECT 1)",
        "slot IN (SELECT '3')",
        "slot IN (FROM dim_users SELECT user_id)",
        "count(*) > 0",
        "row_number() OVER () = 1",
        "COLUMNS(*) IS NULL",
        "COLUMNS('p.n') = '4711'",
        "COLUMNS(c -> c = 'pin') = '4711'",
        "rows IS NULL",
        "stg_commands IS NULL",
        "hash(*COLUMNS(*)) > 0",
        "read_text('/etc/passwd') IS NULL",
        "read_csv('/etc/passwd') IS NULL",
        "getenv('HOME') = '/root'",
        "slot = ?",
        "slot = $1",
        "CAST(command AS INTEGER) = 1",
        "error('stop')",
        "sleep_ms(1) IS NULL",
        "current_setting('threads') = '1'",
        "getvariable('x') IS NULL",
        "nextval('s') = 1",
        "setseed(0.5) IS NULL",
        "write_log('x') IS NULL",
        "TRY(write_log('x')) IS NULL",
        "len(list_transform([1], x -> sleep_ms(1))) = 1",
        "main.lower(slot) = 'a'",
        "system.main.sleep_ms(1) IS NULL",
        "'HOME'.getenv() = '/root'",
        "query('SELECT 1') IS NULL",
        "json_execute_serialized_sql('x') IS NULL",
        "current_user = 'me'",
        "slot IN dim_users",
        "slot IN (VALUES ('3'))",
        "EXISTS (FROM dim_users)",
        "true UNION SELECT true",
        "COPY dim_users TO 'x.csv'",
        "ATTACH 'x.duckdb'",
        "SET threads = 1",
        "'1.2.3.4'::INET IS NOT NULL",
    ],
)
def test_what_is_no_boolean_expression_over_the_columns_is_refused(show, condition):
    shown = show("stg_commands", "--where", condition, "--reveal")

    assert shown.exit_code == 2, shown.output
    assert shown.stdout == ""
    assert len(shown.stderr.splitlines()) >= 2


def test_a_function_that_is_not_allowed_is_told_with_near_ones(show):
    shown = show("stg_commands", "--where", "lowr(slot) = 'a'")

    assert "lowr is not a function that a condition may call. Did you mean lower" in shown.stderr


@pytest.mark.parametrize(
    "condition",
    [
        "lower(slot) = '3' AND upper(slot) = '3' OR NOT length(slot) = 1",
        "regexp_matches(slot, '[0-9]') AND slot ~ '3' AND slot ILIKE '3'",
        "date_trunc('day', update_timestamp) < now() AND year(update_timestamp) > 2000",
        "update_timestamp + INTERVAL 1 DAY > TIMESTAMPTZ '2022-01-01 00:00:00+00'",
        "epoch_us(update_timestamp) > 0 AND extract(hour FROM update_timestamp) < 24",
        "CASE WHEN slot = '3' THEN true ELSE coalesce(slot, '') <> '3' END",
        "TRY_CAST(slot AS INTEGER) BETWEEN 3 AND 4 AND if(slot = '3', true, true)",
        "list_contains(['3'], slot) AND len(list_filter(['3'], x -> x = '3')) = 1",
        "split_part(slot, '.', 1) = '3' AND substr(slot, 1, 1) = '3' AND slot[1] = '3'",
    ],
)
def test_common_functions_of_a_row_may_be_called(show, condition):
    shown = show("stg_commands", "--where", condition, "--format", "json")

    assert "p1" in ids(shown)


@pytest.mark.parametrize(
    "condition",
    [
        "pin = '4711'",
        "\"pin\" = '4711'",
        "rows.pin = '4711'",
        "stg_commands.pin = '4711'",
        "length(pin) = 4 OR true",
        "len(list_filter([1], lambda x: pin = '4711')) = 1",
        "_raw_command_desired_state LIKE '%4711%'",
    ],
)
def test_a_condition_on_a_sensitive_column_needs_reveal(show, condition):
    shown = show("stg_commands", "--where", condition)

    assert shown.exit_code == 2
    assert "is sensitive" in shown.stderr
    assert "--reveal" in shown.stderr


def test_no_way_around_the_names_tells_a_pin(show):
    # the parser takes `rows` for the lambda's parameter, the engine for the table
    condition = "len(list_filter([1], rows -> rows.pin = '4711')) = 1"

    assert ids(show("stg_commands", "--where", condition, "--format", "json")) == []


def test_a_condition_on_a_sensitive_column_holds_with_reveal(show):
    words = ["--where", "pin = '4711'", "--columns", "command_uuid,pin", "--format", "json"]

    [row] = rows(show("stg_commands", *words, "--reveal"))

    assert row == {"command_uuid": "p1", "pin": "4711"}


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["stg_comands"], "Did you mean stg_commands"),
        (["stg_commands", "--columns", "pni"], "Did you mean pin"),
        (["stg_commands", "--columns", "PIN"], "Did you mean pin"),
        (["stg_commands", "--columns", ","], "has no column ''"),
        (["stg_commands", "--where", "slto = '1'"], "Did you mean slot"),
        (["stg_commands", "--limit", "-1"], "--limit"),
        (["stg_commands", "--format", "xml"], "table"),
    ],
)
def test_an_unknown_name_is_an_error_that_suggests_near_ones(show, words, suggestion):
    shown = show(*words)

    assert shown.exit_code == 2
    assert suggestion in shown.stderr


def test_a_model_that_is_not_built_is_an_error_that_says_how_to_build_it(type_):
    before = type_("show", "dim_users")
    type_("run", *write_raw([PIN]), "-s", "+stg_commands")
    after = type_("show", "dim_users")

    assert before.exit_code == after.exit_code == 2
    assert "There is no database build/pipeline.duckdb yet" in before.stderr
    assert "+dim_users" in after.stderr


@pytest.mark.parametrize("model", ["stg_user_versions", "stg_users", "met_command_outcomes"])
def test_a_preview_shows_the_same_and_writes_nothing(type_, built, model):
    words = ["show", model, "--format", "json", "--limit", "2000"]
    before = built.read_bytes()

    previewed = rows(type_(*words, "--preview"))

    assert sorted(previewed, key=repr) == sorted(rows(type_(*words)), key=repr)
    assert built.read_bytes() == before
    assert [path.name for path in built.parent.iterdir()] == ["pipeline.duckdb"]


def test_a_preview_masks_too(show):
    shown = show("stg_commands", "--preview", "--columns", "command_uuid,pin", "--format", "csv")

    assert shown.stdout == "command_uuid,pin\nc1,\np1,***\np2,***\n"
