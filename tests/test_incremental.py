"""Incremental builds equal full ones after each batch, or say why they can't."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pytest
import small_models
from collisions import Row, event, history, moved
from conftest import arrow, event_types, raw_user, user_types
from ibis import _
from pyarrow import parquet

from pipeline import build as builds
from pipeline import units
from pipeline.backends.duckdb import changing
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.backends.duckdb.changing import DuckDBIncrementalWorkspace
from pipeline.backends.duckdb.workspace import VERSION
from pipeline.contract import Grows, RowCheck, TableCheck, Within, model
from pipeline.errors import InputError, ResourceError, UsageError
from pipeline.graph import Graph
from pipeline.incremental import build_incrementally
from pipeline.options import RunOptions
from pipeline.output.lines import line
from pipeline.results import Result

GRAPH = small_models.graph()


class Place:
    """A folder with files of both sources, and the database built from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "db.duckdb"
        self.told: list[str] = []
        self.users("ann")

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        return {
            "raw_sync_events": (str(self.folder / "events-*.parquet"),),
            "raw_users": (str(self.folder / "users.parquet"),),
        }

    def events(self, name: str, *rows: Row) -> Path:
        path = self.folder / f"events-{name}.parquet"
        parquet.write_table(arrow(rows, event_types()), path)
        return path

    def users(self, *names: str) -> None:
        rows = [raw_user(number, username=name) for number, name in enumerate(names)]
        parquet.write_table(arrow(rows, user_types()), self.folder / "users.parquet")

    def full(self, graph: Graph = GRAPH, names: Sequence[str] = (), **options: Any) -> Result:
        backend = DuckDB(self.database, inputs=self.inputs)
        return builds.build(graph, backend, names or list(graph.models), RunOptions(**options))

    def incremental(
        self, graph: Graph = GRAPH, inputs: dict[str, tuple[str, ...]] | None = None, **options: Any
    ) -> Result:
        backend = DuckDB(self.database, inputs=self.inputs if inputs is None else inputs)
        result = build_incrementally(graph, backend, RunOptions(**options))
        news = [line(read).plain for read in result.sources if read.rows_before is not None]
        self.told = [*(note.text for note in result.notes), *news]
        return result

    def fetched(self, graph: Graph = GRAPH, database: Path | None = None) -> dict[str, list[Row]]:
        with DuckDB(database or self.database).reader() as tables:
            return {name: tables.fetch(tables.table(name)).to_pylist() for name in graph.models}

    def rows(self, graph: Graph = GRAPH, database: Path | None = None) -> dict[str, list[str]]:
        fetched = self.fetched(graph, database)
        return {name: sorted(map(repr, rows)) for name, rows in fetched.items()}

    def anew(self, graph: Graph = GRAPH) -> dict[str, list[str]]:
        """Return the rows of a full build of the same files, in a database of its own."""
        other = self.folder / "anew.duckdb"
        other.unlink(missing_ok=True)
        backend = DuckDB(other, inputs=self.inputs)
        builds.build(graph, backend, list(graph.models), RunOptions(checks=False))
        return self.rows(graph, other)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.database, read_only=True) as con:
            return con.execute(sql).fetchall()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def modes(result: Result) -> dict[str, str]:
    return {made.name: made.mode for made in result.models}


# --- Equal to a full build ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_after_each_batch_every_model_is_what_a_full_build_makes(place, seed):
    random = Random(seed)
    rows = history(random, random.choice((20, 60)))
    place.events("first", *rows)
    place.full(checks=seed % 2 == 0)
    for number in range(4):
        # small batches of moved copies remove rows from their old places
        new = [moved(random, random.choice(rows)) for _ in range(random.choice((1, 1, 2, 5)))]
        if number == 2:
            new += history(random, 30)
        rows += new
        place.events(f"later-{number}", *new)
        result = place.incremental(checks=random.random() < 0.7)

        assert (result.mode, result.ok, result.published) == ("incremental", True, True)
        assert place.rows() == place.anew()


