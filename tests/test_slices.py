"""A large fact is the same whether a build makes it at once or range of days by range of days."""

from __future__ import annotations

import datetime as dt

import duckdb
import ibis
import ibis.expr.types as ir
import pytest
import small_models
from ibis import _
from test_incremental import Place, event

from pipeline import slices
from pipeline.backends.duckdb.changing import DuckDBIncrementalWorkspace
from pipeline.backends.duckdb.workspace import DuckDBWorkspace
from pipeline.contract import Column, Near, Within, model
from pipeline.errors import OutOfMemoryError, ResourceError


@model(
    key=["uuid"],
    tags=[],
    columns=[
        small_models.UUID,
        Column("day", "date", "its day", nullable=False),
        Column("readings", "array<string>", "what was read soon after"),
    ],
    partition_by="day",
    locality=Within("uuid", firsts=Near("commands", "device", "at", "at", small_models.WINDOW)),
)
def gathered(commands: ir.Table, nexts: ir.Table, firsts: ir.Table) -> ir.Table:
    """One row per command that has readings in the 15 s after it, with those readings."""
    readings = firsts.filter(_.kind == "DoorLocked").select(
        on=_.device, reading=_.uuid, read_at=_["at"]
    )
    pairs = commands.join(nexts.select("uuid"), "uuid").join(
        readings,
        [
            commands.device == readings["on"],
            readings.read_at >= commands["at"],
            readings.read_at <= commands["at"] + ibis.interval(seconds=15),
        ],
    )
    return pairs.group_by("uuid", "day").agg(readings=_.reading.collect(order_by=_.reading))


GRAPH = small_models.graph(gathered)
START = dt.date(2022, 1, 31)


@pytest.fixture
def statements(monkeypatch):
    """The statements that write the fact's rows."""
    seen = []
    make = DuckDBWorkspace.make

    def noted(self, statement):
        if makes_the_fact(statement):
            seen.append(statement.split()[0])
        return make(self, statement)

    monkeypatch.setattr(DuckDBWorkspace, "make", noted)
    return seen


def run_out(*args):
    raise OutOfMemoryError("DuckDB ran out of memory.")


def makes_the_fact(statement):
    return '"gathered"' in statement.split("SELECT")[0]


@pytest.fixture
def memory_holds(monkeypatch):
    """Let memory run out if a statement makes more than so many rows of the fact."""

    def hold(rows):
        make = DuckDBWorkspace.make

        def limited(self, statement):
            if makes_the_fact(statement):
                query = statement[statement.index("SELECT") :]
                (made,) = self.con.con.execute(f"SELECT count(*) FROM ({query})").fetchone()
                if made > rows:
                    raise duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate")
            return make(self, statement)

        monkeypatch.setattr(DuckDBWorkspace, "make", limited)

    return hold


COMMANDS = [86_400 * day + after for day in range(5) for after in (0, 9.5, 10, 86_390)]
"""Seconds after the start; five are at the ends of days."""
READINGS = [at + after for at in COMMANDS for after in (15, 15.000001)]
PAIRS = sum(at <= reading <= at + 15 for at in COMMANDS for reading in READINGS)


def write(place):
    commands = (event(f"c{at}", at=at) for at in COMMANDS)
    place.events("1", *commands, *(event(f"r{at}", "DoorLocked", at=at) for at in READINGS))


@pytest.mark.parametrize(
    ("units_at_once", "made"),
    [
        (1_000, ["CREATE"]),
        (8, ["CREATE", *["INSERT"] * 3]),
        (1, ["CREATE", *["INSERT"] * 6]),
    ],
    ids=["at once", "some days at a time", "a day at a time"],
)
def test_slices_together_are_the_whole_in_its_order(
    tmp_path, monkeypatch, statements, units_at_once, made
):
    place = Place(tmp_path)
    write(place)
    monkeypatch.setattr(DuckDBWorkspace, "memory", lambda self: units_at_once)
    monkeypatch.setattr(slices, "UNIT_BYTES", 1)
    monkeypatch.setattr(slices, "ROW_BYTES", 0)

    place.full(GRAPH)

    assert statements == made
    assert place.query("SELECT count(*), sum(len(readings)) FROM gathered") == [(20, PAIRS)]
    days = [day for (day,) in place.query("SELECT day FROM gathered ORDER BY rowid")]
    assert days == sorted(days)


@pytest.mark.parametrize("holds", [19, 3])
def test_a_slice_that_memory_does_not_hold_is_halved(tmp_path, memory_holds, holds):
    place = Place(tmp_path)
    write(place)
    wanted = place.anew(GRAPH)
    memory_holds(holds)

    place.full(GRAPH)

    assert place.rows(GRAPH) == wanted
    assert place.query("SELECT count(*), sum(len(readings)) FROM gathered") == [(20, PAIRS)]
    days = [day for (day,) in place.query("SELECT day FROM gathered ORDER BY rowid")]
    assert days == sorted(days)


def test_memory_that_holds_no_row_is_an_error_and_the_old_build_stays(tmp_path, memory_holds):
    place = Place(tmp_path)
    write(place)
    place.full(GRAPH)
    whole = place.rows(GRAPH)
    memory_holds(0)

    with pytest.raises(ResourceError, match="ran out of memory"):
        place.full(GRAPH)

    assert place.rows(GRAPH) == whole


def test_an_incremental_build_that_memory_does_not_hold_makes_the_fact_in_slices(
    tmp_path, memory_holds, monkeypatch
):
    place = Place(tmp_path)
    write(place)
    place.full(GRAPH)
    place.events("2", *(event(f"late{at}", "DoorLocked", at=at + 1) for at in COMMANDS[:4]))
    wanted = place.anew(GRAPH)
    memory_holds(4)
    monkeypatch.setattr(DuckDBIncrementalWorkspace, "replace", run_out)

    result = place.incremental(GRAPH)

    assert (result.mode, result.published) == ("incremental", True)
    assert place.rows(GRAPH) == wanted


def test_as_many_units_fit_as_memory_and_readings_say(monkeypatch):
    monkeypatch.setattr(slices, "UNIT_BYTES", 100)
    monkeypatch.setattr(slices, "ROW_BYTES", 10)
    rows = {"commands": 1_000, "firsts": 20_000}

    assert slices.units_at_once(gathered.model, "commands", rows, 30_000) == 100
    assert slices.units_at_once(gathered.model, "commands", rows, 1) == 1


@pytest.mark.parametrize(
    ("units", "most", "ranges"),
    [
        ((2, 3, 9, 1, 1), 5, [(0, 1), (2, 2), (3, 4)]),
        ((2, 3, 9, 1, 1), 100, [(0, 4)]),
        ((2, 3, 9, 1, 1), 1, [(n, n) for n in range(5)]),
        ((10, 10, 10, 10, 1), 20, [(0, 1), (2, 4)]),
        ((4, 4, 4, 4, 4), 16, [(0, 2), (3, 4)]),
        ((), 5, []),
    ],
    ids=["days", "one", "a day each", "a tenth more", "alike", "no day"],
)
def test_ranges_hold_whole_days_up_to_so_many_units(units, most, ranges):
    days = [START + dt.timedelta(days=number) for number in range(len(units))]

    found = slices.ranges(list(zip(days, units, strict=True)), most)

    assert [(days.index(each.days[0]), days.index(each.days[-1])) for each in found] == ranges
