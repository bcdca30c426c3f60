"""Generated raw data: the same for the same seed, as messy as the contract allows, streamed."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import pipeline
from pipeline.errors import ResourceError, UsageError
from pipeline.generate import Generated, event_files, generate, history
from pipeline.generate.delivery import EVENT_SCHEMA, raw_events
from pipeline.generate.users import raw_users

FORMATS = ("parquet", "ndjson", "csv")
PROJECT = Path(__file__).parent.parent
Make = Callable[..., Generated]


def made(output: Path, **given: Any) -> Generated:
    usual = {"commands": 200, "devices": 12, "days": 30, "seed": 5, "format": "parquet"}
    return generate(output, **(usual | given))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def history_of(commands: int, **given: Any) -> pa.Table:
    usual = {"devices": 40, "days": 60, "seed": 3, "messy_values": False}
    return pa.concat_tables(raw_events(commands=commands, **(usual | given)))


@pytest.fixture(scope="module")
def events() -> pa.Table:
    return history_of(25_000)


def desired_states(table: pa.Table) -> list[list[Any]]:
    """The desired states of all commands that have one; scalars as their JSON text."""
    asked = []
    for text in table.filter(pc.field("ItemKey") == "Command")["ItemData"].to_pylist():
        try:
            item = json.loads(text or "", parse_int=str, parse_float=str)
        except ValueError:
            continue
        wish = item.get("desired_state") if isinstance(item, dict) else None
        if isinstance(wish, list) and wish and wish[0] not in (None, "(all)"):
            asked.append(wish + [None] * (3 - len(wish)))
    return asked


SET_POINT = r"([0-9]{1,3}\.?[0-9]{1,3})"
MODES = "off|cool|heat|auto|settocool|settoheat|operatingstate"


def broken_rule(wish: list[Any]) -> str | None:
    """The value check of the contract's section 6 that a desired state breaks."""
    command, value, pin = wish[:3]
    rule = {
        "LockedState": "(?i:locked|unlocked)",
        "SwitchState": "(?i:on|off)",
        "ThermostatMode": f"(?i:{MODES})",
        "ThermostatHeatSetPoint": SET_POINT,
        "ThermostatCoolSetPoint": SET_POINT,
        "PinAssignment": "([0-9]{1,3}|None)",
    }.get(command)
    if rule and (value is None or not re.fullmatch(rule, value)):
        return f"{command}: {'none' if value is None else 'other'}"
    if command == "PinAssignment" and pin and not re.fullmatch("[0-9]{3,6}|None", pin):
        return "PinAssignment: pin"
    return None


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_seed_gives_the_same_bytes(tmp_path, file_format):
    made(tmp_path / "once", format=file_format)
    made(tmp_path / "again", format=file_format)

    assert contents(tmp_path / "once") == contents(tmp_path / "again")


@pytest.mark.parametrize("file_format", FORMATS)
def test_another_seed_gives_another_history(tmp_path, file_format):
    first, other = (made(tmp_path / str(seed), seed=seed, format=file_format) for seed in (1, 2))

    assert first.event_files[0].read_bytes() != other.event_files[0].read_bytes()


def test_the_bytes_do_not_depend_on_how_python_hashes(tmp_path):
    made(tmp_path / "here")
    code = (
        "import sys, pathlib; from pipeline.generate import generate;"
        "generate(pathlib.Path(sys.argv[1]), commands=200, devices=12, days=30, seed=5,"
        " format='parquet')"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "there"], check=True, cwd=PROJECT, env=environment
    )

    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_a_command_comes_with_about_ten_events(events):
    assert 9.5 < len(events) / 25_000 < 10.5


def test_talkative_devices_send_so_many_readings_more_after_each_command():
    quiet, talkative = history_of(500), history_of(500, readings=4)

    # events that hubs write twice or that are delivered twice come on top
    assert 4 * 500 < len(talkative) - len(quiet) < 5 * 500
    assert len(quiet) == len(history_of(500, readings=0))


