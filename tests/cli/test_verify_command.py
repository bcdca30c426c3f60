"""`verify` finds rows that somebody has altered, and is content with right ones."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import type_
from conftest import arrow, command, event_types, raw_event, raw_user, reading, result, user_types

import pipeline
from pipeline.catalog import load
from pipeline.errors import UsageError
from pipeline.verification import Share, linked

__all__ = ["type_"]

DEVICES = [f"device {number}" for number in range(8)]


def _events():
    """Each device's command, answer and reading; two devices share a command id, and two more."""
    for number, device in enumerate(DEVICES):
        own = {"MapUniqueName": device}
        yield command(f"c{number}", at=number, **own)
        yield result(f"c{number}", at=number + 1, **own)
        yield reading(f"r{number}", at=number + 2, **own)
    yield result("c1", "false", at=0.5, MapUniqueName=DEVICES[0])
    yield result("c2", "false", at=0.5, MapUniqueName=DEVICES[1])
    yield raw_event("Humidity", "no JSON", MapUniqueName=DEVICES[3])
    yield raw_event("Humidity", {"state": 1}, MapUniqueName=None)
    yield raw_event("Humidity", {"state": 1}, MapUniqueName=7 * "x", EventType="map_item_removed")


LATER = [
    reading("late", "false", at=3, MapUniqueName=DEVICES[4]),
    command("c5", at=-60, MapUniqueName=DEVICES[6]),  # an earlier copy, on another device
    result("c7", at=1, MapUniqueName=DEVICES[5]),
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database after a full build and an incremental one."""
    folder = tmp_path_factory.mktemp("published")
    pq.write_table(arrow(list(_events()), event_types()), folder / "events-1.parquet")
    pq.write_table(arrow([raw_user(), raw_user(8)], user_types()), folder / "users.parquet")
    options = {"events": str(folder / "events-*.parquet"), "users": str(folder / "users.parquet")}
    project = pipeline.connect("duckdb", database=folder / "d.duckdb", **options)
    project.build(checks=False)
    pq.write_table(arrow(LATER, event_types()), folder / "events-2.parquet")
    assert project.build(incremental=True, checks=False).mode == "incremental"
    return folder / "d.duckdb"


@pytest.fixture
def altered(published: Path, tmp_path: Path):
    """Return a copy of the database after these statements."""

    def alter(*statements: str) -> Path:
        database = tmp_path / "altered.duckdb"
        shutil.copyfile(published, database)
        with duckdb.connect(database) as con:
            for statement in statements:
                con.execute(statement)
        return database

    return alter


def verified(database: Path, share: str = "100%", seed: int = 0):
    return pipeline.connect("duckdb", database=database).verify(share, seed=seed)


def differing(found) -> dict[str, tuple[int, int, int, list[str]]]:
    """By model, the rows only published, only made anew, and changed, and the changed columns."""
    return {
        each.model: (each.only_in_a, each.only_in_b, each.changed, sorted(each.columns))
        for each in found.diff.differing
    }


def test_right_rows_are_equal_to_those_made_anew_at_any_share(published):
    whole = verified(published)
    parts = [verified(published, "50%", seed) for seed in range(2)]

    assert {each.model for each in whole.diff.models} == set(load().models)
    assert (whole.devices, whole.events) == (9, 32)
    assert [differing(each) for each in (whole, *parts)] == [{}] * 3
    # each device is in one of the halves; some are in both, by a shared command
    assert sum(each.events for each in parts) >= 32
    assert all(each.events < 32 for each in parts)


ALTERED = [
    {
        "UPDATE stg_sync_events SET item_revision = 'f' WHERE disposition = 'removed'": {
            "stg_sync_events": (1, 1, 0, [])
        },
        "UPDATE stg_repeated_events SET copies = 9 WHERE item_uuid = 'c5'": {
            "stg_repeated_events": (0, 0, 1, ["copies"])
        },
        "UPDATE stg_user_versions SET raw_last_modified = 'x' WHERE user_id = '8'": {
            "stg_user_versions": (1, 1, 0, [])
        },
        "DELETE FROM dim_users WHERE user_id = '7'": {"dim_users": (0, 1, 0, [])},
        "UPDATE audit_dispositions SET number_of_rows = 0 WHERE disposition = 'removed'": {
            "audit_dispositions": (0, 0, 1, ["number_of_rows"])
        },
        "DELETE FROM fct_command_statuses WHERE command_uuid = 'c3'": {
            "fct_command_statuses": (0, 1, 0, [])
        },
        "INSERT INTO fct_command_neighbours FROM fct_command_neighbours"
        " WHERE command_uuid = 'c0'": {"fct_command_neighbours": (1, 0, 0, [])},
        "UPDATE fct_command_readings SET outcome = 'failed', pin = '4711'"
        " WHERE command_uuid = 'c4'": {"fct_command_readings": (0, 0, 1, ["outcome", "pin"])},
        "DELETE FROM met_daily_command_count_by_username": {
            "met_daily_command_count_by_username": (0, 1, 0, [])
        },
        "UPDATE met_command_outcomes SET number_hub_success = 0 WHERE command = '(all)'": {
            "met_command_outcomes": (0, 0, 1, ["number_hub_success"])
        },
    },
    {
        "UPDATE stg_sync_events SET device_id = 'device 8' WHERE item_uuid = 'late'": {
            "stg_sync_events": (1, 1, 0, []),
            "stg_readings": (1, 1, 0, []),
        },
        "INSERT INTO fct_command_readings"
        " SELECT * REPLACE ('new' AS command_uuid, 'nowhere' AS device_id)"
        " FROM fct_command_readings WHERE command_uuid = 'c0'": {
            "fct_command_readings": (1, 0, 0, [])
        },
        "CREATE OR REPLACE VIEW quarantined_users AS SELECT uid, username, date_registered,"
        " last_modified, disposition FROM (SELECT *, raw_date_registered AS date_registered,"
        " raw_last_modified AS last_modified FROM stg_user_versions)": {
            "quarantined_users": (2, 0, 0, [])
        },
        "ALTER TABLE dim_users DROP COLUMN last_modified": {"dim_users": (0, 0, 0, [])},
        "DROP TABLE met_command_outcomes": {"met_command_outcomes": (0, 0, 0, [])},
    },
]


@pytest.mark.parametrize("changes", ALTERED)
def test_an_altered_row_is_found_with_model_and_column(altered, changes):
    expected = {name: how for each in changes.values() for name, how in each.items()}

    assert differing(verified(altered(*changes))) == expected


def test_at_a_share_an_altered_row_of_a_chosen_device_is_found(altered):
    database = altered(
        "UPDATE fct_command_statuses SET command = 'x' WHERE command_uuid = 'c4'",
        # nobody knows this device, but its place is on some arc all the same
        "INSERT INTO fct_command_neighbours SELECT * REPLACE ('nowhere' AS device_id)"
        " FROM fct_command_neighbours WHERE command_uuid = 'c0'",
    )

    halves = [differing(verified(database, "50%", seed)) for seed in range(2)]

    found = [each.get("fct_command_statuses") for each in halves]
    assert sorted(found, key=str) == [(0, 0, 1, ["command"]), None]
    found = [each.get("fct_command_neighbours") for each in halves]
    assert sorted(found, key=str) == [(1, 0, 0, []), None]


def test_at_any_share_a_table_whose_rows_have_no_device_is_compared_whole(altered):
    database = altered(
        "DELETE FROM fct_command_readings WHERE command_uuid = 'c3'",
        "DELETE FROM stg_user_versions WHERE user_id = '7'",
    )

    found = differing(verified(database, "0.0001%"))

    # the outcomes are compared with what their function makes of the published commands
    assert found["met_command_outcomes"][2] == 2
    assert found["stg_user_versions"] == (0, 1, 0, [])


# the arc begins at the ring's first place or goes past its last one
@pytest.mark.parametrize("seed", [0, 999_996])
def test_the_smallest_share_takes_at_least_one_device(published, seed):
    found = verified(published, "0.0001%", seed)

    assert 1 <= found.devices <= 4  # with those that share a command id
    assert found.events >= 3


@pytest.mark.parametrize("seed", range(0, 1_000_000, 99_999))
def test_from_any_place_the_smallest_share_reaches_one_device(duckdb, seed):
    device = duckdb.create_table("devices", pa.table({"id": DEVICES})).id
    share = Share.of("0.0001%", seed)

    reaching = replace(share, reach=share.nearest(device).to_pyarrow().as_py())

    assert reaching.has(device).sum().to_pyarrow().as_py() == 1


def test_the_devices_of_a_share_are_closed_under_shared_commands():
    def pair(id_: str, device: str, chosen: bool = False) -> dict:
        return {"id": id_, "device": device, "chosen": chosen}

    pairs = [
        *(pair("c1", "a", True), pair("c1", "b")),
        *(pair("c2", "b"), pair("c2", "c")),
        *(pair("c3", "d"), pair("c3", "e")),
    ]

    assert linked(pairs) == ["b", "c"]


@pytest.mark.parametrize("text", ["0%", "101%", "1", "", "%", "-1%", "0.00001%"])
def test_a_share_is_more_than_nothing_and_at_most_all(text):
    with pytest.raises(UsageError, match="is no share"):
        Share.of(text)


def test_the_command_names_model_key_and_column_and_no_door_code(type_, altered):
    database = altered(
        "UPDATE fct_command_readings SET outcome = 'failed', pin = '4711' WHERE command_uuid = 'c4'"
    )

    typed = type_("verify", "--share", "100%", "--database", database, COLUMNS="80")
    as_json = type_("verify", "--share", "100%", "--database", database, "--format", "json")

    assert (typed.exit_code, as_json.exit_code) == (1, 1)
    assert "9 of 9 devices, with 32 of 32 raw events (100 %)" in typed.stdout
    assert "fct_command_readings: 1 changed" in typed.stdout
    assert any(line.startswith("c4 outcome failed ") for line in lines_of(typed))
    assert "4711" not in typed.output + as_json.output
    told = json.loads(as_json.stdout)
    assert (told["ok"], told["devices"]) == (False, 9)
    assert told["models"]["fct_command_readings"]["columns"] == {"outcome": 1, "pin": 1}
    assert not told["models"]["dim_users"]["changed"]


def lines_of(typed) -> list[str]:
    return [" ".join(line.split()) for line in typed.stdout.splitlines()]


def test_what_cannot_be_compared_ends_with_2_and_names_it(type_, published, tmp_path):
    folder = tmp_path / "raw"
    shutil.copytree(published.parent, folder)
    database = folder / "own.duckdb"
    options = {"events": str(folder / "events-*.parquet"), "users": str(folder / "users.parquet")}
    project = pipeline.connect("duckdb", database=database, **options)
    project.build(checks=False)

    def refused(*words: str) -> str:
        typed = type_("verify", "--share", "100%", "--database", database, *words)
        assert typed.exit_code == 2, typed.output
        return typed.stderr

    (folder / "events-1.parquet").rename(folder / "moved")
    os.utime(folder / "events-2.parquet", ns=(0, 0))
    told = refused()
    assert f"{folder}/events-1.parquet is gone, {folder}/events-2.parquet has changed." in told
    (folder / "moved").rename(folder / "events-1.parquet")
    project.build("stg_sync_events", checks=False)
    assert "stg_repeated_events (stg_sync_events is newer)" in refused()
    assert "is no share" in refused("--share", "1")
    database.unlink()
    assert "Nothing is built yet" in refused()
    on_bigquery = type_("verify", "--backend", "bigquery", "--project", "project", "--dataset", "d")
    assert (on_bigquery.exit_code, "Add --on duckdb" in on_bigquery.stderr) == (2, True)
