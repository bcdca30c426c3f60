"""The same rows make the same models in every kind of file."""

from __future__ import annotations

import csv
import datetime as dt
import json

import ibis
import pyarrow.parquet as pq
import pytest
from conftest import (
    NOON,
    Built,
    after,
    arrow,
    command,
    event_types,
    raw_event,
    raw_user,
    reading,
    result,
    user_types,
)

from pipeline import catalog, files
from pipeline.contract import names_of
from pipeline.sources import SOURCES

EVENTS = [
    command("c", "PinAssignment", 3, "0123", MapRevision="1e5", MapUniqueName="007"),
    command("c", "PinAssignment", 3, "0123", at=1, MapRevision="1e5", MapUniqueName="7"),
    command("d", "ThermostatHeatSetPoint", 72.5, at=0.000001),
    command("e", 'a "b", c\nd'),
    raw_event("CommandActive", {"uuid": "c", "node_id": 7}),
    result("c", "true"),
    reading("r", {"value": 72.5, "unit": "F", "percent": "1e1"}, "ThermostatHeatSetpoint"),
    reading("s", " ", MapUniqueName="true"),
    reading("t", None, MapRevision=None),
    reading("u", DateCreated=None, _source_file="é, \\"),
    raw_event("Command", '{"uuid": "cut'),
    raw_event(None, None),
    raw_event("Humidity", {"state": 7.0}, DateCreated=NOON.replace(year=1969)),
]
USERS = [
    raw_user(7, username="ann"),
    raw_user(7, username="bob", last_modified=after(0.5)),
    raw_user(8, username="NULL", dateRegistered=None),
    raw_user(None, username="nan"),
]


def as_text(value):
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds") + "+00"
    return value


def write_parquet(path, rows, types):
    pq.write_table(arrow(rows, types), path)


def write_csv(path, rows, types):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(types)
        writer.writerows([as_text(row.get(name)) for name in types] for row in rows)


def write_ndjson(path, rows, types):
    lines = [json.dumps({name: as_text(value) for name, value in row.items()}) for row in rows]
    path.write_text("\n".join(lines))


WRITERS = {"parquet": write_parquet, "csv": write_csv, "ndjson": write_ndjson}


def models(folder, kind):
    """The rows of all models, built from files of one kind."""
    con = ibis.duckdb.connect()
    raw = {}
    for name, rows, types in (
        ("raw_sync_events", EVENTS, event_types()),
        ("raw_users", USERS, user_types()),
    ):
        path = folder / f"{name}.{kind}"
        WRITERS[kind](path, rows, types)
        read = files.read(
            con, SOURCES[name], [path], names_of(SOURCES[name].columns), scratch=folder
        )
        raw[name] = con.to_pyarrow(read.table)
    built = Built(con, raw)
    found = {name: sorted(map(repr, built[name])) for name in catalog.load().models}
    con.disconnect()
    return found


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_the_models_are_those_of_a_parquet_file(tmp_path, kind):
    expected = models(tmp_path, "parquet")

    found = models(tmp_path, kind)

    assert all(expected.values())
    assert found == expected
