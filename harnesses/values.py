"""Raw rows, good ones and mutated ones, in files of every kind."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources import SOURCES

Row = dict[str, Any]
EVENT_COLUMNS = tuple(SOURCES["raw_sync_events"].schema)
USER_COLUMNS = tuple(SOURCES["raw_users"].schema)
STRANGE_COLUMNS = ("a.b", 'a"b', "'; DROP TABLE raw_users; --", "select", "../etc/passwd")
"""Columns that no source has, in the files of the bad rows."""

_GOOD_USERS = 50
_HUGE = 2_000_000
_SHOWN = "Ab9 _é😀"

HARD = (
    *("", " ", "null", "NULL", "true", "None", "nan", "NaN", "-Infinity", "inf", "1e400", "-0"),
    *("0x1F", "1_000", "007", "1" * 400, "9" * 19, "-9223372036854775809", "0.1e-400", "1e5"),
    *("'", '"', "`", "\\", "''; DROP TABLE stg_commands; --", "' OR '1'='1", "$1", "?", "%s"),
    *("{", "[", "{}", "[]", '{"a"', "[[[", '{"uuid": {}}', "<script>", "[red]", "${HOME}"),
    *("../../etc/passwd", "/dev/zero", "s3://a/b", "file:///etc/passwd", "C:\\a", "a/*.parquet"),
    *("\ufeff", "\u2028", "\u200b", "\x01\x02\x1f\x7f", "\t\r\n", "\u202eabc", "e\u0301", "İ", "ß"),
    *("2022-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-14:00", "infinity"),
    *("99999-01-01T00:00:00Z", "-0001-01-01 00:00:00", "2022-01-01T24:00:00Z", "epoch", "now"),
    *("\0", "a\0b", "\0" * 9, "\\u0000", "\\ud800", '"\\udc00\\ud800"', '{"a": "\\u0000"}'),
    *("1641038400", "1641038400123.9", "-0.9", "1641038400123456789", "-62135596801", "1.", "1e9"),
    *("9223372036854775807", "-9223372036854775808", "9223372036854775808", "1" + "0" * 17),
    *("2022-01-01 12:00:00+0130", "2022-01-01 12:00:00 UTC", "2022-01-01", "1001.0", "-7.00"),
    *("(all)", "map_item_removed", "Command", "command", "COMMAND", "Reading", "DoorLocked"),
)
"""Texts with a meaning to a parser, an engine, a shell or a person."""


def event(kind: int, story: str, at: dt.datetime, who: str) -> Row:
    """One of the four events of a story: a command, its pick-up, its result and the reading."""
    uuid = f"{who}-{story}"
    items: tuple[tuple[str, dict[str, Any]], ...] = (
        (
            "Command",
            {"uuid": uuid, "user": 900000 + int(story) % _GOOD_USERS, "client": "ios"}
            | {"timestamp": "2022-01-01T00:00:00Z", "desired_state": ["LockedState", "locked"]},
        ),
        ("CommandActive", {"uuid": uuid, "node_id": 7}),
        ("CommandResult", {"uuid": uuid, "result": int(story) % 3 > 0, "node_id": 7}),
        ("DoorLocked", {"uuid": f"r-{uuid}", "state": "true"}),
    )
    key, item = items[kind]
    return dict.fromkeys(EVENT_COLUMNS, "7") | {
        "EventType": "map_item_updated",
        "DateCreated": (at + dt.timedelta(milliseconds=700 * kind)).isoformat(),
        "MapRevision": f"{4 * int(story) + kind:x}",
        "ItemKey": key,
        "ItemRevision": "1",
        "EndpointId": "endpoint",
        "ItemData": json.dumps(item),
        "MapUniqueName": f"{who}-{int(story) % 5_000}",
        "_source_file": "file-1",
    }


def mutated(random: Random, row: Row, number: int) -> Row:
    """Break a row in one to three places; it never gets the ids or the device of a good row.

    In kinds of files with JSON values, a column may get such a value; in others its text.
    """
    row = dict.fromkeys(STRANGE_COLUMNS) | row
    if number % 5_000 == 7:
        row["ItemData"] = _huge(random, row["ItemData"])
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.6:
            row["ItemData"] = _document(random, row["ItemData"] or "", number)
        else:
            name = random.choice(list(row))
            row[name] = _text(random, row[name])
    if random.random() < 0.05:
        row[random.choice(list(row))] = _value(random)
    return row


def _document(random: Random, text: str, number: int) -> str | None:
    """Mutate JSON as text or by its values."""
    at = random.randrange(len(text) + 1)
    depth = random.choice((3, 60, 499, 501, 1_001, 20_000 if number % 97 == 0 else 5))
    choices = (
        lambda: text[:at],
        lambda: text[at:],
        lambda: text[:at] + random.choice(HARD) + text[at:],
        lambda: text[:at] + chr(random.choice((0, 1, 8, 31, 127, 0x2028, 0xFEFF))) + text[at:],
        lambda: text[:at] + random.choice(("\\ud800", "\\u0000", "\\x", "\\u12", "\\")) + text[at:],
        lambda: text + random.choice((",", "}", "x", " {}", "\x00", "//")),
        lambda: "\ufeff" + text,
        lambda: text.replace('"', "'"),
        lambda: text.replace("{", "{" + text.strip("{}") + ",", 1),
        lambda: '{"a":' * depth + (text or "1") + "}" * depth,
        lambda: "[" * depth + "]" * random.choice((depth, depth - 1)),
        lambda: json.dumps([text]),
        lambda: json.dumps(text),
        lambda: _with_values(random, text),
        lambda: _with_values(random, text),
        lambda: _with_values(random, text),
    )
    return _text(random, text) if random.random() < 0.05 else random.choice(choices)()


def _huge(random: Random, text: str) -> str:
    return random.choice(
        (
            text.replace('"bad', '"' + "x" * _HUGE + "bad"),
            text[:-1] + ', "user": ' + "7" * _HUGE + "}",
            text[:-1] + ', "desired_state": ["PinAssignment", 1, ' + "1," * _HUGE + "1]}",
            text[: len(text) // 2] + "\\u00e9" * (_HUGE // 6),
        )
    )


def _with_values(random: Random, text: str) -> str:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(item, dict):
        return text
    for _ in range(random.choice((1, 2, 4))):
        keys = [*item, "command_id", "uuid", "desired_state", "state", "a.b", 'a"b', "$", "0", ""]
        item[random.choice(keys)] = _value(random)
    shown = json.dumps(item, ensure_ascii=random.random() < 0.5)
    return shown.encode(errors="replace").decode()


def _value(random: Random) -> Any:
    text = random.choice(HARD)
    return random.choice(
        (
            *(text, text, None, True, [], {}, 7.0, -0.0, 1e300, 10**25, 2**63, 1e-7, [None]),
            *(1641038400.9, 1641038400123, 1641038400123456789, -(2**63), -62135596801, 1e17),
            *(
                ["PinAssignment", text, {"a": text}],
                ["DimmerState", "Multilevel On", text],
                [[text]],
            ),
            *(
                {"value": text, "percent": text},
                {"value": {}, "unit": text},
                [text, text],
                ["(all)"],
            ),
            *(["ThermostatHeatSetPoint", text], {"value": [text]}, {"": text}, [text] * 50),
        )
    )


def _text(random: Random, value: str | None) -> str | None:
    kind = random.random()
    if kind < 0.15:
        return None
    if kind < 0.75:
        return random.choice(HARD)
    if kind < 0.76:
        return random.choice(_SHOWN) * random.choice((5_000, 70_000))
    if kind < 0.88:
        return (value or "")[: random.randrange(12)]
    return "".join(chr(random.choice((*range(600), 0x1F600))) for _ in range(9))


def user(random: Random, number: int, good: bool) -> Row:
    """A version of a user, a good one or a mutated one."""
    row: Row = {
        "uid": str(900000 + number % _GOOD_USERS if good else 1000 + number),
        "username": f"user-{number % _GOOD_USERS}",
        "dateRegistered": "2021-01-01T00:00:00Z",
        "last_modified": f"2021-06-01T00:{number // _GOOD_USERS % 60:02}:00Z",
    }
    if not good:
        for name in random.choices(USER_COLUMNS, k=2):
            row[name] = _text(random, row[name])
        if str(row["uid"]).startswith("900000"):
            row["uid"] = "x"
        if random.random() < 0.05:
            row[random.choice(USER_COLUMNS)] = _value(random)
    return row


def plain(row: Row) -> dict[str, str | None]:
    """Return a row's values as texts; other values become their JSON."""
    return {
        name: value if isinstance(value, str | None) else json.dumps(value)
        for name, value in row.items()
    }


