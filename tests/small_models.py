"""A few models of raw events and users, each with another declaration: they build fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import TIMESTAMP, Column, Grows, Near, RowCheck, TableCheck, Within, model
from pipeline.graph import Graph

UUID = Column("uuid", "string", "an event's id", nullable=False)
DEVICE = Column("device", "string", "a device", nullable=False)
KIND = Column("kind", "string", "what an event is about")
AT = Column("at", TIMESTAMP, "when it was", nullable=False)
WINDOW = 15_000_000


@model(key=[], tags=[], columns=[UUID, DEVICE, KIND, AT], locality=Grows())
def events(raw_sync_events: ir.Table) -> ir.Table:
    """One row per raw event."""
    raw = raw_sync_events
    return raw.select(
        uuid=raw.MapRevision, device=raw.MapUniqueName, kind=raw.ItemKey, at=raw.DateCreated
    )


@model(
    key=["uuid"],
    tags=[],
    materialized="view",
    columns=[UUID, DEVICE, KIND, AT],
    locality=Within("uuid"),
)
def firsts(events: ir.Table) -> ir.Table:
    """One row per event id, the earliest."""
    order = [events.at, events.device, events.kind]
    position = ibis.row_number().over(group_by="uuid", order_by=order)
    return events.mutate(position=position).filter(_.position == 0).drop("position")


def no_device_is_x(commands: ir.Table) -> ir.Table:
    """No device is called x."""
    return commands.filter(_.device == "x")


@model(
    key=["uuid"],
    tags=[],
    columns=[UUID, DEVICE, AT, Column("day", "date", "its day", nullable=False)],
    partition_by="day",
    locality=Within("uuid"),
    checks=[
        RowCheck("no_device_is_y", _.device == "y", "no device is called y", "warn"),
        TableCheck(no_device_is_x, within="device"),
    ],
)
def commands(firsts: ir.Table) -> ir.Table:
    """One row per command, by its day."""
    chosen = firsts.filter(_.kind == "Command")
    return chosen.select("uuid", "device", "at", day=_["at"].date())


@model(
    key=["uuid"],
    tags=[],
    columns=[UUID, DEVICE, Column("next_at", TIMESTAMP, "when the device's next command was")],
    locality=Within("device"),
)
def nexts(commands: ir.Table) -> ir.Table:
    """One row per command, with the next one on its device."""
    order = ibis.window(group_by="device", order_by=["at", "uuid"])
    return commands.select("uuid", "device", next_at=commands["at"].lead().over(order))


@model(
    key=["uuid"],
    tags=[],
    columns=[UUID, Column("readings", "int64", "readings soon after", nullable=False)],
    locality=Within("uuid", firsts=Near("commands", "device", "at", "at", WINDOW)),
)
def answers(commands: ir.Table, firsts: ir.Table) -> ir.Table:
    """One row per command, with the number of readings in the 15 s after it."""
    readings = firsts.filter(_.kind == "DoorLocked").select(on=_.device, read_at=_["at"])
    soon = commands.join(
        readings,
        [
            commands.device == readings["on"],
            readings.read_at >= commands["at"],
            readings.read_at <= commands["at"] + ibis.interval(seconds=15),
        ],
    )
    counts = soon.group_by("uuid").agg(number=_.count())
    joined = commands.left_join(counts, "uuid")
    return joined.select("uuid", readings=_.number.fill_null(0))


@model(key=["name"], tags=[], columns=[Column("name", "string", "a user", nullable=False)])
def people(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select(name=raw_users.username).distinct()


def every_event_is_counted(raw_sync_events: int, events: int) -> ir.Table:
    """There are as many events as raw events."""
    both = ibis.literal(0).as_table().select(differ=ibis.literal(raw_sync_events != events))
    return both.filter(_.differ)


@model(
    key=["device"],
    tags=[],
    columns=[DEVICE, Column("commands", "int64", "its commands", nullable=False)],
    checks=[TableCheck(every_event_is_counted)],
)
def devices(commands: ir.Table, people: ir.Table, events: ir.Table) -> ir.Table:
    """One row per device that had a command; people are read for nothing."""
    return commands.group_by("device").agg(commands=_.count())


FEW = (events, firsts, commands, people, devices)
"""One model of each kind that a backend treats in its own way."""
FUNCTIONS = (events, firsts, commands, nexts, answers, people, devices)


def graph(*others: Callable[..., Any]) -> Graph:
    """The graph of these models; `others` replace those of the same name."""
    by_name = {each.__name__: each for each in (*FUNCTIONS, *others)}
    return Graph(each.model for each in by_name.values())
