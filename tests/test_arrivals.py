from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import after, arrow, event_types, raw_user, reading, user_types
from pyarrow import parquet

import pipeline
from pipeline import catalog
from pipeline.arrivals import arrived
from pipeline.errors import InputError


class Place:
    """A database and its input files, at the same paths each time."""

    def __init__(self, folder: Path) -> None:
        self.events, self.users = folder / "events.parquet", folder / "users.parquet"
        self.connect = lambda **options: pipeline.connect(database=folder / "p.duckdb", **options)
        inputs = {"events": str(self.events), "users": str(self.users)}
        self.write(events=4, users=4)
        self.project = self.connect(**inputs)
        self.build(select="+stg_users +stg_readings")

    def write(self, events=4, users=4, devices=None, **columns):
        rows = [
            reading(f"r{n}", at=n, MapUniqueName=f"device {n % (devices or 4)}", **columns)
            for n in range(events)
        ]
        parquet.write_table(arrow(rows, event_types()), self.events)
        parquet.write_table(arrow([raw_user(n) for n in range(users)], user_types()), self.users)

    def build(self, **options):
        return self.project.build(**{"select": "stg_sync_events stg_user_versions"} | options)

    @property
    def started(self):
        return self.project.last_run().started_at


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


FEWER = [
    ({"events": 1}, "raw_sync_events has 1 row, fewer than half of the 4 that"),
    ({"users": 0}, "raw_users has 0 rows, fewer than half of the 4 that"),
    ({"devices": 1}, "raw_sync_events has 1 device, fewer than half of the 4 that"),
]


@pytest.mark.parametrize(("written", "told"), FEWER, ids=["events", "users", "devices"])
def test_a_build_of_less_than_half_of_a_source_publishes_nothing(place, written, told):
    before = place.started
    place.write(**written)

    with pytest.raises(InputError, match=told) as refused:
        place.build()

    assert "--allow-fewer-rows" in str(refused.value.typed)
    assert place.started == before
    assert place.build(allow_fewer_rows=True).published
    assert place.build().published


def test_half_of_a_source_builds(place):
    place.write(events=2, users=2, devices=2)

    assert place.build().published


def test_other_inputs_than_the_last_builds_may_hold_less(place):
    place.write(events=1)
    other = place.events.rename(place.events.with_name("other.parquet"))

    project = place.connect(events=str(other), users=str(place.users))

    assert project.build(select="stg_sync_events").published


def test_an_incremental_build_of_less_than_half_of_the_users_publishes_nothing(place):
    place.project.build()
    before = place.started
    place.write(users=1)
    place.events.unlink()

    with pytest.raises(InputError, match="raw_users has 1 row"):
        place.project.build(incremental=True)

    assert place.started == before
    assert place.project.build(incremental=True, allow_fewer_rows=True).published


def test_a_build_records_devices_and_the_newest_event_and_load(place):
    future = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
    rows = [
        reading("a", at=1, _scheduled_timestamp=after(60)),
        reading("b", at=5, MapUniqueName="other", _scheduled_timestamp=None),
        reading("wrong clock", DateCreated=future, _scheduled_timestamp=future),
    ]
    parquet.write_table(arrow(rows, event_types()), place.events)
    place.build()

    read = place.project.last_run().sources["raw_sync_events"]
    assert (read.devices, read.newest_event, read.newest_load) == (2, after(5), after(60))
    assert read == type(read).from_json(read.to_json())


def test_both_engines_count_devices_and_find_what_is_newest_until_now(evaluate):
    arrivals = catalog.load().models["stg_sync_events"].arrivals
    time = pa.timestamp("us", "UTC")
    types = {arrivals.device: pa.string(), arrivals.event: time, arrivals.load: time}
    values = [
        ("a", after(1), after(60)),
        ("a", after(5), None),
        ("b", after(999), after(999)),
        (None, None, after(7)),
    ]
    rows = arrow([dict(zip(types, row, strict=True)) for row in values], types)

    [found] = evaluate(lambda built: built.aggregate(**arrived(arrivals, built, after(100))), rows)

    assert found == {"devices": 2, "newest_event": after(5), "newest_load": after(60)}


def test_an_event_file_may_lack_the_time_of_its_load(place):
    types = event_types()
    del types["_scheduled_timestamp"]
    rows = [reading(f"r{n}", MapUniqueName=f"{n}") for n in range(4)]
    parquet.write_table(arrow(rows, types), place.events)

    place.build()

    assert place.project.last_run().sources["raw_sync_events"].newest_load is None