class Files:
    """Files of good and bad rows; the bad rows take turns in all kinds of files."""

    def __init__(self, folder: Path) -> None:
        self.good: dict[str, list[Path]] = {"events": [], "users": []}
        self.bad: dict[str, list[Path]] = {"events": [], "users": []}
        self.events = self.good_events = self.users = 0
        self._folder = folder

    @property
    def all(self) -> dict[str, list[Path]]:
        """Return every file, by its source."""
        return {name: self.good[name] + self.bad[name] for name in self.good}

    def write(self, rows: list[tuple[bool, Row]]) -> None:
        """Write some events."""
        good = [row for is_good, row in rows if is_good]
        bad = [row for is_good, row in rows if not is_good]
        number = len(self.good["events"])
        self.good["events"].append(self._write(f"good-{number}", "parquet", good, EVENT_COLUMNS))
        self.bad["events"] += self._write_each(
            f"bad-{number}", bad, EVENT_COLUMNS + STRANGE_COLUMNS
        )
        self.events += len(rows)
        self.good_events += len(good)

    def write_users(self, random: Random, number: int) -> None:
        """Write so many users, one in four a good one."""
        good = [user(random, each, good=True) for each in range(number // 4)]
        bad = [user(random, each, good=False) for each in range(number - len(good))]
        self.good["users"].append(self._write("users", "parquet", good, USER_COLUMNS))
        self.bad["users"] += self._write_each("bad-users", bad, USER_COLUMNS)
        self.users += number

    def _write_each(self, stem: str, rows: list[Row], columns: tuple[str, ...]) -> list[Path]:
        kinds = ("parquet", "ndjson", "csv")
        return [
            self._write(stem, kind, rows[place :: len(kinds)], columns)
            for place, kind in enumerate(kinds)
        ]

    def _write(self, stem: str, kind: str, rows: list[Row], columns: tuple[str, ...]) -> Path:
        path = self._folder / f"{stem}.{kind}"
        if kind != "ndjson":
            rows = [plain(row) for row in rows]
        if kind == "parquet":
            arrays = {name: pa.array([row[name] for row in rows], pa.string()) for name in columns}
            pq.write_table(pa.table(arrays), path)
            return path
        with path.open("w", encoding="utf-8", newline="") as file:
            if kind == "csv":
                writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_ALL, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            else:
                file.writelines(json.dumps(row) + "\n" for row in rows)
        return path
