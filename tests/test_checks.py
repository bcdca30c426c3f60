"""Each check of the contract's section 6: rows that break it, and rows that do not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import ibis
import pyarrow as pa
import pytest
from conftest import NOON, after, arrow, raw_event, raw_user, reading, result

from pipeline import catalog, checks
from pipeline.checks import check, declared_checks
from pipeline.counting import RowCounts
from pipeline.masking import Masking

GRAPH = catalog.load()
PLAIN = {
    "string": "x",
    "boolean": False,
    "int64": 0,
    "float64": 0.0,
    "date": dt.date(2022, 1, 1),
    "timestamp('UTC', 6)": NOON,
}


def plain(model, **columns):
    """A row of a model: a value in each column that is never NULL, NULL in the others."""
    row = {
        column.name: PLAIN.get(column.type, [])
        for column in GRAPH.models[model].columns
        if not column.nullable
    }
    return row | columns


@dataclass
class InDuckDB:
    """The models' tables, as checks read them."""

    con: ibis.BaseBackend
    at_once: int = 1

    def table(self, name):
        return self.con.table(name)

    def fetch(self, expr, *, model):
        return self.con.to_pyarrow(expr)

    def last_run(self):
        return None


@pytest.fixture
def checked(duckdb):
    """A function that checks a model on tables with these rows."""

    def run(model, tables, known=None, **options):
        for name, rows in tables.items():
            schema = GRAPH.models[name].schema.to_pyarrow()
            types = {field.name: field.type for field in schema}
            duckdb.create_table(name, arrow(rows, types))
        results = check(
            GRAPH,
            model,
            InDuckDB(duckdb),
            masking=Masking(GRAPH),
            absent={name: "not built" for name in GRAPH.models if name not in tables},
            rows=RowCounts(known or {}, InDuckDB(duckdb)),
            **options,
        )
        found = {found.name: (found, failing) for found, failing in results}
        run.failing = {name: failing for name, (_, failing) in found.items()}
        return {name: result for name, (result, _) in found.items()}

    return run


def owner(check_name):
    """The model that a check over several models belongs to."""
    return next(
        model
        for model, checks in GRAPH.table_checks.items()
        if check_name in {check.name for check in checks}
    )


def statuses(results):
    return {name: found.status for name, found in results.items()}


# --- All of them, on sound data -------------------------------------------------------------------


def test_every_check_passes_on_sound_data(built, duckdb):
    models = built(
        raw_event("Command", {"uuid": "c", "user": 7, "desired_state": ["LockedState", "locked"]}),
        raw_event("CommandActive", {"uuid": "c"}),
        result("c"),
        reading("r"),
        reading("r"),
        raw_event("Command", None),
        *(reading(f"r{number}") for number in range(4)),
        users=[
            *(raw_user(number, username=f"user {number}") for number in range(1, 10)),
            raw_user(None),
        ],
    )
    for name in GRAPH.models:
        models.table(name)

    found = {
        (name, result.name): result.status
        for name in GRAPH.models
        for result, _failing in check(
            GRAPH,
            name,
            InDuckDB(duckdb),
            masking=Masking(GRAPH),
            absent={},
            rows=RowCounts({"raw_sync_events": 10, "raw_users": 10}, InDuckDB(duckdb)),
        )
    }

    assert {broken: status for broken, status in found.items() if status != "PASS"} == {}
    assert list(found) == [
        (name, check_name)
        for name in GRAPH.models
        for check_name, *_ in declared_checks(GRAPH, name)
    ]


# --- Columns, keys, NULL --------------------------------------------------------------------------


def test_a_column_of_another_type_breaks_the_contract_and_leaves_nothing_else_to_ask(
    checked, duckdb
):
    wrong = pa.table({"user_id": pa.array([7]), "username": pa.array(["ann"])})
    duckdb.create_table("dim_users", wrong)

    results = checked("dim_users", {})

    assert results["columns"].status == "FAIL"
    assert results["columns"].failures == 3
    assert "user_id is int64, declared string" in results["columns"].message
    assert "last_modified is missing" in results["columns"].message
    assert {found.status for name, found in results.items() if name != "columns"} == {"SKIP"}