def test_a_late_earlier_copy_takes_a_reading_from_the_command_that_had_it(place):
    others = (event(f"e{n}", at=100 * n) for n in range(1, 4))
    place.events("1", event("c", at=0), *others, event("r", "DoorLocked", at=5))
    place.full()
    place.events("2", event("r", "DoorLocked", at=-60))

    result = place.incremental()

    assert place.query("SELECT sum(readings) FROM answers") == [(0,)]
    answers = next(made for made in result.models if made.name == "answers")
    assert (answers.rows_came, answers.rows_went, answers.rows) == (1, 1, 4)
    assert modes(result) == {
        **dict.fromkeys(("events", "firsts", "answers"), "updated"),
        **dict.fromkeys(("commands", "nexts", "people"), "kept"),
        "devices": "created",
    }


def test_a_batch_that_changes_most_of_a_table_makes_it_anew(place):
    place.events("1", *(event(f"c{n}", at=60 * n) for n in range(10)))
    place.full()
    place.events("2", *(event(f"c{n}", at=60 * n - 1) for n in range(8)))

    result = place.incremental()

    assert place.rows() == place.anew()
    commands = next(made for made in result.models if made.name == "commands")
    assert (commands.mode, commands.rows_came, commands.rows_went) == ("updated", 8, 8)


def test_units_that_an_upstream_view_has_found_are_not_gathered_again(place, monkeypatch):
    gathered, united = [], units.united
    monkeypatch.setattr(units, "united", lambda parts: gathered.append(parts) or united(parts))
    graph = Graph(GRAPH.models[name] for name in ("events", "firsts", "commands"))
    place.events("1", *(event(f"c{n}") for n in range(5)))
    place.full(graph, checks=False)
    place.events("2", event("x"))

    result = place.incremental(graph, checks=False)

    assert modes(result) == dict.fromkeys(graph.models, "updated")
    assert len(gathered) == 1
    assert place.rows(graph) == place.anew(graph)


def test_rows_that_are_the_same_are_counted_where_a_key_comes_twice(place):
    @model(key=["uuid"], tags=[], columns=[small_models.UUID], locality=Within("uuid"))
    def copies(events: ir.Table) -> ir.Table:
        """One row per copy of an event, though the key says otherwise."""
        return events.select("uuid")

    graph = small_models.graph(copies)
    place.events("1", *(event(f"c{n}") for n in range(5)))
    place.full(graph, checks=False)
    place.events("2", event("c0"), event("c0"))

    place.incremental(graph, checks=False)

    assert place.query("SELECT count(*) FROM copies WHERE uuid = 'c0'") == [(3,)]
    assert place.rows(graph) == place.anew(graph)


