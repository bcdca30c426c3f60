"""Incremental builds on the emulator: after each batch, all rows are those of full builds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import collisions
import googlesql
import ibis.expr.types as ir
import pytest
import small_models
from collisions import START, Row, history, moved
from conftest import arrow, event_types, raw_user, user_types
from google.cloud import bigquery
from pyarrow import parquet

from emulator.conftest import Warehouse
from emulator.evaluated import Compared, compared
from emulator.server import PROJECT
from pipeline import build as builds
from pipeline.backends.bigquery import changing, lock
from pipeline.backends.bigquery.backend import BigQuery
from pipeline.backends.bigquery.jobs import Jobs
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.contract import TIMESTAMP, Arrivals, Column, Grows, model
from pipeline.digest import digest
from pipeline.errors import EngineError, InputError, UsageError
from pipeline.graph import Graph
from pipeline.incremental import build_incrementally
from pipeline.options import RunOptions
from pipeline.results import Digest, Result

LOADED = dt.datetime(2022, 2, 3, 4, 5, 6, 789, tzinfo=dt.UTC)
DAY, TICK = dt.timedelta(days=1), dt.timedelta(microseconds=1)
TYPES = {
    "MapRevision": "STRING",
    "MapUniqueName": "STRING",
    "ItemKey": "STRING",
    "DateCreated": "TIMESTAMP",
    "_scheduled_timestamp": "TIMESTAMP",
}
NEW = {"_scheduled_timestamp": LOADED + TICK}
USER_TYPES = dict.fromkeys(("uid", "username", "dateRegistered", "last_modified"), "STRING")


@model(
    key=[],
    tags=[],
    columns=[
        small_models.UUID,
        small_models.DEVICE,
        small_models.KIND,
        small_models.AT,
        Column("load", TIMESTAMP, "when it was loaded"),
    ],
    partition_by="at",
    locality=Grows(),
    arrivals=Arrivals("device", "at", "load"),
)
def events(raw_sync_events: ir.Table) -> ir.Table:
    """One row per raw event, with its load time."""
    raw = raw_sync_events
    return raw.select(
        uuid=raw.MapRevision,
        device=raw.MapUniqueName,
        kind=raw.ItemKey,
        at=raw.DateCreated,
        load=raw._scheduled_timestamp,
    )


@model(
    key=["uuid"],
    tags=[],
    materialized="view",
    columns=[small_models.UUID, small_models.DEVICE, small_models.KIND, small_models.AT],
    locality=small_models.firsts.model.locality,
)
def firsts(events: ir.Table) -> ir.Table:
    """One row per event id, the earliest."""
    return small_models.firsts(events.drop("load"))


GRAPH = small_models.graph(events, firsts)


def event(uuid: str, at: float = 0) -> Row:
    """A raw command so many seconds after the start, with a load time."""
    return loaded(collisions.event(uuid, at=at), LOADED)


def loaded(row: Row, at: dt.datetime | None) -> Row:
    """The same event, loaded at another time."""
    return row | {"_scheduled_timestamp": at}


class Place:
    """A dataset with raw tables, and a folder with the same rows in files for DuckDB."""

    def __init__(self, warehouse: Warehouse, name: str, folder: Path) -> None:
        self.warehouse, self.service, self.name, self.folder = (
            warehouse,
            warehouse.service,
            name,
            folder,
        )
        self.batches, self.events, self.rows = 0, "raw_sync_events", list[Row]()
        warehouse.client.create_dataset(name)
        self._make(
            "raw_sync_events", TYPES, bigquery.TimePartitioning(field="_scheduled_timestamp")
        )
        self._make("raw_users", USER_TYPES, None)
        self.users("ann")

    def _make(self, name: str, types: dict[str, str], layout: Any) -> None:
        fields = [bigquery.SchemaField(column, kind) for column, kind in types.items()]
        table = bigquery.Table(self.full(name), fields)
        table.time_partitioning = layout
        self.warehouse.client.create_table(table)

    def full(self, table: str) -> str:
        return f"{PROJECT}.{self.name}.{table}"

    def sql(self, text: str) -> list[dict]:
        return self.warehouse.rows(text.replace("HERE.", f"`{PROJECT}`.{self.name}."))

    def add(self, *rows: Row) -> None:
        """Append events to the raw table, and write a file of them."""
        values = ", ".join(f"({', '.join(_literal(row.get(c)) for c in TYPES)})" for row in rows)
        if rows:
            self.sql(f"INSERT INTO HERE.{self.events} ({', '.join(TYPES)}) VALUES {values}")
        self.rows += rows
        path = self.folder / f"events-{self.batches:02}.parquet"
        parquet.write_table(arrow(rows, event_types()), path)
        self.batches += 1

    def later(self, uuid: str) -> Row:
        """An event that was loaded after all others."""
        times = [row["_scheduled_timestamp"] for row in self.rows]
        return loaded(event(uuid), max(filter(None, times)) + TICK)

    def users(self, *names: str) -> None:
        rows = [raw_user(number, username=name) for number, name in enumerate(names)]
        parquet.write_table(arrow(rows, user_types()), self.folder / "users.parquet")
        self.sql("DELETE FROM HERE.raw_users WHERE TRUE")
        values = ", ".join(f"('{n}', '{name}')" for n, name in enumerate(names))
        self.sql(f"INSERT INTO HERE.raw_users (uid, username) VALUES {values}")

    @property
    def backend(self) -> BigQuery:
        return BigQuery(PROJECT, self.name, self.name, api_endpoint=self.warehouse.url)

    def build(self, graph: Graph = GRAPH, **options: Any) -> Result:
        return builds.build(graph, self.backend, list(graph.models), RunOptions(**options))

    def incremental(self, graph: Graph = GRAPH, **options: Any) -> Result:
        result = build_incrementally(graph, self.backend, RunOptions(**options))
        self.told = [note.text for note in result.notes]
        return result

    def digests(self, graph: Graph = GRAPH) -> dict[str, Digest]:
        with self.backend.reader() as tables:
            return digest(graph, tables, list(graph.models))

    def on_duckdb(self, graph: Graph = GRAPH, name: str = "anew") -> dict[str, Digest]:
        """Build all files in full on DuckDB, and digest them."""
        inputs = {
            "raw_sync_events": (str(self.folder / "events-*.parquet"),),
            "raw_users": (str(self.folder / "users.parquet"),),
        }
        backend = DuckDB(self.folder / f"{name}.duckdb", inputs=inputs)
        if name == "anew":
            backend.file.unlink(missing_ok=True)
            builds.build(graph, backend, list(graph.models), RunOptions(checks=False))
        else:
            build_incrementally(graph, backend, RunOptions(checks=False))
        with backend.reader() as tables:
            return digest(graph, tables, list(graph.models))

    def statements(self) -> list[str]:
        return self.service.statements()


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return f"TIMESTAMP '{value.isoformat()}'" if isinstance(value, dt.datetime) else f"'{value}'"


@pytest.fixture
def place(warehouse: Warehouse, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    name = f"incremental_{abs(hash(request.node.name)) % 10**9}"
    found = Place(warehouse, name, tmp_path)
    warehouse.service.asked.clear()
    yield found
    warehouse.service.faults.clear()


def modes(result: Result) -> dict[str, str]:
    return {made.name: made.mode for made in result.models}


def test_after_a_batch_every_model_is_what_full_builds_make(place, monkeypatch):
    random = Random(1)
    load_times = [LOADED, LOADED - DAY, None]
    rows = [loaded(row, random.choice(load_times)) for row in history(random, 40)]
    place.add(*rows)
    place.build(checks=False)
    place.on_duckdb(name="kept")
    # later on the watermark's day, on new days, and on days that were read: late or without a time
    loads = (LOADED + TICK, LOADED + DAY, LOADED - DAY, LOADED - 2 * DAY, LOADED - DAY + TICK, None)
    new = [loaded(moved(random, random.choice(rows)), load) for load in loads]
    place.users("ann", "bob")
    place.add(*new)
    place.service.asked.clear()
    found: list[Compared] = []
    publish = changing.publish

    def evaluated(*given: Any) -> Any:
        client, name = place.warehouse.client, place.full("")[:-1]
        publishing = [*given[-2], *given[-1]]
        found.append(compared(client, name, place.statements(), publishing, googlesql.query))
        return publish(*given)

    monkeypatch.setattr(changing, "publish", evaluated)

    result = place.incremental()

    assert (result.ok, result.published, result.mode) == (True, True, "incremental"), place.told
    assert place.digests() == place.on_duckdb() == place.on_duckdb(name="kept")
    assert [read.rows_before for read in result.sources][:1] == [len(rows)]
    assert found[0].differing == []
    assert found[0].statements["INSERT"] > 20
    assert found[0].statements["SELECT"] > 20
    assert found[0].statements["DELETE"] > 1
    assert not any("_building_" in name for name in place.warehouse.names(place.name))


FEW = Graph([events.model, small_models.people.model])


@pytest.fixture
def built(place: Place) -> Place:
    """A dataset with a build of two models of three events."""
    place.add(*(event(uuid, at=at) for at, uuid in enumerate("pqr")))
    place.build(FEW)
    place.service.asked.clear()
    return place


def changes(place: Place) -> list[str]:
    """The statements that change tables other than a build's own."""
    return [
        sql
        for sql in place.statements()
        if not sql.startswith("SELECT") and "_building_" not in sql.partition("(")[0]
    ]