KEYS = {
    "stg_commands": ["command_uuid"],
    "stg_command_actives": ["command_uuid"],
    "stg_command_results": ["command_uuid"],
    "stg_readings": ["device_id", "reading_type", "reading_uuid"],
    "stg_users": ["user_id"],
    "audit_dispositions": ["source", "item_key", "disposition"],
    "fct_command_statuses": ["command_uuid"],
    "dim_users": ["user_id"],
    "met_daily_command_count_by_username": ["username", "timestamp_date"],
    "fct_command_readings": ["command_uuid"],
    "met_command_outcomes": ["command"],
}


@pytest.mark.parametrize("model", KEYS)
def test_a_key_is_unique(checked, model):
    rows = [plain(model), plain(model)]

    found = checked(model, {model: rows})["unique_key"]

    assert GRAPH.models[model].key == tuple(KEYS[model])
    assert (found.status, found.severity, found.failures) == ("FAIL", "error", 1)
    assert checked.failing["unique_key"].count().to_pyarrow().as_py() == 1
    assert found.sample.to_pylist() == [
        {name: rows[0].get(name) for name in KEYS[model]} | {"copies": 2}
    ]


@pytest.mark.parametrize(
    ("model", "part"), [(model, part) for model, key in KEYS.items() for part in key]
)
def test_keys_that_differ_in_one_part_are_two(checked, model, part):
    other = after(1) if part == "timestamp_date" else "y"

    found = checked(model, {model: [plain(model), plain(model, **{part: other})]})["unique_key"]

    assert found.status == "PASS"


NEVER_NULL = {
    **KEYS,
    "stg_sync_events": ["disposition"],
    "stg_commands": [
        *("command_uuid", "update_timestamp", "device_id", "_raw_command_desired_state")
    ],
    "stg_command_actives": ["command_uuid", "update_timestamp"],
    "stg_command_results": ["command_uuid", "update_timestamp", "is_hub_success"],
    "stg_users": ["user_id", "username", "date_registered", "last_modified"],
    "audit_dispositions": ["source", "disposition", "number_of_rows"],
    "dim_users": ["user_id", "username", "date_registered", "last_modified"],
    "fct_command_statuses": ["command_uuid", "is_hub_success"],
    "met_daily_command_count_by_username": [
        *("username", "timestamp_date", "number_of_commands", "number_of_successful_commands")
    ],
    "fct_command_readings": ["command_uuid", "is_hub_success", "readings"],
}


@pytest.mark.parametrize("model", NEVER_NULL)
def test_what_is_never_null_is_checked(checked, model):
    columns = NEVER_NULL[model]

    results = checked(model, {model: [plain(model, **{column: None}) for column in columns]})

    for column in columns:
        found = results[f"not_null_{column}"]
        assert (found.status, found.severity, found.failures) == ("FAIL", "error", 1)


def test_the_item_key_of_the_audit_may_be_null(checked):
    rows = [
        plain(
            "audit_dispositions",
            item_key=None,
            source=source,
            disposition="staged",
            number_of_rows=1,
        )
        for source in "ab"
    ]

    found = statuses(checked("audit_dispositions", {"audit_dispositions": rows}))

    assert found.pop("every_raw_row_is_accounted_for") == "SKIP"
    assert found.pop("every_staged_row_is_in_its_model") == "SKIP"
    assert set(found.values()) == {"PASS"}


@pytest.mark.parametrize("field", ["is_expected_type", "matches_desired_state", "is_attributed"])
def test_a_reading_without_a_verdict_is_found(checked, field):
    sound = {"is_expected_type": False, "matches_desired_state": False, "is_attributed": False}
    rows = [
        plain("fct_command_readings", command_uuid="a", readings=[sound]),
        plain("fct_command_readings", command_uuid="b", readings=[sound, sound | {field: None}]),
        plain("fct_command_readings", command_uuid="c", readings=[]),
    ]

    found = checked("fct_command_readings", {"fct_command_readings": rows})["not_null_in_readings"]

    assert (found.status, found.severity, found.failures) == ("FAIL", "error", 1)
    assert found.sample["command_uuid"].to_pylist() == ["b"]


# --- Clients' values ------------------------------------------------------------------------------

