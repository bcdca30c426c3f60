"""The readings in a command's window: whether each matches, and its command, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis.expr.types as ir

from pipeline.explain.commands import Neighbour, within_reach
from pipeline.explain.rows import Rows
from pipeline.rules.commands import BY_NAME
from pipeline.rules.comparisons import (
    LEVEL_TOLERANCE,
    SET_POINT_TOLERANCE,
    NearSetPoint,
    SameLevel,
    set_points,
)
from pipeline.rules.matching import reading_word, with_expectation
from pipeline.rules.window import WINDOW_SECONDS

Owners = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Reading:
    """A reading in the window: its value, whether it matches, its command, and why.

    `attributed_to` is a command's id, None if the reading belongs to no command.
    """

    reading_uuid: str
    reading_type: str
    state_value: str
    state_unit: str | None
    state_percent: float | None
    update_timestamp: datetime
    event_timestamp: datetime | None
    seconds_after_command: float
    is_expected_type: bool
    matches_desired_state: bool
    is_attributed: bool
    match_reason: str
    attributed_to: str | None
    attribution_reason: str


def readings_of(
    own: ir.Table,
    command: Mapping[str, Any],
    owners: Owners,
    nearby: Sequence[Neighbour],
    rows: Rows,
) -> tuple[Reading, ...]:
    """Return the readings in the command's window, in their order; `own` is its row."""
    pairs = _unnested(with_expectation(own), "command", "expected_word", "expected_number")
    read, converted = set_points(pairs)
    compared = pairs.mutate(word=reading_word(pairs), read=read, converted=converted)
    in_order = compared.order_by("update_timestamp", "reading_type", "reading_uuid")
    return tuple(_reading(row, command, owners, nearby) for row in rows(in_order))


def attributions(
    commands: ir.Table,
    command: Mapping[str, Any],
    rows: Rows,
) -> Owners:
    """Return the command of each reading of the commands nearby, by the reading's type and id."""
    readings = _unnested(within_reach(commands, command), "command_uuid")
    attributed = readings.filter(readings.is_attributed)
    found = rows(attributed.select("command_uuid", "reading_type", "reading_uuid"))
    return {(row["reading_type"], row["reading_uuid"]): row["command_uuid"] for row in found}


def _unnested(commands: ir.Table, *columns: str) -> ir.Table:
    each = commands.select(*columns, reading=commands.readings).unnest("reading")
    fields = each.reading.type().names
    return each.select(*columns, **{name: each.reading[name] for name in fields})


def _reading(
    row: Mapping[str, Any],
    command: Mapping[str, Any],
    owners: Owners,
    nearby: Sequence[Neighbour],
) -> Reading:
    owner = owners.get((row["reading_type"], row["reading_uuid"]))
    fields = {name: row[name] for name in Reading.__dataclass_fields__ if name in row}
    return Reading(
        **fields,
        match_reason=_match_reason(row, command),
        attributed_to=owner,
        attribution_reason=_attribution_reason(row, command, owner, nearby),
    )


def _attribution_reason(
    row: Mapping[str, Any],
    command: Mapping[str, Any],
    owner: str | None,
    nearby: Sequence[Neighbour],
) -> str:
    kind = row["reading_type"]
    if owner is None:
        return f"attributed to no command: none in the {WINDOW_SECONDS} s before it expects {kind}"
    because = f"the latest command by then that expects {kind}"
    if owner == command["command_uuid"]:
        return f"attributed to this command, {because}"
    (other,) = (each for each in nearby if each.command_uuid == owner)
    return f"attributed to {owner} ({other.asked}, {other.seconds:+.3f} s), {because}"


def _match_reason(row: Mapping[str, Any], command: Mapping[str, Any]) -> str:
    kind, expected = command["command"], command["expected_type"]
    if expected is None:
        return f"can't match: no kind of reading shows the effect of a {kind}"
    if not row["is_expected_type"]:
        return f"can't match: only a {expected} reading shows the effect of a {kind}"
    verdict = "matches" if row["matches_desired_state"] else "does not match"
    compared = BY_NAME[kind].compared
    if isinstance(compared, NearSetPoint):
        return f"{verdict}: {_set_points_compared(row)}"
    if isinstance(compared, SameLevel) and row["word"] == row["expected_word"]:
        return f"{verdict}: {_levels_compared(row)}"
    return f"{verdict}: {_words_compared(row, command)}"


def _words_compared(row: Mapping[str, Any], command: Mapping[str, Any]) -> str:
    said = row["state_value"]
    if row["word"] != said.lower():
        said += f" (counts as {row['word']})" if row["word"] else " (matches nothing)"
    return f"it says {said}; asked: {_asked_word(row, command)}"


def _asked_word(row: Mapping[str, Any], command: Mapping[str, Any]) -> str:
    expected = row["expected_word"]
    asked, *_ = BY_NAME[command["command"]].parameters
    word = "nothing" if command[asked.name] is None else command[asked.name]
    if expected is None:
        return f"{word}, which no reading shows"
    return word if word.lower() == expected else f"{word} (shows as {expected})"


def _levels_compared(row: Mapping[str, Any]) -> str:
    word, level, percent = row["expected_word"], row["expected_number"], row["state_percent"]
    if level is None:
        return f"it says {row['state_value']}, and no level was asked for"
    if percent is None:
        return f"it says {row['state_value']}, and no percent to compare with {level:g}"
    near = abs(level - percent) <= LEVEL_TOLERANCE
    distance = f"at most {LEVEL_TOLERANCE}" if near else f"more than {LEVEL_TOLERANCE}"
    return f"it says {word} at {percent:g} %, {distance} from the asked {level:g}"


def _set_points_compared(row: Mapping[str, Any]) -> str:
    target, read, converted = row["expected_number"], row["read"], row["converted"]
    unit = f" {row['state_unit']}" if row["state_unit"] else ""
    if target is None or read is None:
        return f"{'the asked set point' if target is None else 'its value'} is not a number"
    said = f"{read:g}{unit}"
    if abs(target - read) <= SET_POINT_TOLERANCE:
        return f"{said} is at most {SET_POINT_TOLERANCE} from the asked {target:g}"
    if converted != read:
        said += f", {converted:g} in the other unit,"
    near = abs(target - converted) <= SET_POINT_TOLERANCE
    distance = "at most" if near else "more than"
    return f"{said} is {distance} {SET_POINT_TOLERANCE} from the asked {target:g}"