def test_events_have_the_columns_and_types_of_the_contract(events):
    assert events.schema == EVENT_SCHEMA
    assert events.schema.field("DateCreated").type == pa.timestamp("us", "UTC")


def test_all_seven_kinds_of_commands_are_well_represented(events):
    kinds = Counter(wish[0] for wish in desired_states(events))

    assert set(kinds) == {
        "LockedState",
        "SwitchState",
        "ThermostatMode",
        "ThermostatHeatSetPoint",
        "ThermostatCoolSetPoint",
        "PinAssignment",
        "DimmerState",
    }
    assert min(kinds.values()) > 0.05 * kinds.total()


@pytest.mark.parametrize(
    ("item_key", "shape"),
    [
        pytest.param("Command", r'"user":"\d', id="user as text"),
        pytest.param("Command", r'"user":\d', id="user as number"),
        pytest.param("Command", r'"user":""', id="user empty"),
        pytest.param("Command", r'^[^u]*"uuid":"[^}]*Z","origin"', id="user absent"),
        pytest.param("Command", r'"command_id":"[^"]+","uuid":"', id="both ids"),
        pytest.param("Command", r'"command_id":"","uuid":"[^"]', id="command_id empty"),
        pytest.param("Command", r'"uuid":""', id="no id"),
        pytest.param("Command", r'Point",\d\d', id="set point as number"),
        pytest.param("Command", r'Point","\d\d', id="set point as text"),
        pytest.param("Command", r'Assignment",\d+,"\d+"', id="pin, slot as number"),
        pytest.param("Command", r'Assignment","\d+","None"', id="pin None, slot as text"),
        pytest.param("Command", r'Assignment",[^,]+,null', id="pin null"),
        pytest.param("Command", r'Multilevel On",\d', id="level as number"),
        pytest.param("Command", r'Multilevel On","\d', id="level as text"),
        pytest.param("Command", r'Multilevel On"\]', id="level absent"),
        pytest.param("Command", r'"desired_state":\{', id="desired state no array"),
        pytest.param("Command", r'\["\(all\)"\]', id="reserved word"),
        pytest.param("CommandActive", r'"node_id":\d', id="node as number"),
        pytest.param("CommandActive", r'"node_id":"', id="node as text"),
        pytest.param("CommandResult", r'"result":true', id="result as boolean"),
        pytest.param("CommandResult", r'"result":"true"', id="result as text"),
        pytest.param("CommandResult", r'"result":"success"', id="result as word"),
        pytest.param("CommandResult", r'"result":"unsuccessful"', id="result unsuccessful"),
        pytest.param("CommandResult", r'"failure_string":"[^"]', id="failure told"),
        pytest.param("DoorLocked", r'"state":"true"', id="locked as text"),
        pytest.param("DoorLocked", r'"state":true', id="locked as boolean"),
        pytest.param("Switch", r'"value":"On"', id="switch on"),
        pytest.param("Dimmer", r'"percent":99[,.}]', id="99 for 100"),
        pytest.param("Dimmer", r'"state":\{"value":"On"\}', id="no percent"),
        pytest.param("ThermostatHeatSetpoint", r'"unit":"C"', id="Celsius"),
        pytest.param("ThermostatCoolSetpoint", r'"unit":"F"', id="Fahrenheit"),
        pytest.param("Temperature", r'\{"value":[\d.]+\}', id="no unit"),
        pytest.param("BatteryLevel", r'"state":\d', id="battery as scalar"),
        pytest.param("BatteryLevel", r'"state":\{"value":', id="battery as object"),
        pytest.param("Humidity", r'^\{"state":[^}]+\},"timestamp', id="reading without id"),
        pytest.param("Temperature", r'"state":\{\}', id="no state"),
        pytest.param("ThermostatOperatingState", r'"state":"idle"', id="operating state"),
        pytest.param("Temperature", r'"timestamp":"[-\d]+T[:\d]+Z"', id="no fraction"),
        pytest.param("Temperature", r'"timestamp":"[^"]*\.\d{9}Z"', id="nanoseconds"),
        pytest.param("Temperature", r'"timestamp":"[^"]*[+-]\d\d:\d\d"', id="offset"),
        pytest.param("Temperature", r'"timestamp":"[-\d]+ [:\d]+', id="space for T"),
        pytest.param("Temperature", r'"timestamp":"[-\d]+T[:.\d]+"', id="no zone"),
        pytest.param("Temperature", r'"timestamp":"just now"', id="no time"),
        pytest.param("Temperature", r'"state": \{', id="white space"),
        pytest.param("Temperature", r"\n", id="several lines"),
        pytest.param("Temperature", r"^\[", id="no object"),
        pytest.param("Temperature", r"\}\}$", id="no JSON"),
    ],
)
def test_items_come_in_every_shape(events, item_key, shape):
    items = events.filter(pc.field("ItemKey") == item_key)["ItemData"]

    assert pc.any(pc.match_substring_regex(items, shape)).as_py()


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(pc.field("MapUniqueName").is_null(), id="device NULL"),
        pytest.param(pc.field("MapUniqueName") == "", id="device empty"),
        pytest.param(pc.field("DateCreated").is_null(), id="no time"),
        pytest.param(pc.field("ItemKey").is_null(), id="no key"),
        pytest.param(pc.field("ItemData").is_null(), id="no data"),
        pytest.param(pc.field("ItemKey") == "doorlocked", id="key of no reading"),
        pytest.param(pc.field("EventType") == "map_item_removed", id="removed"),
        pytest.param(pc.field("EventType") == "map_item_added", id="added"),
        pytest.param(pc.field("EventType") == "map_created", id="map created"),
    ],
)
def test_odd_rows_occur_but_are_few(events, odd):
    assert 0 < len(events.filter(odd)) < 0.02 * len(events)


