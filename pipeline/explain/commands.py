"""Explains a command: its request, the commands in its window, the reason of its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.dialect import given_text, microseconds
from pipeline.explain.rows import Rows
from pipeline.rules.commands import PARAMETERS
from pipeline.rules.matching import with_expectation
from pipeline.rules.outcomes import OUTCOMES
from pipeline.rules.window import WINDOW, WINDOW_SECONDS, device_order, seconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOLD = {outcome.name: outcome.told for outcome in OUTCOMES}


@dataclass(frozen=True)
class Neighbour:
    """A command of the same device at most 15 s away; `seconds` is below 0 for an earlier one."""

    command_uuid: str
    command: str
    asked: str
    command_update_timestamp: datetime
    seconds: float
    outcome: str
    relation: str


def day_of(commands: ir.Table, uuid: str) -> ir.Table:
    """Return the command's day: narrow columns, so the other queries read one day alone."""
    return commands.filter(_.command_uuid == given_text(uuid)).select("command_date")


def command_on(commands: ir.Table, uuid: str, day: date) -> ir.Table:
    """Return the row of the command with this id, on its day."""
    return commands.filter(_.command_date == day, _.command_uuid == given_text(uuid))


def command_row(command: ir.Table, users: ir.Table) -> ir.Table:
    """Return the command's row without its readings, with its user's name and expectations."""
    names = users.select("user_id", "username")
    expected = with_expectation(command.drop("readings"))
    return expected.left_join(names, "user_id").drop("user_id_right")


def within_reach(commands: ir.Table, command: Mapping[str, Any]) -> ir.Table:
    """Return the device's commands at most 15 s from this one, itself included.

    One more column, `at`: their time in microseconds.
    """
    time: datetime = command["command_update_timestamp"]
    days = commands.command_date.between(_shifted(time, -1), _shifted(time, 1))
    same_device = commands.filter(commands.device_id == given_text(command["device_id"]), days)
    timed = same_device.mutate(at=microseconds(same_device.command_update_timestamp))
    return timed.filter((timed["at"] - _microseconds(time)).abs() <= WINDOW)


def neighbours(commands: ir.Table, command: Mapping[str, Any], rows: Rows) -> list[Neighbour]:
    """Return the device's commands at most 15 s away, in order, including this one."""
    near = within_reach(commands, command)
    position = ibis.row_number().over(order_by=device_order(near))
    after = seconds(near["at"] - _microseconds(command["command_update_timestamp"]))
    asked_for = (parameter.name for parameter in PARAMETERS)
    columns = ("command_uuid", "command", *asked_for, "command_update_timestamp", "outcome")
    found = rows(near.select(*columns, position=position, seconds=after))
    in_order = sorted(found, key=lambda row: row["position"])
    own = next(row for row in in_order if row["command_uuid"] == command["command_uuid"])
    return [_neighbour(row, own) for row in in_order]


def asked(command: Mapping[str, Any]) -> str:
    """Return a command's request in words: its name and its values."""
    values = [
        f"{each.name} {command[each.name]}" if each.is_labelled else str(command[each.name])
        for each in PARAMETERS
        if command[each.name] is not None
    ]
    return " ".join([command["command"], ", ".join(values)]).strip()


def outcome_reason(command: Mapping[str, Any]) -> str:
    """Return why the command has its outcome, in a sentence."""
    return f"{_TOLD[command['outcome']]} {_effect(command)}."


def _effect(command: Mapping[str, Any]) -> str:
    kind, reading = command["command"], command["expected_type"]
    window = f"in the {WINDOW_SECONDS} s after it"
    if command["has_attributed_matching_reading"]:
        after = command["seconds_to_first_matching_reading"]
        return f"the command's own {reading} reading shows the asked state, {after:.3f} s after it"
    if reading is None:
        return f"no kind of reading shows the effect of a {kind}"
    if not command["reading_count"]:
        return f"the device reported nothing {window}"
    if not command["expected_reading_count"]:
        return f"none of the device's {command['reading_count']} readings {window} is a {reading}"
    if not command["matching_reading_count"]:
        return f"no {reading} reading {window} shows the asked state"
    return f"the {reading} readings {window} that show the asked state belong to a later command"


def _neighbour(row: Mapping[str, Any], own: Mapping[str, Any]) -> Neighbour:
    return Neighbour(
        row["command_uuid"],
        row["command"],
        asked(row),
        row["command_update_timestamp"],
        row["seconds"],
        row["outcome"],
        _relation(row, own),
    )


def _relation(row: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    if row["command"] != own["command"]:
        return f"another command at most {WINDOW_SECONDS} s away: it shares the window"
    if row["position"] > own["position"]:
        return "the same kind of command again: it supersedes this one"
    return "the same kind of command before: this one supersedes it"


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _shifted(time: datetime, direction: int) -> date:
    # at the ends of the calendar there is no day before or after
    try:
        return (time + direction * timedelta(microseconds=WINDOW)).date()
    except OverflowError:
        return time.date()