MODES = ("off", "cool", "heat", "auto", "settocool", "settoheat", "operatingstate")
SET_POINTS = (
    ["68", "72.5", "100", "999.999", "10"],
    ["7", "72.", "7.0.0", "-5", "1234567", "72,5", "68 ", "warm", "6.8e1", ".5", "", None],
)
CLIENT_VALUES = {
    "accepted_values_lock_state": (
        "LockedState",
        ["locked", "unlocked"],
        ["jammed", "Locked", "true", "", None],
    ),
    "accepted_values_switch_state": ("SwitchState", ["on", "off"], ["On", "true", "", None]),
    "accepted_values_thermostat_mode": ("ThermostatMode", MODES, ["eco", "Cool", "", None]),
    "matches_thermostat_cool_set_point": ("ThermostatCoolSetPoint", *SET_POINTS),
    "matches_thermostat_heat_set_point": ("ThermostatHeatSetPoint", *SET_POINTS),
    "matches_slot": (
        "PinAssignment",
        ["1", "250", "None"],
        ["1000", "-1", "none", "1.0", "1\n", "", None],
    ),
    "matches_pin": (
        "PinAssignment",
        ["123", "012345", "None", None],
        ["12", "1234567", "12a4", "none", " 1234", ""],
    ),
}


@pytest.mark.parametrize("name", CLIENT_VALUES)
def test_what_clients_send_is_warned_about(checked, name):
    command, good, bad = CLIENT_VALUES[name]
    column = name.removeprefix("accepted_values_").removeprefix("matches_")
    values = [*good, *bad]
    rows = [
        plain("stg_commands", command_uuid=str(i), command=command, **{column: value})
        for i, value in enumerate(values)
    ]
    # a column that another kind of command leaves empty is no fault
    rows.append(plain("stg_commands", command_uuid="other", command="Other"))

    found = checked("stg_commands", {"stg_commands": rows})[name]

    assert (found.status, found.severity, found.failures) == ("WARN", "warn", len(bad))
    broken = checked.failing[name].command_uuid.to_pyarrow().to_pylist()
    assert sorted((values[int(uuid)] for uuid in broken), key=str) == sorted(bad, key=str)


def test_a_warning_can_be_made_an_error(checked):
    rows = [plain("stg_commands", command="LockedState", lock_state="jammed")]

    found = checked("stg_commands", {"stg_commands": rows}, warn_error=True)

    assert found["accepted_values_lock_state"].status == "FAIL"


# --- Reconciliations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw_rows", "status"),
    [
        ({"raw_sync_events": 5, "raw_users": 1}, "PASS"),
        ({"raw_sync_events": 6, "raw_users": 1}, "FAIL"),
        ({"raw_sync_events": 5, "raw_users": 0}, "FAIL"),
        # extra rows in one source do not make up for missing rows in the other
        ({"raw_sync_events": 4, "raw_users": 2}, "FAIL"),
    ],
    ids=str,
)
def test_the_dispositions_of_a_source_add_up_to_its_raw_rows(checked, raw_rows, status):
    audit = [
        plain("audit_dispositions", source=source, disposition=disposition, number_of_rows=rows)
        for source, disposition, rows in (
            ("raw_sync_events", "staged", 3),
            ("raw_sync_events", "removed", 2),
            ("raw_users", "staged", 1),
        )
    ]

    found = checked("audit_dispositions", {"audit_dispositions": audit}, raw_rows)

    assert found["every_raw_row_is_accounted_for"].status == status
    assert found["every_raw_row_is_accounted_for"].severity == "error"


def test_a_source_that_the_audit_does_not_know_is_found(checked):
    raw_rows = {"raw_sync_events": 0, "raw_users": 1}
    found = checked("audit_dispositions", {"audit_dispositions": []}, raw_rows)

    assert found["every_raw_row_is_accounted_for"].sample.to_pylist() == [
        {"source": "raw_users", "number_of_rows": 1, "found": 0}
    ]


STAGED_ROWS = {
    "stg_commands": 1,
    "stg_command_actives": 2,
    "stg_command_results": 3,
    "stg_readings": 9,
    "stg_users": 6,
}