def test_if_nothing_is_new_nothing_is_written(built):
    result = built.incremental(FEW)

    assert (result.published, built.told) == (False, ["nothing new"])
    assert changes(built) == []
    # the record, and a look at each raw table
    assert len(built.statements()) == 3


@pytest.mark.parametrize("kept", [[], ["s", "t"]], ids=["fewer", "as many, but others"])
def test_a_load_day_that_lost_rows_is_refused_and_nothing_changes(built, kept):
    before = built.digests(FEW)
    built.sql("DELETE FROM HERE.raw_sync_events WHERE MapRevision IN ('p', 'q')")
    built.add(*(loaded(event(uuid), LOADED + TICK) for uuid in kept))
    built.service.asked.clear()

    with pytest.raises(InputError, match="has 1 of the 3 rows loaded on 2022-02-03"):
        built.incremental(FEW)

    assert changes(built) == []
    assert built.digests(FEW) == before


def test_a_load_day_whose_old_rows_have_changed_is_refused(built):
    built.sql("UPDATE HERE.raw_sync_events SET MapUniqueName = 'x' WHERE MapRevision = 'p'")
    built.add(event("s"))

    with pytest.raises(
        InputError, match=r"1 of the rows .* on 2022-02-03 are gone or have changed"
    ):
        built.incremental(FEW)