def test_rows_come_in_the_order_of_loading_not_of_time(events):
    loaded, created = events["_scheduled_timestamp"], events["DateCreated"].drop_null()

    assert pc.all(pc.less_equal(loaded[:-1], loaded[1:])).as_py()
    assert pc.any(pc.less(created[1:], created[:-1])).as_py()


def test_revisions_of_a_device_grow_with_time(events):
    one = events.filter(pc.field("MapUniqueName") == "device-000001").drop_columns(["ListSid"])
    one = one.filter(pc.field("DateCreated").is_valid()).sort_by("EventId")
    created = one["DateCreated"]

    assert pc.all(pc.less_equal(created[:-1], created[1:])).as_py()
    assert [int(revision, 16) for revision in one["MapRevision"].to_pylist()] == (
        one["EventId"].to_pylist()
    )


def test_some_events_are_stored_twice_in_the_same_or_another_object(events):
    keys = ["MapSid", "EventId"]
    copies = events.group_by(keys).aggregate(
        [("_source_file", "count_distinct"), ([], "count_all")]
    )
    copies = copies.filter(pc.field("count_all") > 1)

    assert 0.005 < len(copies) / len(events) < 0.02
    assert set(copies["_source_file_count_distinct"].to_pylist()) >= {1, 2}


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_hold_what_is_returned(tmp_path, file_format):
    result = made(tmp_path, format=file_format)

    assert set(contents(tmp_path)) == {f"raw_sync_events.{file_format}", f"raw_users.{file_format}"}
    assert result.event_files == (tmp_path / f"raw_sync_events.{file_format}",)
    assert result.commands == 200
    assert len(rows_of(result.event_files[0])) == result.events
    assert len(rows_of(result.users_file)) == result.users


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file))


def test_all_formats_hold_the_same_events(tmp_path):
    typed, lines, records = (
        rows_of(made(tmp_path / name, commands=2_000, format=name).event_files[0])
        for name in FORMATS
    )

    for name in ("EventId", "MapRevision", "ItemKey", "_source_file", "ItemData"):
        expected = [row[name] for row in typed]
        assert [
            json.loads(text) if isinstance(row[name], dict) else text
            for row, text in zip(lines, expected, strict=True)
        ] == [row[name] for row in lines]
        assert [row[name] for row in records] == [
            "" if value is None else str(value) for value in expected
        ]