@pytest.mark.parametrize("wrong", [None, *STAGED_ROWS])
def test_what_is_staged_is_in_the_staging_models(checked, wrong):
    audit = [
        plain(
            "audit_dispositions",
            source=source,
            item_key=item_key,
            disposition=disposition,
            number_of_rows=rows,
        )
        for source, item_key, disposition, rows in (
            ("raw_sync_events", "Command", "staged", 1),
            ("raw_sync_events", "Command", "duplicate", 7),
            ("raw_sync_events", "CommandActive", "staged", 2),
            ("raw_sync_events", "CommandResult", "staged", 3),
            ("raw_sync_events", "Switch", "staged", 4),
            ("raw_sync_events", "DoorLocked", "staged", 5),
            ("raw_users", None, "staged", 6),
        )
    ]
    tables = {"audit_dispositions": audit} | {name: [] for name in STAGED_ROWS}
    known = {name: rows + (name == wrong) for name, rows in STAGED_ROWS.items()}

    found = checked("audit_dispositions", tables, known)["every_staged_row_is_in_its_model"]

    assert found.status == ("FAIL" if wrong else "PASS")
    assert (found.sample.to_pylist() if found.sample else []) == [
        {"model": name, "number_of_rows": known[name], "found": STAGED_ROWS[name]}
        for name in STAGED_ROWS
        if name == wrong
    ]


def test_a_staged_kind_without_a_model_fails_by_its_own_name(checked):
    doorbell = plain(
        "audit_dispositions", item_key="Doorbell", disposition="staged", number_of_rows=2
    )
    tables = {"audit_dispositions": [doorbell]} | {name: [] for name in STAGED_ROWS}

    found = checked("audit_dispositions", tables, dict.fromkeys(STAGED_ROWS, 0))[
        "every_staged_row_is_in_its_model"
    ]

    assert found.sample.to_pylist() == [{"model": "Doorbell", "number_of_rows": 0, "found": 2}]


@pytest.mark.parametrize(
    ("counts", "warned"),
    [
        pytest.param({"staged": 90, "malformed_json": 10}, [], id="a tenth"),
        pytest.param({"staged": 89, "malformed_json": 11}, [(100, 11)], id="more than a tenth"),
        pytest.param(
            {"staged": 80, "missing_state": 6, "missing_user_id": 5}, [(91, 11)], id="sum"
        ),
        pytest.param({"staged": 50, "duplicate": 40, "missing_state": 10}, [], id="with copies"),
        pytest.param({"staged": 9, "missing_state": 2, "removed": 90}, [(11, 2)], id="in scope"),
        pytest.param({"out_of_scope": 3}, [], id="nothing in scope"),
    ],
)
def test_a_source_with_many_quarantined_rows_is_warned_about(checked, counts, warned):
    found = checked("audit_dispositions", {"audit_dispositions": audited(**counts)})[
        "few_rows_are_quarantined"
    ]

    assert (found.status, found.severity) == ("WARN" if warned else "PASS", "warn")
    rows = found.sample.to_pylist() if found.sample else []
    assert [(row["rows_in_scope"], row["quarantined_rows"]) for row in rows] == warned


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"staged": 1, "removed": 9}, "PASS"),
        ({"removed": 2, "out_of_scope": 1}, "WARN"),
        ({"malformed_json": 3}, "WARN"),
        ({}, "PASS"),
    ],
    ids=str,
)
def test_a_source_without_a_staged_row_is_warned_about(checked, counts, status):
    user = {"source": "raw_users", "item_key": None, "disposition": "staged"}
    rows = [*audited(**counts), plain("audit_dispositions", **user, number_of_rows=1)]

    found = checked("audit_dispositions", {"audit_dispositions": rows})[
        "every_source_has_a_staged_row"
    ]

    assert (found.status, found.severity) == (status, "warn")
    sources = [row["source"] for row in found.sample.to_pylist()] if found.sample else []
    assert sources == ["raw_sync_events"] * (status == "WARN")


def audited(**counts):
    return [
        plain(
            "audit_dispositions",
            source="raw_sync_events",
            disposition=disposition,
            number_of_rows=rows,
        )
        for disposition, rows in counts.items()
    ]


def test_rows_that_nobody_knows_are_counted(checked):
    tables = {
        "stg_commands": [plain("stg_commands", command_uuid="c")],
        "fct_command_statuses": [],
    }

    found = checked("fct_command_statuses", tables)["every_command_has_a_status"]

    assert found.sample.to_pylist() == [{"expected_rows": 1, "found_rows": 0}]