def test_a_build_that_was_published_meanwhile_is_not_overwritten(built, monkeypatch):
    before = built.digests(FEW)
    built.add(built.later("s"))
    publish = changing.publish

    def late(dataset: Any, *more: Any) -> Any:
        place = f"`{PROJECT}`.{built.name}._pipeline_runs"
        built.sql(f"UPDATE {place} SET published_at = CURRENT_TIMESTAMP() WHERE TRUE")
        return publish(dataset, *more)

    monkeypatch.setattr(changing, "publish", late)

    with pytest.raises(EngineError, match="Another build was published since this one began"):
        built.incremental(FEW)

    assert built.digests(FEW) == before


def test_a_second_build_ends_at_once_with_the_name_of_the_first(built):
    with (
        lock.locked(built.warehouse.client, f"{PROJECT}.{built.name}", "build", "the_first"),
        pytest.raises(UsageError, match="is running: the_first, process"),
    ):
        built.incremental(FEW)


def test_a_dry_run_estimates_the_batch(built):
    def estimates(*, incremental: bool) -> dict[str, int]:
        found = built.backend.estimates(FEW, list(FEW.models), incremental=incremental)
        return {each.name: each.bytes for each in found}

    built.add(loaded(event("s"), LOADED + TICK))
    built.service.asked.clear()

    batch = estimates(incremental=True)

    dry = [job["configuration"].get("dryRun") for job in built.service.jobs()]
    # the record is read and the rows are counted, for free; BigQuery only plans all else
    assert dry.count(None) == 2
    assert any("COUNTIF" in sql for sql in built.statements())
    assert batch == estimates(incremental=False) == {"events": 0, "people": 0}  # no bytes here


