"""Plants unique PINs wherever one may come, and finds them in outputs."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path
from typing import Any

from conftest import command, raw_event, raw_user, reading, result

_NUMBERS = itertools.count(7_301_904_000, 7)
PINS: list[str] = []


def pin() -> str:
    """A PIN that no other value looks like."""
    PINS.append(str(next(_NUMBERS)))
    return PINS[-1]


def desired(uuid: str, state: Any, **columns: Any) -> dict[str, Any]:
    return raw_event("Command", {"uuid": uuid, "desired_state": state}, **columns)


def _whole() -> list[dict[str, Any]]:
    """Events that hold a PIN and are staged, copies among them."""
    return [
        command("text", "PinAssignment", 1, pin()),
        command("number", "PinAssignment", 2, int(pin())),
        command("letters", "PinAssignment", 3, f"no pin {pin()}"),
        command("third", "PinAssignment", 4, "None", pin()),
        command("nested", "PinAssignment", 5, {"pin": [pin()]}),
        command("copies", "PinAssignment", 6, pin()),
        command("copies", "PinAssignment", 6, pin(), at=1, _source_file="file-2"),
        command("slot", "PinAssignment", None, pin()),
        command("another", "LockedState", "locked", pin()),
        command("user", "PinAssignment", 7, pin(), MapUniqueName="d2"),
        result("text"),
        reading("r", "true"),
    ]


def _faulty() -> list[dict[str, Any]]:
    """Events that hold a PIN and are not staged, one for each disposition."""
    assignment = ["PinAssignment", 1, pin()]
    return [
        desired("removed", assignment, EventType="map_item_removed"),
        desired("scope", ["PinAssignment", 1, pin()], ItemKey="Other"),
        raw_event("Command", '{"uuid":"cut","desired_state":["PinAssignment",1,"' + pin()),
        raw_event("Command", '["PinAssignment",1,"' + pin() + '"]'),
        raw_event("Command", pin()),
        desired("device", ["PinAssignment", 1, pin()], MapUniqueName=""),
        desired("time", ["PinAssignment", 1, pin()], DateCreated=None),
        desired("", ["PinAssignment", 1, pin()]),
        desired("object", {"PinAssignment": [1, pin()]}),
        desired("text", f"PinAssignment {pin()}"),
        desired("first", [["PinAssignment", 1, pin()]]),
        desired("null", [None, 1, pin()]),
        desired("all", ["(all)", 1, pin()]),
        raw_event("DoorLocked", {"uuid": "s", "state": None, "pin": pin()}),
    ]


def _as_ndjson(event: dict[str, Any]) -> str:
    # ItemData is an object if it can be one
    with contextlib.suppress(ValueError, TypeError):
        event = event | {"ItemData": json.loads(event["ItemData"])}
    return json.dumps(event, default=str)


def write(folder: Path) -> list[str]:
    """Write files of both sources with the PINs; return the options that read them."""
    events, users = folder / "events.ndjson", folder / "users.ndjson"
    events.write_text("".join(_as_ndjson(event) + "\n" for event in [*_whole(), *_faulty()]))
    users.write_text(json.dumps(raw_user(), default=str) + "\n")
    return ["--events", str(events), "--users", str(users)]


def told(text: str) -> list[str]:
    """The PINs that a text holds."""
    return [each for each in PINS if each in text]
