"""A large fact made range of days by range of days is the one that is made at once."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pytest
import small_models
from ibis import _
from test_incremental import Place, event

from pipeline import slices
from pipeline.backends.duckdb.workspace import DuckDBWorkspace
from pipeline.contract import Column, Near, Within, model


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
    """One row per command that has readings in the 15 s after it, with these."""
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
    """The statements by which the fact's rows come."""
    seen = []
    make = DuckDBWorkspace.make

    def noted(self, statement):
        if '"gathered"' in statement.split("SELECT")[0]:
            seen.append(statement.split()[0])
        make(self, statement)

    monkeypatch.setattr(DuckDBWorkspace, "make", noted)
    return seen


COMMANDS = [86_400 * day + after for day in range(5) for after in (0, 9.5, 10, 86_390)]
"""Seconds after the start, at five days' ends too."""
READINGS = [at + after for at in COMMANDS for after in (15, 15.000001)]
PAIRS = sum(at <= reading <= at + 15 for at in COMMANDS for reading in READINGS)


def write(place):
    commands = (event(f"c{at}", at=at) for at in COMMANDS)
    place.events("1", *commands, *(event(f"r{at}", "DoorLocked", at=at) for at in READINGS))


@pytest.mark.parametrize(
    ("units_at_once", "made"),
    [
        (1_000, ["CREATE"]),
        (8, ["CREATE", "INSERT", "INSERT"]),
        (1, ["CREATE", *["INSERT"] * 5]),
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


def test_as_many_units_fit_as_memory_and_readings_say(monkeypatch):
    monkeypatch.setattr(slices, "UNIT_BYTES", 100)
    monkeypatch.setattr(slices, "ROW_BYTES", 10)
    rows = {"commands": 1_000, "firsts": 20_000}

    assert slices.units_at_once(gathered.model, "commands", rows, 30_000) == 100
    assert slices.units_at_once(gathered.model, "commands", rows, 1) == 1
    assert slices.units_at_once(gathered.model, "commands", rows, None) is None


@pytest.mark.parametrize(
    ("most", "ranges"),
    [(5, [(0, 1), (2, 2), (3, 4)]), (100, [(0, 4)]), (1, [(n, n) for n in range(5)])],
)
def test_ranges_hold_whole_days_up_to_so_many_units(most, ranges):
    days = [START + dt.timedelta(days=number) for number in range(5)]

    found = slices.ranges(list(zip(days, (2, 3, 9, 1, 1), strict=True)), most)

    assert [(days.index(first), days.index(last)) for first, last in found] == ranges