@pytest.mark.parametrize(("number", "is_sorted"), [(1, False), (5, True)], ids=["few", "a tenth"])
def test_rows_of_old_days_are_sorted_in_once_they_are_a_tenth(
    place, monkeypatch, number, is_sorted
):
    monkeypatch.setattr(changing, "_BLOCK_ROWS", 5)
    monkeypatch.setattr(changing, "_LEAST_BLOCKS", 0)
    place.events("1", *(event(f"c{n}", at=86_400 * (n // 4)) for n in range(20)))
    place.full()
    place.events("2", *(event(f"old{n}", at=86_400 * n) for n in range(number)))

    place.incremental()

    days = place.query("SELECT day FROM commands ORDER BY rowid")
    assert len(days) == 20 + number
    assert (days == sorted(days)) is is_sorted


def test_blocks_in_any_order_are_not_sorted_again(place, monkeypatch):
    monkeypatch.setattr(changing, "_BLOCK_ROWS", 4)
    monkeypatch.setattr(changing, "_LEAST_BLOCKS", 0)
    place.events("1", *(event(f"c{n}", at=86_400 * (n // 4)) for n in range(20)))
    place.full()
    with duckdb.connect(place.database) as con:
        con.execute(
            "CREATE OR REPLACE TABLE commands AS FROM commands ORDER BY day <> DATE '2022-02-03'"
        )
    before = place.query("SELECT day FROM commands ORDER BY rowid")
    assert before != sorted(before)
    place.events("2", event("new", at=86_400 * 5))

    place.incremental()

    days = place.query("SELECT day FROM commands ORDER BY rowid")
    assert days[:20] == before


@pytest.mark.parametrize("is_many", [False, True], ids=["few", "many"])
def test_duckdb_writes_other_blocks_anew_only_to_spare_the_space_of_many_rows(
    place, monkeypatch, is_many
):
    if is_many:
        monkeypatch.setattr(changing, "_LOST_SHARE", 0)
    blocks = (
        "SELECT row_group_id, block_id FROM pragma_storage_info('commands')"
        " WHERE column_name = 'uuid' AND row_group_id < 3 ORDER BY ALL"
    )
    one = place.events("1", event("c"))
    with duckdb.connect() as con:
        copies = (
            f"SELECT * REPLACE ('c' || n AS MapRevision) FROM '{one}', range(3 * 122880 + 1) _(n)"
        )
        con.execute(f"COPY ({copies}) TO '{one}'")
    graph = Graph(GRAPH.models[name] for name in ("events", "firsts", "commands"))
    place.full(graph, checks=False)
    before = place.query(blocks)
    place.events("2", event("c0", at=-1), event("c7", at=-1))

    place.incremental(graph, checks=False)

    assert (place.query(blocks) != before) is is_many
    rows = 'SELECT count(*), bit_xor(hash(commands)), min("at") FROM commands'
    after = place.query(rows)
    place.full(graph, checks=False)
    assert place.query(rows) == after


# --- The table of what happens --------------------------------------------------------------------


def test_without_news_nothing_is_written(place):
    place.events("1", event("c"))
    place.full()
    before = place.database.stat()

    result = place.incremental()

    assert place.told == ["nothing new"]
    assert (result.published, result.ok, set(modes(result).values())) == (False, True, {"kept"})
    assert (place.database.stat().st_ino, place.database.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_new_files_are_told_and_recorded(place):
    first = place.events("1", event("c"), event("e"))
    place.full()
    second = place.events("2", event("f"))

    place.incremental()

    assert place.told == ["read raw_sync_events: 1 new file, 1 row (2 read before)"]
    state = second.stat()
    assert place.query(
        "SELECT path, bytes, modified_ns, rows, run = max(run) OVER () FROM _pipeline.files"
        " ORDER BY path"
    ) == [
        (os.path.realpath(first), first.stat().st_size, first.stat().st_mtime_ns, 2, False),
        (os.path.realpath(second), state.st_size, state.st_mtime_ns, 1, True),
    ]
    assert place.query("SELECT mode FROM _pipeline.runs ORDER BY started_at") == [
        ("full",),
        ("incremental",),
    ]


def test_users_are_read_anew_and_events_are_left_alone(place):
    place.events("1", event("c"))
    place.full()
    place.users("ann", "bob")

    result = place.incremental()

    kept = dict.fromkeys(("events", "firsts", "commands", "nexts", "answers"), "kept")
    assert modes(result) == {**kept, "people": "updated", "devices": "created"}
    assert place.rows() == place.anew()


def test_rows_of_a_file_that_is_gone_stay(place):
    gone = place.events("1", event("c"), event("e"))
    place.events("2", event("f"))
    place.full()
    whole = place.rows()
    gone.unlink()

    place.incremental()
    assert place.told == [
        "1 file (2 rows) that earlier builds read is gone; its rows stay",
        "nothing new",
    ]
    place.events("3", event("g"))
    place.incremental()
    assert set(place.rows()["commands"]) > set(whole["commands"])


def test_a_full_build_refuses_to_lose_the_rows_of_files_that_are_gone(place):
    gone = place.events("1", event("c"), event("e"))
    place.events("2", event("f"))
    place.full()
    whole = place.rows()
    gone.unlink()

    with pytest.raises(InputError, match=r"1 file \(2 rows\) that the last build read is gone"):
        place.full()
    with pytest.raises(InputError, match="its rows would be lost"):
        place.full(names=["events"])
    assert place.rows() == whole

    assert place.full(if_gone="lose").published
    assert place.rows()["events"] == [row for row in whole["events"] if "'f'" in row]


def test_other_inputs_than_the_recorded_ones_just_build(place):
    place.events("1", event("c"))
    place.full()
    other = place.events("2", event("f"))
    inputs = place.inputs | {"raw_sync_events": (str(other),)}

    result = builds.build(
        GRAPH, DuckDB(place.database, inputs=inputs), list(GRAPH.models), RunOptions()
    )

    assert result.published
    assert place.query("SELECT count(*) FROM events") == [(1,)]


def test_new_inputs_add_to_the_recorded_ones(place):
    place.events("1", event("c"))
    place.full()
    later = place.folder / "later.parquet"
    place.events("2", event("f")).rename(later)
    inputs = place.inputs | {"raw_sync_events": (str(later),)}

    place.incremental(inputs=inputs)
    assert place.query("SELECT count(*) FROM events") == [(2,)]
    builds.build(GRAPH, DuckDB(place.database), list(GRAPH.models), RunOptions())
    assert place.query("SELECT count(*) FROM events") == [(2,)]


def test_a_recorded_file_that_has_changed_is_an_error(place):
    place.events("1", event("c"))
    place.full()
    whole = place.rows()
    path = place.events("1", event("c"), event("e"))

    with pytest.raises(InputError, match=f"{path} has changed since a build read it"):
        place.incremental()
    assert place.rows() == whole


def test_a_file_that_changes_while_it_is_read_is_an_error(place, monkeypatch):
    place.events("1", event("c"))
    place.full()
    place.events("2", event("e"))
    stored = DuckDBIncrementalWorkspace.stored

    def growing(self, expr):
        made = stored(self, expr)
        place.events("2", event("e"), event("f"), event("g"))
        return made

    monkeypatch.setattr(DuckDBIncrementalWorkspace, "stored", growing)
    with pytest.raises(InputError, match=r"events-2.parquet grew while it was read"):
        place.incremental()
    assert place.query("SELECT count(*) FROM events") == [(1,)]


def test_rows_that_do_not_add_up_are_an_error(place):
    place.events("1", event("c"), event("e"))
    place.full()
    with duckdb.connect(place.database) as con:
        con.execute("DELETE FROM commands WHERE uuid = 'c'")
    place.events("2", event("f"))

    with pytest.raises(UsageError, match="commands has 2 rows after this build; 2 less 0"):
        place.incremental()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("DROP TABLE _pipeline.files", "the published build keeps no record of the files"),
        ("UPDATE _pipeline.runs SET engine = '1.2'", "DuckDB 1.2 made it, this is"),
    ],
)
def test_what_can_not_be_right_is_built_in_full_with_the_reason(place, broken, why):
    place.events("1", event("c"))
    place.full()
    with duckdb.connect(place.database) as con:
        con.execute(broken)
    place.events("2", event("e"))

    result = place.incremental()

    assert (result.mode, result.published) == ("full", True)
    assert place.told[0].startswith(f"building in full: {why}")
    assert place.rows() == place.anew()
    assert place.incremental().mode == "incremental"


def test_the_first_build_is_a_full_one(place):
    place.events("1", event("c"))

    assert place.incremental().mode == "full"
    assert place.told == ["building in full: nothing is published yet"]


# --- Short of something, and readers --------------------------------------------------------------


def test_readers_keep_the_old_build_until_they_connect_again(place):
    place.events("1", event("c"))
    place.full()
    place.events("2", event("e"))

    with duckdb.connect(place.database, read_only=True) as reader:
        assert place.incremental().published
        assert reader.execute("SELECT count(*) FROM commands").fetchone() == (1,)
    assert place.query("SELECT count(*) FROM commands") == [(2,)]


@pytest.mark.parametrize(
    ("short", "told"),
    [
        ({"memory_limit": "1MB"}, "ran out of memory"),
        ({}, "disk of .* is full"),
    ],
    ids=["too little memory", "a full disk"],
)
def test_short_of_something_the_old_build_stays(place, short, told):
    place.events("1", event("c"))
    place.full()
    before = place.database.read_bytes()
    place.events("2", event("e"))
    there = {path.name for path in place.folder.iterdir()}
    room, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    backend = DuckDB(place.database, inputs=place.inputs, **short)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room if short else 100_000, most))
        with pytest.raises(ResourceError, match=told):
            build_incrementally(GRAPH, backend, RunOptions())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))

    assert place.database.read_bytes() == before
    assert {path.name for path in place.folder.iterdir()} == there
    assert place.incremental().published


# --- Code that has changed ------------------------------------------------------------------------


def declared(like, name, function):
    """Return a function with the declaration of the model of that name, but other code."""
    function.__name__ = name
    own = like.model
    return model(
        key=own.key,
        columns=own.columns,
        tags=own.tags,
        checks=own.checks,
        materialized=own.materialized,
        partition_by=own.partition_by,
        cluster_by=own.cluster_by,
        locality=own.locality,
    )(function)


def other_nexts():
    def nexts(commands: ir.Table) -> ir.Table:
        """One row per command, with no next one."""
        return commands.select("uuid", "device", next_at=commands["at"].nullif(commands["at"]))

    return declared(small_models.nexts, "nexts", nexts)


def other_commands():
    def commands(firsts: ir.Table) -> ir.Table:
        """One row per command, by its day."""
        chosen = firsts.filter(_.kind == "Command", _.uuid != "c")
        return chosen.select("uuid", "device", "at", day=_["at"].date())

    return declared(small_models.commands, "commands", commands)


def same_commands():
    def commands(firsts: ir.Table) -> ir.Table:
        """The same, in other words."""
        # and with another comment
        is_command = firsts.kind == "Command"
        return firsts.filter(is_command).select("uuid", "device", "at", day=_["at"].date())

    return declared(small_models.commands, "commands", commands)


@pytest.mark.parametrize(
    ("other", "remade"),
    [
        (other_nexts, {"nexts": "its code has changed"}),
        (
            other_commands,
            {
                "commands": "its code has changed",
                **dict.fromkeys(("nexts", "answers", "devices"), "the build remakes commands"),
            },
        ),
        (same_commands, {}),
    ],
    ids=["a leaf", "what others read", "a comment"],
)
@pytest.mark.parametrize("news", [True, False], ids=["a new file", "no new file"])
def test_models_whose_code_has_changed_are_made_in_full(place, other, remade, news):
    place.events("1", event("c"), event("e", at=1), event("r", "DoorLocked", at=3))
    place.full()
    if news:
        place.events("2", event("f", at=2))
    graph = small_models.graph(other())

    result = place.incremental(graph)

    assert {made.name: made.reason for made in result.models if made.reason} == remade
    assert result.published is (news or bool(remade))
    assert place.rows(graph) == place.anew(graph)
    assert place.incremental(graph).published is False


def test_a_model_that_is_older_than_what_it_is_made_from_is_made_in_full(place):
    place.events("1", event("c"))
    place.full()
    place.events("2", event("e"))
    place.full(names=["events"])

    result = place.incremental()

    reasons = {made.name: made.reason for made in result.models if made.reason}
    assert reasons["firsts"] == "events is newer"
    assert reasons["answers"].startswith("the build remakes ")
    assert "events" not in reasons
    assert place.rows() == place.anew()


def test_another_way_to_stage_events_is_built_in_full_unless_files_are_gone(place):
    def events(raw_sync_events: ir.Table) -> ir.Table:
        """One row per raw event."""
        raw = raw_sync_events
        return raw.select(
            uuid=raw.MapRevision.upper(),
            device=raw.MapUniqueName,
            kind=raw.ItemKey,
            at=raw.DateCreated,
        )

    graph = small_models.graph(declared(small_models.events, "events", events))
    gone = place.events("1", event("c"))
    place.full()
    place.events("2", event("e"))

    result = place.incremental(graph)
    assert (result.mode, place.told[0]) == (
        "full",
        "building in full: events: its code has changed",
    )
    assert place.rows(graph) == place.anew(graph)

    gone.unlink()
    with pytest.raises(InputError, match=r"1 file \(1 row\) that the last build read is gone"):
        place.incremental()


def loud_events():
    def events(raw_sync_events: ir.Table) -> ir.Table:
        """One row per raw event."""
        raw = raw_sync_events
        return raw.select(
            uuid=raw.MapRevision,
            device=raw.MapUniqueName,
            kind=raw.ItemKey + "!",
            at=raw.DateCreated,
        )

    return declared(small_models.events, "events", events)


def test_rows_of_files_that_are_gone_stay_as_they_were_staged_where_people_ask_for_it(place):
    gone = place.events("1", event("c"), event("same"), event("e", at=3))
    place.events("2", event("f"), event("same"))
    place.full()
    gone.unlink()
    place.events("3", event("g"), event("f"))
    graph = small_models.graph(loud_events())

    result = place.incremental(graph, if_gone="keep")

    assert (result.mode, result.published) == ("full", True)
    assert place.told == [
        "building in full: events: its code has changed",
        "1 file (3 rows) that the last build read is gone; its rows stay as they were staged then",
    ]
    kinds = place.query("SELECT uuid, kind FROM events ORDER BY uuid, kind")
    assert kinds == [
        ("c", "Command"),
        ("e", "Command"),
        ("f", "Command!"),
        ("f", "Command!"),
        ("g", "Command!"),
        ("same", "Command"),
        ("same", "Command!"),
    ]
    assert place.query("SELECT sum(rows), count(*) FROM _pipeline.files") == [(7, 3)]

    place.events("4", event("h"))
    assert place.incremental(graph).mode == "incremental"
    assert place.query("SELECT count(*) FROM events") == [(8,)]
    with DuckDB(place.database).reader() as tables:
        read = tables.last_run().sources["raw_sync_events"]
    assert (read.rows, read.kept_rows) == (8, 3)
    with pytest.raises(InputError, match="its rows would be lost"):
        place.full(graph)


def test_rows_that_a_changed_file_lost_do_not_pass_for_those_of_a_gone_one(place):
    renamed = place.events("1", event("c"))
    place.events("2", event("e"), event("f"))
    place.full()
    whole = place.rows()
    renamed.rename(place.folder / "events-9.parquet")
    changed = place.events("2", event("f"))

    with pytest.raises(InputError, match=f"{changed} has changed since a build read it"):
        place.full(if_gone="keep")
    assert place.rows() == whole


@pytest.mark.parametrize(
    ("of_gone", "published", "why"),
    [
        (
            [event("same"), event("same", "DoorLocked")],
            "",
            "The 2 rows of files that are gone can't be found in events: by uuid, "
            "device, at, 2 rows come from no existing file",
        ),
        (
            [event("c")],
            "ALTER TABLE events ADD COLUMN more INT",
            "events has other columns than the published one",
        ),
    ],
    ids=["rows that are alike", "another column"],
)
def test_rows_of_files_that_are_gone_can_not_stay(place, of_gone, published, why):
    gone = place.events("1", *of_gone)
    place.events("2", event("same"))
    place.full()
    with duckdb.connect(place.database) as con:
        con.execute(published)
    whole = place.rows()
    gone.unlink()

    with pytest.raises(InputError, match=why):
        place.full(small_models.graph(loud_events()), if_gone="keep")
    assert place.rows() == whole


# --- Checks ---------------------------------------------------------------------------------------


def checked(result: Result) -> dict[str, int | None]:
    """Return the number of rows that each check of commands read, None for all."""
    return {each.name: each.changed_rows for each in result.checks if each.model == "commands"}


def test_checks_look_at_what_changed_once_all_has_been_checked(place):
    place.events("1", event("c"), event("e"), event("f"))
    place.full(checks=False)
    place.events("2", event("g"))
    whole = place.incremental()
    place.events("3", event("h"), event("i"))
    few = place.incremental()

    assert set(checked(whole).values()) == {None}
    rows = {name: 2 for name in checked(whole) if name != "columns"}
    assert checked(few) == rows | {"columns": None}


def test_what_a_run_left_unchecked_is_checked_by_the_next_build(place):
    place.events("1", event("c"))
    place.full()
    place.events("2", event("x", device="y"))
    place.incremental(checks=False)

    result = place.incremental()

    found = next(each for each in result.checks if each.name == "no_device_is_y")
    assert (found.status, found.failures, found.changed_rows) == ("WARN", 1, None)
    assert "nothing new" not in place.told
    assert place.incremental().published is False


def none_is_twice_within_15_s(commands: ir.Table) -> ir.Table:
    """No device has two commands within 15 s."""
    order = ibis.window(group_by="device", order_by="at")
    apart = commands.mutate(last=_["at"].lag().over(order))
    return apart.filter(_["at"] - _.last < ibis.interval(seconds=15))


def every_name_is_known(commands: ir.Table, people: ir.Table) -> ir.Table:
    """Every command's device is the name of a user."""
    return commands.anti_join(people, commands.device == people.name)


@pytest.fixture
def with_checks():
    """A function that builds a graph with other checks of the commands."""
    own = small_models.commands.model
    made = []

    def graph(*checks: TableCheck) -> Graph:
        made.append(replace(own, checks=checks))
        small_models.commands.model = made[-1]
        return small_models.graph()

    yield graph
    small_models.commands.model = own


def test_a_check_of_near_days_reads_those_of_changed_rows_and_the_next_ones(place, with_checks):
    rule = TableCheck(none_is_twice_within_15_s, within="device", near_day="day")
    graph, day = with_checks(rule), 24 * 3600
    other_days = (event(f"c{n}", at=n * day) for n in range(2, 6))
    place.events("1", event("c0", at=day + 5), *other_days)
    assert place.full(graph).ok
    place.events("2", event("c1", at=day + 12))  # 7 s earlier was the day before

    result = place.incremental(graph)

    [found] = [each for each in result.checks if each.name == rule.name]
    assert (found.status, found.failures, found.changed_rows) == ("FAIL", 1, 1)
    assert not result.published


@pytest.mark.parametrize(("users", "looked_at"), [((), 1), (("bob",), None)])
def test_a_check_reads_a_table_without_its_unit_whole_and_all_rows_if_that_changed(
    place, with_checks, users, looked_at
):
    rule = TableCheck(every_name_is_known, within="uuid", severity="warn")
    graph = with_checks(rule)
    place.events("1", *(event(f"c{n}", device="ann") for n in range(5)))
    assert place.full(graph).ok
    place.events("2", event("x", device="eve"))
    place.users("ann", *users)

    result = place.incremental(graph)

    [found] = [each for each in result.checks if each.name == rule.name]
    assert (found.status, found.failures, found.changed_rows) == ("WARN", 1, looked_at)


def test_a_check_that_has_changed_looks_at_all_rows(place):
    place.events("1", event("c"), event("e"))
    place.full()
    place.events("2", event("f"))
    own = small_models.commands.model
    rule = RowCheck("no_device_is_y", _.device == "z", "no device is called z", "warn")
    other = model(
        key=own.key,
        columns=own.columns,
        tags=[],
        partition_by="day",
        locality=own.locality,
        checks=[rule, *own.checks[1:]],
    )
    function = own.function
    try:
        result = place.incremental(small_models.graph(other(function)))
    finally:
        function.model = own

    assert {made.reason for made in result.models} == {""}
    assert checked(result)["no_device_is_y"] is None


def test_of_changed_rows_that_break_a_rule_only_sensitive_columns_are_masked(place):
    own = small_models.commands.model
    columns = [replace(column, sensitive=column.name == "device") for column in own.columns]
    secret = model(
        key=own.key,
        columns=columns,
        tags=[],
        partition_by="day",
        locality=own.locality,
        checks=own.checks,
    )
    try:
        graph = small_models.graph(secret(own.function))
        place.events("1", event("c"))
        place.full(graph)
        place.events("2", event("on_x", device="x"), event("on_y", device="y"))
        result = place.incremental(graph)
    finally:
        own.function.model = own

    broken = {each.name: each for each in result.checks if each.failures}
    assert broken["no_device_is_y"].changed_rows == 2
    assert broken["no_device_is_y"].sample["uuid"].to_pylist() == ["on_y"]
    of_x = broken["no_device_is_x"]
    assert of_x.changed_rows == 2
    assert (of_x.sample["uuid"].to_pylist(), of_x.sample["device"].to_pylist()) == (
        ["on_x"],
        ["***"],
    )


@pytest.mark.parametrize("when", ["first", "later"])
def test_a_check_that_fails_publishes_nothing(place, when):
    bad = event("x", device="x")
    place.events("1", event("c"))
    place.full()
    if when == "later":
        place.events("2", event("e"))
        place.incremental()
    whole = place.rows()
    place.events("3", bad)

    result = place.incremental()

    assert (result.ok, result.published) == (False, False)
    assert place.rows() == whole


def test_a_key_that_comes_twice_is_found_among_changed_rows(place):
    def commands(firsts: ir.Table) -> ir.Table:
        """Two rows of one key."""
        rows = firsts.select("uuid", "device", "at", day=_["at"].date())
        return rows.union(rows.filter(_.uuid == "twice"))

    graph = small_models.graph(declared(small_models.commands, "commands", commands))
    place.events("1", event("c"))
    place.full(graph)
    place.events("2", event("twice"))

    result = place.incremental(graph)

    of_commands = [each for each in result.checks if each.model == "commands"]
    key = next(each for each in of_commands if each.name == "unique_key")
    assert (key.status, key.failures, key.changed_rows) == ("FAIL", 1, 2)
    assert result.published is False


def test_the_declarations_of_the_small_models_are_those_of_the_engine():
    kinds = {type(each.locality) for each in GRAPH.models.values()}

    assert kinds == {Grows, Within, type(None)}
    assert VERSION in duckdb.__version__
