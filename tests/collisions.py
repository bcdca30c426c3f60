"""Raw events of the small models with few ids, devices and times, so many collide."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

from conftest import raw_event

Row = dict[str, Any]
START = dt.datetime(2022, 1, 31, 23, 59, 50, tzinfo=dt.UTC)


def event(uuid: str, kind: str = "Command", device: str = "d", at: float = 0) -> Row:
    """A raw event, so many seconds after the start."""
    time = START + dt.timedelta(seconds=at)
    return raw_event(kind, MapRevision=uuid, MapUniqueName=device, DateCreated=time)


def moved(random: Random, row: Row) -> Row:
    """A late copy of an event: at another time, sometimes from another device or kind."""
    shift = dt.timedelta(seconds=random.choice((-86_400, -20, -15, -1, 1, 15, 16, 86_400)))
    changes = {"DateCreated": row["DateCreated"] + shift}
    if random.random() < 0.4:
        changes["MapUniqueName"] = random.choice("abc")
    if random.random() < 0.2:
        changes["ItemKey"] = random.choice(("Command", "DoorLocked"))
    return row | changes


def history(random: Random, number: int) -> list[Row]:
    """Events of few ids, devices and times."""
    return [
        event(
            random.choice("pqrstuvw") + str(random.randrange(4)),
            random.choice(("Command", "DoorLocked")),
            random.choice("abc"),
            random.choice((0, 1, 7, 14.999999, 15, 15.000001, 16, 30, 86_400, 86_407)),
        )
        for _ in range(number)
    ]