@pytest.mark.parametrize(
    ("model", "other", "name"),
    [
        ("fct_command_statuses", "stg_commands", "every_command_has_a_status"),
        ("fct_command_readings", "fct_command_statuses", "every_status_has_its_readings"),
    ],
)
@pytest.mark.parametrize(("rows", "status"), [(2, "PASS"), (1, "FAIL"), (3, "FAIL")])
def test_there_are_as_many_commands_in_each_model(checked, model, other, name, rows, status):
    tables = {
        other: [plain(other, command_uuid=str(i)) for i in range(2)],
        model: [plain(model, command_uuid=str(i)) for i in range(rows)],
    }

    found = checked(model, tables)[name]

    assert (found.status, found.severity) == (status, "error")


@pytest.mark.parametrize(("counted", "status"), [(2, "PASS"), (1, "FAIL"), (3, "FAIL")])
def test_the_daily_counts_add_up_to_the_commands(checked, counted, status):
    daily = "met_daily_command_count_by_username"
    tables = {
        "fct_command_statuses": [plain("fct_command_statuses", command_uuid=uuid) for uuid in "ab"],
        daily: [plain(daily, number_of_commands=counted), plain(daily, username="y")],
    }

    found = checked(daily, tables)["every_command_is_counted"]

    assert (found.status, found.severity) == (status, "error")


def test_without_commands_and_days_the_counts_add_up(checked):
    daily = "met_daily_command_count_by_username"

    results = checked(daily, {"fct_command_statuses": [], daily: []})

    assert set(statuses(results).values()) == {"PASS"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "FAIL"),
        ({"is_attributed": False}, "PASS"),
        ({"reading_uuid": "s"}, "PASS"),
        ({"reading_type": "Switch"}, "PASS"),
    ],
    ids=["attributed twice", "in two windows", "another uuid", "another type"],
)
def test_a_reading_is_attributed_at_most_once(checked, change, status):
    first = {"reading_uuid": "r", "reading_type": "DoorLocked", "is_attributed": True}
    rows = [
        plain(
            "fct_command_readings",
            command_uuid=str(i),
            readings=[each],
            attributed_reading_count=int(each["is_attributed"]),
        )
        for i, each in enumerate([first, first | change])
    ]

    found = checked("fct_command_readings", {"fct_command_readings": rows})

    assert found["each_reading_is_attributed_at_most_once"].status == status
    assert found["each_reading_is_attributed_at_most_once"].severity == "error"


def test_a_uuid_of_two_devices_is_two_readings(checked):
    each = {"reading_uuid": "r", "reading_type": "DoorLocked", "is_attributed": True}
    rows = [
        plain(
            "fct_command_readings",
            command_uuid=device,
            device_id=device,
            readings=[each],
            attributed_reading_count=1,
        )
        for device in "ab"
    ]

    found = checked("fct_command_readings", {"fct_command_readings": rows})

    assert found["each_reading_is_attributed_at_most_once"].status == "PASS"


SUMMED = [
    column.name
    for column in GRAPH.models["met_command_outcomes"].columns
    if column.name.startswith("number_")
]


def outcomes(**of_all):
    each = dict.fromkeys(SUMMED, 2)
    return [
        plain("met_command_outcomes", command="LockedState", **each),
        plain("met_command_outcomes", command="Reboot", **each),
        plain("met_command_outcomes", command="(all)", **dict.fromkeys(SUMMED, 4) | of_all),
    ]


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        pytest.param(outcomes(), "PASS", id="the sum"),
        *(pytest.param(outcomes(**{name: 5}), "FAIL", id=name) for name in SUMMED),
        pytest.param(outcomes()[:2], "FAIL", id="no row of all"),
        pytest.param([], "FAIL", id="no row at all"),
        pytest.param([plain("met_command_outcomes", command="(all)")], "PASS", id="no commands"),
    ],
)
def test_the_row_of_all_commands_is_the_sum_of_the_others(checked, rows, status):
    found = checked("met_command_outcomes", {"met_command_outcomes": rows})

    assert found["all_commands_are_the_sum"].status == status
    assert found["all_commands_are_the_sum"].severity == "error"


# --- Warnings -------------------------------------------------------------------------------------


