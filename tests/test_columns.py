"""The columns of every model in the contract's words and order, with their types."""

from __future__ import annotations

import pytest

from pipeline import catalog
from pipeline.contract import TIMESTAMP
from pipeline.rules.commands import ASKED

MODELS = catalog.load().models

STATUS = """
    command_uuid, device_id, command, command_client, thermostat_heat_set_point,
    thermostat_cool_set_point, thermostat_mode, slot, pin, switch_state, lock_state, dimmer_state,
    dimmer_level, user_id, command_timestamp, active_timestamp, result_timestamp,
    command_active_node_id, command_result_node_id, is_hub_success, has_hub_response,
    command_failure_string, command_update_timestamp, command_map_revision,
    active_update_timestamp, result_update_timestamp, command_origin, command_origin_id,
    _raw_command_desired_state, _command_uid, _command_active_uid, _command_result_uid, command_date
"""
USER = "user_id, username, date_registered, last_modified"
EVENT = """
    event_type, update_timestamp, map_revision, item_key, item_revision, twilio_sync_endpoint_id,
    item_data, device_id, _source_file
"""
COLUMNS = {
    "stg_sync_events": EVENT + ", _uid, event_timestamp, disposition, _raw_date_created",
    "stg_commands": """
        command_uuid, command, command_client, thermostat_heat_set_point,
        thermostat_cool_set_point, thermostat_mode, slot, pin, switch_state, dimmer_state,
        dimmer_level, lock_state, user_id, command_origin, command_origin_id, update_timestamp,
        event_timestamp, device_id, map_revision, _raw_command_desired_state, _uid, _source_file
    """,
    "stg_command_actives": """
        command_uuid, command_node_id, update_timestamp, event_timestamp, device_id, map_revision,
        _uid, _source_file
    """,
    "stg_command_results": """
        command_uuid, is_hub_success, command_failure_string, command_node_id, update_timestamp,
        event_timestamp, device_id, map_revision, _uid, _source_file
    """,
    "stg_readings": """
        reading_uuid, device_id, reading_type, state_value, state_unit, state_percent,
        update_timestamp, event_timestamp, map_revision, _uid, _source_file
    """,
    "stg_users": USER,
    "quarantined_events": EVENT + ", _raw_date_created, disposition",
    "quarantined_users": "uid, username, date_registered, last_modified, disposition",
    "audit_dispositions": "source, item_key, disposition, number_of_rows",
    "fct_command_statuses": STATUS,
    "dim_users": USER,
    "met_daily_command_count_by_username": """
        username, timestamp_date, number_of_commands, number_of_successful_commands
    """,
    "fct_command_readings": STATUS
    + """
        , readings, reading_count, expected_reading_count, matching_reading_count,
        attributed_reading_count, has_matching_reading, has_attributed_matching_reading,
        seconds_to_first_matching_reading, seconds_since_previous_command,
        seconds_to_next_command, is_window_shared, is_superseded, outcome
    """,
    "met_command_outcomes": """
        command, number_of_commands, number_with_hub_response, number_hub_success,
        number_hub_success_with_expected_reading, number_hub_success_with_matching_reading,
        number_hub_success_confirmed, number_window_shared, confirmation_rate,
        p50_seconds_to_confirmation, p95_seconds_to_confirmation
    """,
}
PART_ONE = {"stg_commands", "stg_command_actives", "stg_command_results", "fct_command_statuses"}
PART_TWO = {"stg_users", "dim_users", "met_daily_command_count_by_username"}


def expected_type(model, column):
    """A column's type in the contract; STRING if it names none."""
    if model == "quarantined_users":
        return "string"
    if column == "timestamp_date" or column.endswith("_timestamp"):
        return TIMESTAMP
    if column in ("date_registered", "last_modified"):
        return TIMESTAMP
    if column.startswith(("is_", "has_")):
        return "boolean"
    if column.startswith("number_") or column.endswith("_count"):
        return "int64"
    if column.startswith(("seconds_", "p50_", "p95_")) or column == "confirmation_rate":
        return "float64"
    return {
        "state_percent": "float64",
        "command_date": "date",
        "readings": "array<struct<reading_uuid: string, reading_type: string, state_value: string,"
        f" state_unit: string, state_percent: float64, update_timestamp: {TIMESTAMP},"
        f" event_timestamp: {TIMESTAMP}, seconds_after_command: float64,"
        " is_expected_type: boolean, matches_desired_state: boolean, is_attributed: boolean>>",
    }.get(column, "string")


def names(text):
    return [name.strip() for name in text.split(",")]


def test_every_model_of_the_contract_is_there():
    assert set(COLUMNS) <= set(MODELS)


@pytest.mark.parametrize("model", COLUMNS)
def test_a_model_of_the_contract_says_where_it_stands(model):
    assert "Contract: section" in " ".join(MODELS[model].description.split())


@pytest.mark.parametrize("model", COLUMNS)
def test_a_model_has_the_columns_of_the_contract_in_its_order(model):
    declared = list(MODELS[model].schema.names)
    wanted = names(COLUMNS[model])

    # the scalars that are parsed once follow; the contract leaves their names to us
    known = declared[: len(wanted)] if model == "stg_sync_events" else declared
    of_new_kinds = {column.name for column in ASKED} - set(names(STATUS))
    assert [name for name in known if name not in of_new_kinds] == wanted


@pytest.mark.parametrize("model", COLUMNS)
def test_a_models_columns_have_the_types_of_the_contract(model):
    declared = {name: str(MODELS[model].schema[name]) for name in names(COLUMNS[model])}

    assert declared == {name: expected_type(model, name) for name in declared}


def test_each_model_has_the_tag_of_its_part():
    parts = {
        name: "part_one" if name in PART_ONE else "part_two" if name in PART_TWO else "part_three"
        for name in MODELS
    }

    assert {name: [*model.tags] for name, model in MODELS.items()} == {
        name: [part] for name, part in parts.items()
    }


def test_what_holds_a_pin_is_sensitive_in_every_model():
    opens_doors = {"pin", "_raw_command_desired_state", "item_data"}

    for model in MODELS.values():
        assert opens_doors & set(model.schema.names) <= model.sensitive


def test_commands_and_days_are_partitioned_by_their_day():
    days = {name: model.partition_by for name, model in MODELS.items() if model.partition_by}

    assert days == {
        "stg_sync_events": "update_timestamp",
        "fct_command_statuses": "command_date",
        "fct_command_neighbours": "command_date",
        "fct_command_readings": "command_date",
        "met_daily_command_count_by_username": "timestamp_date",
    }
    assert MODELS["stg_sync_events"].cluster_by[:2] == ("staged_kind", "device_id")
    assert MODELS["fct_command_statuses"].cluster_by[0] == "device_id"
    assert MODELS["fct_command_readings"].cluster_by[0] == "device_id"