def test_ndjson_has_items_as_text_and_as_objects(tmp_path):
    kinds = Counter(
        type(row["ItemData"]) for row in rows_of(made(tmp_path, format="ndjson").event_files[0])
    )

    assert 0 < kinds[dict] < kinds[str]


@pytest.mark.parametrize("file_format", ["ndjson", "csv"])
def test_times_in_text_come_in_several_formats(tmp_path, file_format):
    rows = rows_of(made(tmp_path, commands=1_000, format=file_format).event_files[0])
    texts = {row["DateCreated"] for row in rows}

    for ending in (" UTC", "+00", "+02:00", "Z"):
        assert any(text.endswith(ending) for text in texts if text)
    assert any(not text for text in texts)
    assert "unknown" in texts


def test_large_histories_are_numbered_files(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "COMMANDS_A_WINDOW", 50)
    monkeypatch.setattr(event_files, "ROWS_A_FILE", 1_000)

    result = made(tmp_path, commands=400)

    assert [path.name for path in result.event_files] == [
        f"raw_sync_events-{number:05d}.parquet" for number in range(1, len(result.event_files) + 1)
    ]
    assert len(result.event_files) > 2
    assert sum(pq.read_metadata(path).num_rows for path in result.event_files) == result.events


def test_events_of_an_earlier_run_are_removed_and_other_formats_kept(tmp_path):
    for name in ("raw_sync_events-00002.csv", "raw_sync_events.csv", "raw_sync_events.parquet"):
        (tmp_path / name).write_text("earlier")

    made(tmp_path, format="csv")

    assert set(contents(tmp_path)) == {
        "raw_sync_events.csv",
        "raw_users.csv",
        "raw_sync_events.parquet",
    }
    assert (tmp_path / "raw_sync_events.csv").read_text() != "earlier"


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_commands_make_valid_files_without_events(tmp_path, file_format):
    result = made(tmp_path, commands=0, format=file_format)

    assert result.events == 0
    assert rows_of(result.event_files[0]) == []
    assert result.users > 0