def test_new_rows_and_their_record_are_put_in_place_by_one_transaction(built):
    built.users("ann", "bob")
    new = built.later("s")
    built.add(new)
    built.service.asked.clear()

    result = built.incremental(FEW)

    assert modes(result) == {"events": "updated", "people": "created"}
    [sql] = changes(built)
    lines = [" ".join(line.split()) for line in sql.split(";\n")]
    assert lines[0] == "BEGIN TRANSACTION"
    assert [line.split("`")[0] for line in lines[1:-1]] == [
        "SELECT IF((SELECT COUNT(*) FROM ",
        "TRUNCATE TABLE ",
        "INSERT INTO ",
        "INSERT INTO ",
        "SELECT IF((SELECT COUNT(*) FROM ",
        "INSERT INTO ",
        "COMMIT TRANSACTION",
    ]
    # only the literal range after the last load time is read, at one moment
    read = [each for each in built.statements() if "`raw_sync_events`" in each]
    assert all("FOR SYSTEM_TIME AS OF" in each for each in read)
    low = new["_scheduled_timestamp"].isoformat()
    assert f"`_scheduled_timestamp` BETWEEN TIMESTAMP('{low}')" in read[1]
    recorded = built.backend.last_run().sources["raw_sync_events"]
    assert (recorded.days, recorded.rows) == ({"2022-02-03": 4}, 4)
    assert recorded.watermark == new["_scheduled_timestamp"]


def test_rows_of_more_days_than_a_statement_may_change_are_refused(place):
    place.add(event("p"))
    place.build(FEW)
    values = f"SELECT 'q', TIMESTAMP_ADD(TIMESTAMP '{START.isoformat()}', INTERVAL n DAY),"
    stamp = f"TIMESTAMP '{(LOADED + DAY).isoformat()}' FROM UNNEST(GENERATE_ARRAY(1, 4001)) AS n"
    columns = "MapRevision, DateCreated, _scheduled_timestamp"
    place.sql(f"INSERT INTO HERE.raw_sync_events ({columns}) {values} {stamp}")

    with pytest.raises(InputError, match="more days of a table than BigQuery lets") as refused:
        place.incremental(FEW, checks=False)

    assert "Build in full" in str(refused.value)


@pytest.mark.parametrize("fault", ["quotaExceeded", "aborted"])
def test_a_transaction_that_fails_changes_nothing_and_one_in_conflict_is_sent_again(built, fault):
    before = built.digests(FEW)
    built.add(built.later(fault))
    words = "Transaction is aborted due to concurrent update against table x"
    reason = fault if fault != "aborted" else words
    built.service.faults.append(("BEGIN TRANSACTION", reason))

    if fault == "aborted":
        assert built.incremental(FEW).published
    else:
        with pytest.raises(UsageError, match="quota"):
            built.incremental(FEW)
        assert built.digests(FEW) == before
        built.incremental(FEW)

    assert built.digests(FEW) == built.on_duckdb(FEW)


def test_a_model_whose_code_has_changed_is_made_in_full_and_a_dropped_one_makes_all(built):
    @model(key=["name"], tags=[], columns=[Column("name", "string", "a user", nullable=False)])
    def people(raw_users: ir.Table) -> ir.Table:
        """One row per user."""
        return raw_users.select(name=raw_users.username.upper()).distinct()

    graph = Graph([events.model, people.model])

    result = built.incremental(graph)

    assert modes(result) == {"events": "kept", "people": "created"}
    assert built.digests(graph) == built.on_duckdb(graph)
    built.sql("DROP TABLE HERE.people")
    assert built.incremental(graph).mode == "full"
    assert "people is not there as it was published" in built.told[0]


def test_what_it_can_not_do_rightly_it_does_in_full_and_says_why(place):
    place.add(event("p"))
    place.build(FEW)
    place.sql("ALTER TABLE HERE.raw_sync_events RENAME TO raw")
    place.sql("CREATE VIEW HERE.raw_sync_events AS SELECT * FROM HERE.raw")
    place.events = "raw"
    place.add(loaded(event("s"), LOADED + DAY))

    result = place.incremental(FEW)

    assert (result.mode, result.published) == ("full", True)
    assert place.told[0].startswith("building in full: ")
    assert "raw_sync_events is a view, of which BigQuery keeps no past" in place.told[0]


def test_a_raw_table_without_load_days_works_and_says_what_that_costs(place):
    place.warehouse.client.delete_table(place.full("raw_sync_events"))
    place._make("raw_sync_events", TYPES, None)
    place.add(event("p"))
    place.build(FEW)
    place.add(loaded(event("q"), LOADED + DAY), loaded(event("p", at=-9), None))

    place.incremental(FEW)

    assert place.digests(FEW) == place.on_duckdb(FEW)
    assert "is not partitioned by day of _scheduled_timestamp" in place.told[0]
    assert "PARTITION BY TIMESTAMP_TRUNC(_scheduled_timestamp, DAY)" in place.told[0]


