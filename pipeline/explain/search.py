"""Finds the parts of the staged events that hold an id, by kind, device and day.

An engine that charges by bytes then reads narrow columns of one kind, and all columns of a few days
or of one device.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import Deferred, _

from pipeline.contract import TIMESTAMP
from pipeline.dialect import given_text
from pipeline.explain.rows import Rows, Together
from pipeline.rules.items import ACTIVE, COMMAND, COMMAND_ITEMS, READING, RESULT, UNSTAGED

_RECORDED = {
    COMMAND.key: "command_update_timestamp",
    ACTIVE.key: "active_update_timestamp",
    RESULT.key: "result_update_timestamp",
}
"""The column of a command's row with the time of each event that carries its id."""


@dataclass(frozen=True)
class Search:
    """Looks for an id among the staged events."""

    events: ir.Table
    repeated: ir.Table
    uuid: str
    rows: Rows
    together: Together
    charges_by_bytes: bool = False

    def parts(self, command: Mapping[str, Any] | None) -> list[ir.Table]:
        """Return tables of all events that carry the id, also those whose JSON is broken.

        The row of the command tells the times of its events that came once. Without a command, the
        id may be that of any event. A reading may have a command's id too. Readings of the
        command's device are in one place, so any engine finds them. Those of all other devices fill
        a wide column. An engine that charges by bytes looks for them on the command's days alone.
        """
        asked: list[Callable[[], Any]] = [self._unstaged, partial(self._staged, command)]
        if command:
            asked.append(partial(self._readings, command))
        parts = self.together(asked)
        return [part for part in parts if part is not None]

    def _unstaged(self) -> ir.Table | None:
        # broken JSON is not parsed, but an id between quotes can still be found
        quoted = _.item_data.contains(given_text(f'"{self.uuid}"'))
        unstaged = self.events.filter(_.staged_kind == UNSTAGED)
        named = unstaged.filter((_.item_uuid == given_text(self.uuid)) | quoted)
        (found,) = self.rows(_times(named))
        if not found["events"]:
            return None
        broken = (_.disposition == "malformed_json") & quoted
        carrying = unstaged.filter((_.item_uuid == given_text(self.uuid)) | broken)
        return (
            carrying if found["without_time"] else _between(carrying, found["first"], found["last"])
        )

    def _staged(self, command: Mapping[str, Any] | None) -> ir.Table | None:
        carrying = self.events.filter(_.item_uuid == given_text(self.uuid))
        times: list[datetime] = []
        kinds: Collection[str] = (*COMMAND_ITEMS, READING)
        if command:
            times = [command[name] for name in _RECORDED.values() if command[name]]
            kinds = self._kinds_that_came_again() | (set() if self.charges_by_bytes else {READING})
            carrying = carrying.filter((_.staged_kind != READING) | ~_has_device(command))
        if kinds:
            (found,) = self.rows(_times(carrying.filter(_.staged_kind.isin(sorted(kinds)))))
            times += [found["first"], found["last"]] if found["events"] else []
        if not times:
            return None
        of_a_kind = carrying.filter(_.staged_kind.isin([*COMMAND_ITEMS, READING]))
        return _between(of_a_kind, min(times), max(times))

    def _readings(self, command: Mapping[str, Any]) -> ir.Table:
        return self.events.filter(
            _.staged_kind == READING, _has_device(command), _.item_uuid == given_text(self.uuid)
        )

    def _kinds_that_came_again(self) -> set[str]:
        again = self.repeated.filter(
            _.staged_kind.isin(COMMAND_ITEMS), _.item_uuid == given_text(self.uuid)
        )
        return {row["staged_kind"] for row in self.rows(again.select("staged_kind"))}


def _has_device(command: Mapping[str, Any]) -> Deferred:
    return _.device_id == given_text(command["device_id"])


def _times(events: ir.Table) -> ir.Table:
    at = events.update_timestamp
    return events.aggregate(
        events=events.count(),
        without_time=events.count(where=at.isnull()),
        first=at.min(),
        last=at.max(),
    )


def _between(events: ir.Table, first: datetime, last: datetime) -> ir.Table:
    """Return the events of all days from one time to another; an engine skips other days."""
    low = datetime.combine(first.astimezone(UTC), time.min, UTC)
    high = datetime.combine(last.astimezone(UTC), time.max, UTC)
    return events.filter(
        events.update_timestamp.between(
            ibis.literal(low, type=TIMESTAMP), ibis.literal(high, type=TIMESTAMP)
        )
    )