def test_a_username_of_two_users_is_warned_about(checked):
    rows = [
        plain("stg_users", user_id=user_id, username=username)
        for user_id, username in (("1", "ann"), ("2", "ann"), ("3", "Ann"))
    ]

    found = checked("stg_users", {"stg_users": rows})["username_is_unique"]

    assert (found.status, found.severity, found.failures) == ("WARN", "warn", 1)
    assert found.sample.to_pylist() == [{"username": "ann", "number_of_users": 2}]


@pytest.mark.parametrize(("days", "status"), [(3660, "PASS"), (3661, "WARN")])
def test_command_days_that_span_ten_years_are_warned_about(checked, days, status):
    daily = "met_daily_command_count_by_username"
    last = NOON + dt.timedelta(days=days - 1)
    rows = [plain(daily), plain(daily, timestamp_date=last)]

    found = checked(daily, {daily: rows})["command_days_are_plausible"]

    assert (found.status, found.severity) == (status, "warn")


def test_a_user_of_a_command_who_is_not_in_dim_users_is_warned_about(checked):
    commands = [
        plain("fct_command_statuses", command_uuid=uuid, user_id=user_id)
        for uuid, user_id in (("known", "7"), ("nobody", None), ("stranger", "07"))
    ]
    tables = {"fct_command_statuses": commands, "dim_users": [plain("dim_users", user_id="7")]}

    found = checked(owner("every_user_is_known"), tables)["every_user_is_known"]

    assert (found.status, found.severity, found.failures) == ("WARN", "warn", 1)
    assert found.sample["command_uuid"].to_pylist() == ["stranger"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("stg_command_actives", "every_active_has_its_command"),
        ("stg_command_results", "every_result_has_its_command"),
    ],
)
def test_a_pick_up_or_an_answer_without_its_command_is_warned_about(checked, model, name):
    tables = {
        "fct_command_statuses": [plain("fct_command_statuses", command_uuid="c")],
        model: [plain(model, command_uuid="c"), plain(model, command_uuid="C")],
    }

    found = checked("fct_command_statuses", tables)[name]

    assert (found.status, found.severity, found.failures) == ("WARN", "warn", 1)
    assert found.sample["command_uuid"].to_pylist() == ["C"]


# --- The statements of checks ---------------------------------------------------------------------


def test_a_check_of_a_model_that_is_not_there_is_skipped_and_says_so(checked):
    found = checked("fct_command_statuses", {"fct_command_statuses": []})

    assert found["every_command_has_a_status"].status == "SKIP"
    assert "stg_commands" in found["every_command_has_a_status"].message


def test_without_a_record_of_the_raw_rows_nothing_is_compared_with_them(checked):
    found = checked("audit_dispositions", {"audit_dispositions": []})

    assert found["every_raw_row_is_accounted_for"].status == "SKIP"
    assert found["every_raw_row_is_accounted_for"].message == (
        "needs raw_sync_events (not recorded), raw_users (not recorded)"
    )


def test_two_keys_of_one_hash_are_still_two(checked, monkeypatch):
    monkeypatch.setattr("pipeline.counting.key_hash", lambda *key: key[0].length())
    rows = [plain("dim_users", user_id=user_id) for user_id in "ab"]

    assert checked("dim_users", {"dim_users": rows})["unique_key"].status == "PASS"


def test_five_failing_rows_are_shown_and_all_can_be_had(checked):
    rows = [plain("dim_users", user_id=str(i), username=None) for i in range(7)]

    found = checked("dim_users", {"dim_users": rows})["not_null_username"]

    assert found.failures == 7
    assert found.sample.num_rows == 5
    assert found.sample.column_names == ["user_id", "username"]
    assert checked.failing["not_null_username"].count().to_pyarrow().as_py() == 7


def test_of_rows_beyond_those_fetched_all_are_counted_and_five_shown(checked, monkeypatch):
    monkeypatch.setattr(checks, "FETCHED_ROWS", 6)
    actives = [plain("stg_command_actives", command_uuid=f"c{i}") for i in range(8)]
    tables = {"stg_command_actives": actives, "fct_command_statuses": []}

    found = checked("fct_command_statuses", tables)["every_active_has_its_command"]

    assert found.failures == 8
    assert found.sample.num_rows == 5