@pytest.mark.parametrize("devices", [1, 3, 5])
def test_a_single_command_to_few_devices_is_a_history(tmp_path, devices):
    assert made(tmp_path, commands=1, devices=devices, days=1).events > 0


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({"devices": 0}, "--devices 0", id="no devices"),
        pytest.param({"days": 0}, "--days 0", id="no days"),
        pytest.param({"days": 10**8}, "--days 100000000", id="days past all calendars"),
        pytest.param({"commands": -1}, "--commands -1", id="negative commands"),
        pytest.param({"seed": -1}, "--seed -1", id="negative seed"),
        pytest.param({"format": "xml"}, "xml", id="unknown format"),
    ],
)
def test_numbers_that_make_no_history_are_refused(tmp_path, given, named):
    with pytest.raises(UsageError, match=named) as refused:
        made(tmp_path / "out", **given)

    assert refused.value.next_step.startswith("Take ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("below", ["", "folder"])
def test_an_output_that_is_a_file_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("precious")

    with pytest.raises(UsageError, match="a file is in its way"):
        made(tmp_path / "file" / below)

    assert (tmp_path / "file").read_text() == "precious"


def test_a_full_disk_is_told_as_such(tmp_path, monkeypatch):
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.generate.write_events", full)

    with pytest.raises(ResourceError, match="full"):
        made(tmp_path)


def test_progress_tells_the_events_written_so_far(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "COMMANDS_A_WINDOW", 50)
    told: list[int] = []

    result = made(tmp_path, progress=told.append)

    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == result.events


def test_rows_stream_in_batches_of_bounded_size(monkeypatch):
    monkeypatch.setattr(history, "COMMANDS_A_WINDOW", 100)

    sizes = [
        len(table)
        for table in raw_events(commands=3_000, devices=20, days=365, seed=1, messy_values=False)
    ]

    assert sum(sizes) > 28_000
    assert max(sizes) < 1_200


def test_the_first_rows_come_before_the_history_is_made():
    endless = raw_events(commands=10**12, devices=20, days=10_000, seed=1, messy_values=False)

    assert len(next(endless)) < 150_000


def test_no_command_breaks_a_value_check(events):
    assert [wish for wish in desired_states(events) if broken_rule(wish)] == []


def test_messy_values_break_each_value_check_in_one_command_of_fifty():
    wishes = desired_states(history_of(15_000, messy_values=True))
    broken = Counter(rule for wish in wishes if (rule := broken_rule(wish)))

    assert set(broken) == {
        "LockedState: none",
        "LockedState: other",
        "SwitchState: none",
        "SwitchState: other",
        "ThermostatMode: none",
        "ThermostatMode: other",
        "ThermostatHeatSetPoint: none",
        "ThermostatHeatSetPoint: other",
        "ThermostatCoolSetPoint: none",
        "ThermostatCoolSetPoint: other",
        "PinAssignment: none",
        "PinAssignment: other",
        "PinAssignment: pin",
    }
    assert 0.015 < broken.total() / len(wishes) < 0.025


def test_each_resident_has_one_name_that_nobody_else_has():
    latest = {
        user.uid: user
        for user in sorted(
            raw_users(devices=4_000, seed=1), key=lambda user: user.last_modified or 0
        )
        if user.uid and user.username and user.date_registered and user.last_modified
    }

    assert len(latest) == 2_000
    assert len({user.username for user in latest.values()}) == 2_000


def test_users_repeat_and_some_lack_something():
    users = list(raw_users(devices=40, seed=1))

    assert len(users) > len({user.uid for user in users})
    for name in ("uid", "username", "date_registered", "last_modified"):
        assert any(not getattr(user, name) for user in users)


@pytest.mark.parametrize("file_format", ["ndjson", "csv"])
def test_times_of_users_are_texts_and_epochs(tmp_path, file_format):
    result = made(tmp_path, devices=200, format=file_format)
    texts = [str(row["dateRegistered"]) for row in rows_of(result.users_file)]

    for form in (
        r"[-\d]+T[:\d]+Z",
        r".* UTC",
        r".*\+00",
        r"[-\d]{10}",
        r"-?\d{10}",
        r"-?\d{12,13}",
    ):
        assert any(re.fullmatch(form, text) for text in texts)


def sample_options() -> dict[str, Any]:
    words = re.search(r"cli\.py generate (.*)", (PROJECT / "data/README.md").read_text())
    assert words
    given = words[1].split()
    options = dict(zip(given[::2], given[1::2], strict=True))
    return {name: int(options[f"--{name}"]) for name in ("commands", "devices", "days", "seed")} | {
        "format": options["--format"]
    }


def test_the_sample_is_what_its_readme_says(tmp_path):
    result = generate(tmp_path, **sample_options())

    for path in (*result.event_files, result.users_file):
        assert pq.read_table(path).equals(pq.read_table(PROJECT / "data" / path.name))


def test_the_sample_has_every_disposition_and_outcome_and_few_warnings(tmp_path):
    project = pipeline.connect(
        "duckdb",
        database=tmp_path / "sample.duckdb",
        events=[PROJECT / "data/raw_sync_events.parquet"],
        users=[PROJECT / "data/raw_users.parquet"],
    )
    warned = {check.name for check in project.build().checks if check.status == "WARN"}
    dispositions = project.table("audit_dispositions").to_pyarrow()
    readings = project.table("fct_command_readings").to_pyarrow()

    assert warned <= {
        "every_user_is_known",
        "every_active_has_its_command",
        "every_result_has_its_command",
    }
    assert len(dispositions.group_by(["source", "disposition"]).aggregate([])) == 10 + 6
    assert len(readings["outcome"].unique()) == 6
    assert len(readings["command"].unique()) == 7
