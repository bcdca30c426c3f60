"""Explains one command, from its raw events to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from pipeline.dialect import given_text
from pipeline.display import Displayed
from pipeline.errors import UsageError
from pipeline.explain.commands import (
    Neighbour,
    asked,
    command_on,
    command_row,
    day_of,
    neighbours,
    outcome_reason,
)
from pipeline.explain.events import Event, events_of
from pipeline.explain.readings import Reading, attributions, readings_of
from pipeline.explain.rows import Rows, Together
from pipeline.explain.search import Search
from pipeline.rules.items import COMMAND, COMMAND_ITEMS, READING_ITEMS
from pipeline.schedule import all_at_once

MODELS = ("stg_sync_events", "stg_repeated_events", "fct_command_readings", "dim_users")
"""The built models that an explanation reads."""

_ONE_BY_ONE: Together = partial(all_at_once, at_once=1)

_SIMILAR = 5
_LETTERS_A_TYPO = 4  # an id may be mistyped in one of so many letters


@dataclass(frozen=True, repr=False)
class Explanation(Displayed):
    """The story of a command, or of an id that no command has; shown as a timeline.

    `command` is its row of fct_command_readings without the array, with `username`. It is None if
    there is no such command: then `similar` has ids that the user may have meant. Times are UTC.
    Sensitive values are masked unless the user asked for them.
    """

    command_uuid: str
    command: Mapping[str, Any] | None
    asked: str
    outcome: str | None
    why: str
    events: tuple[Event, ...]
    readings: tuple[Reading, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    similar: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether a command has this id."""
        return self.command is not None

    def __repr__(self) -> str:
        return str(self)


def explain(
    uuid: str,
    table: Callable[[str], ir.Table],
    fetch: Callable[[ir.Table], pa.Table],
    together: Together = _ONE_BY_ONE,
    *,
    charges_by_bytes: bool = False,
) -> Explanation:
    """Explain the command with this id; `fetch` masks sensitive values.

    `together` evaluates several functions, perhaps at once. If the engine `charges_by_bytes`, a
    reading with a command's id on another device is found on the command's days alone.

    Raises:
        UsageError: the id is empty, or one of the MODELS is not built.
    """
    if not uuid:
        raise UsageError(
            "A command's id is not empty.", "`python cli.py show stg_commands` lists some."
        )
    events, repeated, commands, users = (table(name) for name in MODELS)

    def rows(expr: ir.Table) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = fetch(expr).to_pylist()
        return found

    search = Search(events, repeated, uuid, rows, together, charges_by_bytes)
    found = rows(day_of(commands, uuid))
    if not found:
        carrying = events_of(search.parts(None), rows, together)
        similar = _similar(commands, uuid, rows)
        why = _unknown_reason(carrying)
        return Explanation(uuid, None, "", None, why, carrying, similar=similar)
    own = command_on(commands, uuid, found[0]["command_date"])
    (command,) = rows(command_row(own, users))
    by_command: list[Callable[[], Any]] = [
        partial(neighbours, commands, command, rows),
        partial(attributions, commands, command, rows),
        partial(search.parts, command),
    ]
    nearby, owners, parts = together(by_command)
    at_last: list[Callable[[], Any]] = [
        partial(events_of, parts, rows, together),
        partial(readings_of, own, command, owners, nearby, rows),
    ]
    carrying, readings = together(at_last)
    return Explanation(
        uuid,
        command,
        asked(command),
        command["outcome"],
        outcome_reason(command),
        carrying,
        readings,
        tuple(neighbour for neighbour in nearby if neighbour.command_uuid != uuid),
    )


def _unknown_reason(events: tuple[Event, ...]) -> str:
    kinds = {event.item_key for event in events}
    if not kinds:
        return "No raw event carries this id."
    if COMMAND.key in kinds:
        return "Its Command came, but could not be used."
    if kinds & set(COMMAND_ITEMS):
        return "The hub reported it, but its Command never came."
    if kinds & set(READING_ITEMS):
        return "It is the id of a reading, not of a command."
    return "Only events of kinds that the pipeline does not read carry this id."


def _similar(commands: ir.Table, uuid: str, rows: Rows) -> tuple[str, ...]:
    ids = commands.select("command_uuid")
    begin = (
        ids.filter(_.command_uuid.startswith(given_text(uuid)))
        .order_by("command_uuid")
        .limit(_SIMILAR)
    )
    if found := rows(begin):
        return tuple(row["command_uuid"] for row in found)
    typed = given_text(uuid.lower())
    distance = ids.mutate(distance=ids.command_uuid.lower().levenshtein(typed))
    near = distance.filter(_.distance <= len(uuid) // _LETTERS_A_TYPO)
    nearest = near.order_by("distance", "command_uuid").limit(_SIMILAR)
    return tuple(row["command_uuid"] for row in rows(nearest))
