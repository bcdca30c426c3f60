"""The story of a command as a timeline, for a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.output.fitting import Block, Wrapped
from pipeline.output.moments import moments
from pipeline.rules.window import WINDOW_SECONDS

if TYPE_CHECKING:
    from pipeline.explain import Explanation
    from pipeline.explain.events import Event
    from pipeline.explain.readings import Reading

OUTCOME_STYLES = {
    "confirmed": "green",
    "observed": "green",
    "unconfirmed": "yellow",
    "contradicted": "yellow",
}
Entry = tuple[datetime | None, str, list[Text]]


def timeline(story: Explanation) -> RenderableType:
    """Return the story as text: facts, then all events by time (UTC)."""
    parts = [*_head(story), *_things(story)]
    if story.similar:
        parts += [Text("Ids that may be meant:"), *(Text(f"  {each}") for each in story.similar)]
    elif story.command is None:
        parts.append(Text("`python cli.py show stg_commands` lists some ids."))
    return Group(*parts)


def story_json(story: Explanation) -> dict[str, Any]:
    """Return the story as one JSON-ready object."""
    return {"found": story.found, **asdict(story)}


def _head(story: Explanation) -> Iterator[RenderableType]:
    if story.command is None:
        yield Text(f"There is no command {story.command_uuid}. {story.why}", style="bold")
        return
    style = OUTCOME_STYLES.get(story.outcome or "", "red")
    title = Text(f"Command {story.command_uuid}: ", style="bold")
    yield title.append(story.outcome or "", style=style)
    yield Text(story.why)
    yield Block([(name, Text(value)) for name, value in _facts(story, story.command)])


def _facts(story: Explanation, command: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "asked for", story.asked
    yield "device", command["device_id"]
    [recorded] = moments([command["command_update_timestamp"]])
    yield "recorded", f"{recorded} UTC"
    yield "sent by", _sender(command)
    yield "hub", _answer(command)
    yield "readings", _counts(command)
    if others := len(story.neighbours):
        fate = "; superseded by the same kind of command" if command["is_superseded"] else ""
        yield "other commands", f"{others} to the device at most {WINDOW_SECONDS} s away{fate}"


def _sender(command: Mapping[str, Any]) -> str:
    user, name = command["user_id"], command["username"] or "unknown user"
    client = command["command_client"] or "unknown client"
    return f"user {user} ({name}), {client}" if user else f"no user, {client}"


def _answer(command: Mapping[str, Any]) -> str:
    if not command["has_hub_response"]:
        return "no answer"
    answered = "success" if command["is_hub_success"] else "failure"
    failure = command["command_failure_string"]
    return f"{answered}: {failure}" if failure else answered


def _counts(command: Mapping[str, Any]) -> str:
    expected = command["expected_type"]
    window = f"{command['reading_count']} in the {WINDOW_SECONDS} s after it"
    if expected is None:
        return window
    return (
        f"{window}, {command['expected_reading_count']} of type {expected}; "
        f"{command['matching_reading_count']} match, "
        f"{command['attributed_reading_count']} attributed to this command"
    )


def _things(story: Explanation) -> Iterator[RenderableType]:
    start = story.command["command_update_timestamp"] if story.command else None
    entries = sorted(_entries(story), key=lambda entry: (entry[0] is None, entry[0] or 0))
    if start:
        yield Text("\nTimes are UTC; beside them the seconds after the command.", style="dim")
    times = moments([time for time, _, _ in entries], missing="no time")
    for shown, (time, what, details) in zip(times, entries, strict=True):
        after = f"{(time - start).total_seconds():+.3f}" if time and start else ""
        yield Text(f"\n{shown}  {after:>8}  ").append(what, style="bold")
        yield from (Wrapped(detail, margin=4) for detail in details)


def _entries(story: Explanation) -> Iterator[Entry]:
    for event in story.events:
        yield event.update_timestamp, event.item_key or "(no ItemKey)", _event(event, story)
    for reading in story.readings:
        yield reading.update_timestamp, reading.reading_type, _reading(reading)
    for other in story.neighbours:
        detail = Text(f"{other.asked} ({other.command_uuid}, {other.outcome})")
        relation = Text(other.relation, style="dim")
        yield other.command_update_timestamp, "other command", [detail, relation]


def _event(event: Event, story: Explanation) -> list[Text]:
    details = [Text(event.says)]
    if event.copies > 1 or not event.is_kept:
        details.append(Text(event.reason, style="" if event.is_kept else "yellow"))
    return [*details, Text(", ".join(_origin(event, story)), style="dim")]


def _origin(event: Event, story: Explanation) -> Iterator[str]:
    if story.command is None or event.device_id != story.command["device_id"]:
        yield f"device {event.device_id or 'unknown'}"
    yield f"map revision {event.map_revision or 'unknown'}"
    yield f"file {event.source_file or 'unknown'}"


def _reading(reading: Reading) -> list[Text]:
    percent = f" at {reading.state_percent:g} %" if reading.state_percent is not None else ""
    unit = f" {reading.state_unit}" if reading.state_unit else ""
    style = "green" if reading.is_attributed and reading.matches_desired_state else ""
    reasons = (reading.match_reason, reading.attribution_reason)
    detail = Text(f"reports {reading.state_value}{unit}{percent}")
    return [detail, *(Text(reason, style=style) for reason in reasons)]