BY_ID = Graph([events.model, firsts.model, small_models.commands.model])
MISSING = """
    SELECT uuid FROM (SELECT uuid, UNIX_DATE({day}) AS day FROM HERE.{table})
    WHERE (FARM_FINGERPRINT(uuid) & -32768) | IF(day BETWEEN 0 AND 32766, day, 32767)
    NOT IN (SELECT {table}__uuid FROM HERE._pipeline_days WHERE {table}__uuid IS NOT NULL)
"""
"""Selects the ids of a table that the table of days lacks on the day of a row."""


@pytest.mark.parametrize(
    ("before", "is_used"),
    [
        ("", True),
        ("UPDATE HERE._pipeline_runs SET indexed = NULL WHERE TRUE", False),
        ("DROP TABLE HERE._pipeline_days", False),
        ("build", True),
    ],
    ids=["kept", "by an older version", "dropped", "partial"],
)
def test_the_days_of_ids_are_looked_up_in_a_table_of_their_own(place, before, is_used):
    place.add(*(event(f"c{number}", at=60 * number) for number in range(9)))
    place.build(BY_ID)
    if before == "build":
        builds.build(BY_ID, place.backend, ["events"], RunOptions())
        place.incremental(BY_ID)
    elif before:
        place.sql(before)
    # ids that come now come again on other days, one from a day without a number
    first = [("s", START), ("t", START - 20_000 * DAY), ("u", START)]
    again = [("s", START - DAY), ("t", START - DAY), ("u", START + DAY), ("c3", START - 9 * DAY)]
    for number, copies in enumerate((first, again), 1):
        stamp = LOADED + number * DAY
        place.add(*(loaded(event(uuid) | {"DateCreated": at}, stamp) for uuid, at in copies))
        place.service.asked.clear()

        assert place.incremental(BY_ID).mode == "incremental"

        assert place.digests(BY_ID) == place.on_duckdb(BY_ID)
        assert any("__uuid` & 32767" in sql for sql in place.statements()) is is_used
    if is_used:
        assert place.sql(MISSING.format(table="events", day="DATE(at)")) == []
        assert place.sql(MISSING.format(table="commands", day="day")) == []


def test_a_build_that_ends_between_any_two_statements_leaves_the_old_rows_or_the_new_ones(
    place, monkeypatch
):
    graph = Graph([events.model, firsts.model, small_models.commands.model])
    rows = [event(f"c{number}", at=60 * number) for number in range(9)]
    place.add(*rows)
    place.build(graph, checks=False)
    old = place.digests(graph)
    place.add(loaded(rows[0], None) | {"DateCreated": START - DAY}, event("s", at=-9) | NEW)
    new = place.on_duckdb(graph)
    query = Jobs.query

    def ending(jobs: Jobs, sql: str, **labels: str) -> Any:
        if not sql.startswith("BEGIN TRANSACTION"):
            return query(jobs, sql, **labels)
        lines = sql.split(";\n")
        # events come; of commands, a row goes and two come; the days of both have new pairs; both
        # are counted, the record is last
        changes = ["INSERT", "DELETE", "INSERT", "INSERT", "INSERT"]
        steps = ["BEGIN", "SELECT", *changes, "SELECT", "SELECT", "INSERT"]
        assert [line.split()[0] for line in lines][: len(steps)] == steps
        # literal days: BigQuery bills the rows of no other
        assert all("`day` IN (DATE(" in line for line in lines if line.startswith("DELETE"))
        for at in (3, 4, 5, 6, len(steps)):
            broken = ";\n".join([*lines[:at], "SELECT ERROR('ended')", *lines[at:]])
            with pytest.raises(EngineError, match="ended"):
                query(jobs, broken, **labels)
            assert place.digests(graph) == old, at
        query(jobs, sql, **labels)
        raise KeyboardInterrupt  # the answer is lost

    monkeypatch.setattr(Jobs, "query", ending)
    with pytest.raises(KeyboardInterrupt):
        place.incremental(graph, checks=False)
    monkeypatch.undo()

    assert place.digests(graph) == new != old
    assert place.incremental(graph, checks=False).published is False
    assert place.told == ["nothing new"]
