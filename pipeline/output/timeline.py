"""The story of a command as a timeline, for a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

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
Entry = tuple[datetime | None, str, Text]


def timeline(story: Explanation) -> RenderableType:
    """Return the story as text with a table, one line for each thing that happened, by time."""
    parts = [*_head(story), *_table(story)]
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
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(story, story.command):
        facts.add_row(Text(name, style="dim"), Text(value))
    yield facts


def _facts(story: Explanation, command: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "asked for", story.asked
    yield "device", command["device_id"]
    yield "recorded", f"{_time(command['command_update_timestamp'])} UTC"
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


def _table(story: Explanation) -> Iterator[RenderableType]:
    entries = sorted(_entries(story), key=lambda entry: (entry[0] is None, entry[0] or 0))
    if not entries:
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("details", overflow="fold")
    start = story.command["command_update_timestamp"] if story.command else None
    for time, what, detail in entries:
        after = f"{(time - start).total_seconds():+.3f}" if time and start else ""
        table.add_row(_time(time), after, Text(what), detail)
    yield table


def _entries(story: Explanation) -> Iterator[Entry]:
    for event in story.events:
        yield event.update_timestamp, event.item_key or "(no ItemKey)", _event(event, story)
    for reading in story.readings:
        yield reading.update_timestamp, reading.reading_type, _reading(reading)
    for other in story.neighbours:
        detail = Text(f"{other.asked} ({other.command_uuid}, {other.outcome})")
        time = other.command_update_timestamp
        yield time, "other command", detail.append(f"\n{other.relation}", style="dim")


def _event(event: Event, story: Explanation) -> Text:
    detail = Text(event.says)
    if event.copies > 1 or not event.is_kept:
        detail.append(f"\n{event.reason}", style="" if event.is_kept else "yellow")
    return detail.append(f"\n{', '.join(_origin(event, story))}", style="dim")


def _origin(event: Event, story: Explanation) -> Iterator[str]:
    if story.command is None or event.device_id != story.command["device_id"]:
        yield f"device {event.device_id or 'unknown'}"
    yield f"map revision {event.map_revision or 'unknown'}"
    yield f"file {event.source_file or 'unknown'}"


def _reading(reading: Reading) -> Text:
    percent = f" at {reading.state_percent:g} %" if reading.state_percent is not None else ""
    unit = f" {reading.state_unit}" if reading.state_unit else ""
    style = "green" if reading.is_attributed and reading.matches_desired_state else ""
    detail = Text(f"reports {reading.state_value}{unit}{percent}")
    detail.append(f"\n{reading.match_reason}", style=style)
    return detail.append(f"\n{reading.attribution_reason}", style=style)


def _time(time: datetime | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f") if time else "no time"
