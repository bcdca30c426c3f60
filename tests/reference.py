"""The data contract in plain Python, for the property tests to compare with the pipeline.

It follows only the contract's text, as literally as possible: where the pipeline is clever, this
looks at every row. Sections are the contract's.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Rows = list[Row]

COMMAND_KEYS = ("Command", "CommandActive", "CommandResult")
READING_KEYS = (
    "ThermostatMode",
    "ThermostatOperatingState",
    "DoorLocked",
    "Switch",
    "Dimmer",
    "ThermostatHeatSetpoint",
    "ThermostatCoolSetpoint",
    "Temperature",
    "Humidity",
    "BatteryLevel",
)
EVENT_QUARANTINE = (
    "malformed_json",
    "missing_device_id",
    "missing_update_timestamp",
    "missing_command_uuid",
    "missing_desired_state",
    "missing_state",
)
USER_QUARANTINE = (
    "missing_user_id",
    "missing_username",
    "invalid_date_registered",
    "invalid_last_modified",
)
EXPECTED_READING = {
    "LockedState": "DoorLocked",
    "SwitchState": "Switch",
    "DimmerState": "Dimmer",
    "ThermostatMode": "ThermostatMode",
    "ThermostatHeatSetPoint": "ThermostatHeatSetpoint",
    "ThermostatCoolSetPoint": "ThermostatCoolSetpoint",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
WINDOW = timedelta(seconds=15)

SYNC_EVENT_COLUMNS = (
    "event_type",
    "update_timestamp",
    "map_revision",
    "item_key",
    "item_revision",
    "twilio_sync_endpoint_id",
    "item_data",
    "device_id",
    "_source_file",
    "_uid",
    "event_timestamp",
    "disposition",
    "_raw_date_created",
)
QUARANTINED_EVENT_COLUMNS = (
    "event_type",
    "update_timestamp",
    "map_revision",
    "item_key",
    "item_revision",
    "twilio_sync_endpoint_id",
    "item_data",
    "device_id",
    "_source_file",
    "_raw_date_created",
    "disposition",
)
USER_COLUMNS = ("user_id", "username", "date_registered", "last_modified")
UNKNOWN_USER = "(unknown user)"


def build(events: Rows, users: Rows) -> dict[str, Rows]:
    """Every model of sections 3 to 5 as rows, from the rows of the two sources."""
    staged_events = [sync_event(raw) for raw in events]
    kept = without_later_copies(staged_events)
    commands = [command(event) for event in kept if event["item_key"] == "Command"]
    actives = [command_active(event) for event in kept if event["item_key"] == "CommandActive"]
    results = [command_result(event) for event in kept if event["item_key"] == "CommandResult"]
    readings = [reading(event) for event in kept if event["item_key"] in READING_KEYS]

    staged_users = [staged_user(raw) for raw in users]
    people = [person for person in staged_users if is_the_users_row(person, staged_users)]
    dim_users = [columns(person, USER_COLUMNS) for person in people]

    statuses = [command_status(row, actives, results) for row in commands]
    with_readings = [command_readings(row, statuses, readings) for row in statuses]
    return {
        "stg_sync_events": [
            columns(without_raw_text(event), SYNC_EVENT_COLUMNS) for event in staged_events
        ],
        "stg_commands": commands,
        "stg_command_actives": actives,
        "stg_command_results": results,
        "stg_readings": readings,
        "stg_users": [dict(row) for row in dim_users],
        "quarantined_events": [
            columns(event, QUARANTINED_EVENT_COLUMNS)
            for event in staged_events
            if event["disposition"] in EVENT_QUARANTINE
        ],
        "quarantined_users": [
            quarantined_user(person)
            for person in staged_users
            if person["disposition"] in USER_QUARANTINE
        ],
        "audit_dispositions": audit(staged_events, kept, staged_users, people),
        "fct_command_statuses": statuses,
        "dim_users": dim_users,
        "met_daily_command_count_by_username": daily_counts(statuses, dim_users),
        "fct_command_readings": with_readings,
        "met_command_outcomes": command_outcomes(with_readings),
    }


def columns(row: Row, names: Sequence[str]) -> Row:
    return {name: row[name] for name in names}


# --- Section 2: values of the sources -------------------------------------------------------------


def as_text(value: object) -> str | None:
    """A STRING column that comes in another type, and a value 'as it came'."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        is_whole = math.isfinite(value) and value == math.floor(value)
        return str(int(value)) if is_whole and abs(value) < 2**53 else repr(value)
    if isinstance(value, Decimal):
        return str(int(value)) if value == int(value) else format(value, "f")
    if isinstance(value, date):
        return uid_time(midnight_or_time(value))
    return str(value)


def midnight_or_time(value: date) -> datetime:
    """A DATE is its midnight; all timestamps are UTC."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def uid_time(value: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS.ffffff+00`."""
    return value.replace(tzinfo=None).isoformat(" ", "microseconds") + "+00"


DATE_AND_TIME = re.compile(
    "([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?"
    "(?P<zone>Z|[+-][0-9]{2}:[0-9]{2}|[+-][0-9]{4}|[+-][0-9]{2}| UTC|)"
)


def time_of_item(text: str | None) -> datetime | None:
    """`timestamp` in ItemData: it ends with Z, ±HH:MM or no zone."""
    found = DATE_AND_TIME.fullmatch(text or "")
    if found is None or not re.fullmatch("(Z|[+-]..:..)?", found["zone"]):
        return None
    return time_of_text(text)


def time_of_text(text: str | None) -> datetime | None:
    """A TIMESTAMP that comes as ISO text: it may also end with ` UTC`, ±HH or ±HHMM."""
    found = DATE_AND_TIME.fullmatch(text or "")
    if found is None:
        return None
    offset = zone_offset(found["zone"])
    if offset is None:
        return None
    year, month, day, hour, minute, second = (int(found[group]) for group in range(1, 7))
    microsecond = int(((found[7] or "") + "000000")[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, timezone(offset))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def zone_offset(zone: str) -> timedelta | None:
    """From -14:00 to +14:00, minutes 00 to 59; None if it is no offset."""
    if zone in ("", "Z", " UTC"):
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[3:].removeprefix(":") or "0")
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset


def timestamp_of(value: object) -> datetime | None:
    """A TIMESTAMP of a source: a time, a date, an epoch number or text; else NULL."""
    if isinstance(value, date):
        return midnight_or_time(value)
    if isinstance(value, str):
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            return epoch(Decimal(value))
        return time_of_text(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return epoch(Decimal(value)) if math.isfinite(value) else None
    return None


def timestamp_of_user(value: object) -> datetime | None:
    """`dateRegistered`, `last_modified`: like DateCreated; a text may also be a bare date."""
    if isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return time_of_text(value + "T00:00:00")
    return timestamp_of(value)


def epoch(value: Decimal) -> datetime | None:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, by the size; fraction cut."""
    number = int(value)
    if not -(2**63) <= number < 2**63:
        return None
    if abs(number) < 10**11:
        microseconds = number * 1_000_000
    elif abs(number) < 10**14:
        microseconds = number * 1_000
    elif abs(number) < 10**17:
        microseconds = number
    else:
        microseconds = number // 1_000
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def user_id_of(uid: object) -> str | None:
    """The decimal text of an INT64, a whole number of another type, or text of one."""
    if isinstance(uid, str) and re.fullmatch(r"-?[0-9]+(\.0+)?", uid):
        number = int(Decimal(uid))
    elif isinstance(uid, int | float | Decimal) and not isinstance(uid, bool):
        if not math.isfinite(uid) or uid != math.floor(uid):
            return None
        number = int(uid)
    else:
        return None
    return str(number) if -(2**63) <= number < 2**63 else None


# --- Section 2: ItemData --------------------------------------------------------------------------


class NumberText(str):
    """A JSON number, as its original text."""


def json_object(text: str | None) -> Row | None:
    """The object in ItemData, or None if it is NULL, no JSON, or no object."""
    try:
        value = json.loads(
            text or "", parse_int=NumberText, parse_float=NumberText, parse_constant=no_json
        )
        compact_json(value).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def no_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def scalar(value: Any) -> str | None:
    """Scalars keep their JSON text; null, an object or an array is NULL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else None


def member(value: Any, name: str) -> str | None:
    """A scalar member of an object; NULL if there is no object or no such member."""
    return scalar(value.get(name)) if isinstance(value, dict) else None


def element(value: Any, index: int) -> str | None:
    """A scalar element of an array; NULL if there is no array or no such element."""
    return scalar(value[index]) if isinstance(value, list) and index < len(value) else None


def compact_json(value: Any) -> str:
    """JSON text without white space outside its strings."""
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(compact_json(each) for each in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{compact_json(name)}:{compact_json(each)}" for name, each in value.items())
        return "{" + ",".join(pairs) + "}"
    return json.dumps(value, ensure_ascii=False)


def number(text: str | None) -> float | None:
    """A text used as a number: JSON's own syntax, and a finite FLOAT64."""
    if text is None or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        return None
    return float(text) if math.isfinite(float(text)) else None


# --- Section 3: dispositions ----------------------------------------------------------------------


def sync_event(raw: Row) -> Row:
    """A row of stg_sync_events, with its parsed ItemData as `item`."""
    update_timestamp = timestamp_of(raw.get("DateCreated"))
    item_data = as_text(raw.get("ItemData"))
    item = json_object(item_data)
    device_id = as_text(raw.get("MapUniqueName"))
    map_revision = as_text(raw.get("MapRevision"))
    time_text = "" if update_timestamp is None else uid_time(update_timestamp)
    event = {
        "event_type": as_text(raw.get("EventType")),
        "update_timestamp": update_timestamp,
        "map_revision": map_revision,
        "item_key": as_text(raw.get("ItemKey")),
        "item_revision": as_text(raw.get("ItemRevision")),
        "twilio_sync_endpoint_id": as_text(raw.get("EndpointId")),
        "item_data": item_data,
        "device_id": device_id,
        "_source_file": as_text(raw.get("_source_file")),
        "_uid": f"{device_id or ''}_{map_revision or ''}_{time_text}",
        "event_timestamp": time_of_item(member(item, "timestamp")),
        "_raw_date_created": as_text(raw.get("DateCreated")) if update_timestamp is None else None,
        "item": item,
    }
    event["disposition"] = disposition(event)
    return event


def without_raw_text(event: Row) -> Row:
    """`item_data` is kept only in quarantined rows."""
    return event if event["disposition"] in EVENT_QUARANTINE else event | {"item_data": None}


def disposition(event: Row) -> str:
    """The first that applies, before dedup."""
    key, item = event["item_key"], event["item"]
    if event["event_type"] == "map_item_removed":
        return "removed"
    if key not in COMMAND_KEYS and key not in READING_KEYS:
        return "out_of_scope"
    if item is None:
        return "malformed_json"
    if event["device_id"] is None or event["device_id"] == "":
        return "missing_device_id"
    if event["update_timestamp"] is None:
        return "missing_update_timestamp"
    if key in COMMAND_KEYS and command_id(item) is None:
        return "missing_command_uuid"
    if key == "Command" and desired_kind(item) in (None, "(all)"):
        return "missing_desired_state"
    if key in READING_KEYS and state_value(item) is None:
        return "missing_state"
    return "staged"


def command_id(item: Row) -> str | None:
    """The first non-empty of `command_id`, `uuid`."""
    for name in ("command_id", "uuid"):
        if member(item, name) not in (None, ""):
            return member(item, name)
    return None


def desired_kind(item: Row) -> str | None:
    return element(item.get("desired_state"), 0)


def state_value(item: Row) -> str | None:
    """`state.value`, else scalar `state`."""
    value = member(item.get("state"), "value")
    return scalar(item.get("state")) if value is None else value


def staged_user(raw: Row) -> Row:
    """A raw user as read, as it came (`raw`), and its disposition before dedup."""
    person = {
        "user_id": user_id_of(raw.get("uid")),
        "username": as_text(raw.get("username")),
        "date_registered": timestamp_of_user(raw.get("dateRegistered")),
        "last_modified": timestamp_of_user(raw.get("last_modified")),
        "raw": raw,
    }
    if person["user_id"] is None:
        person["disposition"] = "missing_user_id"
    elif person["username"] is None or person["username"] == "":
        person["disposition"] = "missing_username"
    elif person["date_registered"] is None:
        person["disposition"] = "invalid_date_registered"
    elif person["last_modified"] is None:
        person["disposition"] = "invalid_last_modified"
    else:
        person["disposition"] = "staged"
    return person


def quarantined_user(person: Row) -> Row:
    raw = person["raw"]
    return {
        "uid": as_text(raw.get("uid")),
        "username": person["username"],
        "date_registered": as_text(raw.get("dateRegistered")),
        "last_modified": as_text(raw.get("last_modified")),
        "disposition": person["disposition"],
    }


def audit(events: Rows, kept_events: Rows, users: Rows, kept_users: Rows) -> Rows:
    """The number of raw rows by disposition; later copies are `duplicate`."""
    counts: Counter[tuple[str, str | None, str]] = Counter()
    for event in events:
        final = final_disposition(event, kept_events)
        counts["raw_sync_events", event["item_key"], final] += 1
    for person in users:
        counts["raw_users", None, final_disposition(person, kept_users)] += 1
    return [
        {"source": source, "item_key": key, "disposition": final, "number_of_rows": rows}
        for (source, key, final), rows in counts.items()
    ]


def final_disposition(row: Row, kept: Rows) -> str:
    is_later_copy = row["disposition"] == "staged" and not any(row is other for other in kept)
    return "duplicate" if is_later_copy else row["disposition"]


# --- Section 4: staging ---------------------------------------------------------------------------


def without_later_copies(events: Rows) -> Rows:
    """The staged events that are first among those with their model and key."""
    staged = [event for event in events if event["disposition"] == "staged"]
    kept: Rows = []
    for event in staged:
        copies = [other for other in staged if dedup_key(other) == dedup_key(event)]
        first = min(copies, key=dedup_order)
        if first is event:
            kept.append(event)
    return kept


def dedup_key(event: Row) -> tuple[str | None, ...]:
    if event["item_key"] in COMMAND_KEYS:
        return event["item_key"], command_id(event["item"])
    return "reading", event["device_id"], event["item_key"], reading_uuid(event)


def dedup_order(event: Row) -> tuple[Any, ...]:
    """The earliest wins, then revision, file and content, NULL last in each."""
    item = event["item"]
    desired_state = item.get("desired_state")
    content = (
        event["event_timestamp"],
        None if desired_state is None else compact_json(desired_state),
        member(item, "client"),
        member(item, "user") or None,
        member(item, "origin"),
        member(item, "origin_id"),
        member(item, "node_id"),
        member(item, "result"),
        member(item, "failure_string"),
        state_value(item),
        member(item.get("state"), "unit"),
        number(member(item.get("state"), "percent")),
        event["device_id"],
    )
    return (
        event["update_timestamp"],
        null_last(event["map_revision"], hex_order),
        null_last(event["_source_file"]),
        *map(null_last, content),
    )


def null_last(value: Any, order: Callable[[Any], Any] = lambda value: value) -> tuple[Any, ...]:
    return (1,) if value is None else (0, order(value))


def hex_order(revision: str) -> tuple[int, str]:
    return len(revision), revision


def command(event: Row) -> Row:
    """A row of stg_commands."""
    item = event["item"]
    desired_state = item["desired_state"]

    def desired(kind: str, index: int) -> str | None:
        return element(desired_state, index) if desired_kind(item) == kind else None

    return {
        "command_uuid": command_id(item),
        "command": desired_kind(item),
        "command_client": member(item, "client"),
        "thermostat_heat_set_point": desired("ThermostatHeatSetPoint", 1),
        "thermostat_cool_set_point": desired("ThermostatCoolSetPoint", 1),
        "thermostat_mode": lower(desired("ThermostatMode", 1)),
        "slot": desired("PinAssignment", 1),
        "pin": desired("PinAssignment", 2),
        "switch_state": lower(desired("SwitchState", 1)),
        "dimmer_state": desired("DimmerState", 1),
        "dimmer_level": desired("DimmerState", 2),
        "lock_state": lower(desired("LockedState", 1)),
        "user_id": member(item, "user") or None,
        "command_origin": member(item, "origin"),
        "command_origin_id": member(item, "origin_id"),
        "update_timestamp": event["update_timestamp"],
        "event_timestamp": event["event_timestamp"],
        "device_id": event["device_id"],
        "map_revision": event["map_revision"],
        "_raw_command_desired_state": compact_json(desired_state),
        "_uid": event["_uid"],
        "_source_file": event["_source_file"],
    }


def lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def command_active(event: Row) -> Row:
    """A row of stg_command_actives."""
    return {
        "command_uuid": command_id(event["item"]),
        "command_node_id": member(event["item"], "node_id"),
        "update_timestamp": event["update_timestamp"],
        "event_timestamp": event["event_timestamp"],
        "device_id": event["device_id"],
        "map_revision": event["map_revision"],
        "_uid": event["_uid"],
        "_source_file": event["_source_file"],
    }


def command_result(event: Row) -> Row:
    """A row of stg_command_results."""
    item = event["item"]
    said = lower(member(item, "result")) or ""
    return {
        "command_uuid": command_id(item),
        "is_hub_success": re.search(r"\b(true|success)\b", said, re.ASCII) is not None,
        "command_failure_string": member(item, "failure_string"),
        "command_node_id": member(item, "node_id"),
        "update_timestamp": event["update_timestamp"],
        "event_timestamp": event["event_timestamp"],
        "device_id": event["device_id"],
        "map_revision": event["map_revision"],
        "_uid": event["_uid"],
        "_source_file": event["_source_file"],
    }


def reading(event: Row) -> Row:
    """A row of stg_readings."""
    item = event["item"]
    return {
        "reading_uuid": reading_uuid(event),
        "device_id": event["device_id"],
        "reading_type": event["item_key"],
        "state_value": state_value(item),
        "state_unit": member(item.get("state"), "unit"),
        "state_percent": number(member(item.get("state"), "percent")),
        "update_timestamp": event["update_timestamp"],
        "event_timestamp": event["event_timestamp"],
        "map_revision": event["map_revision"],
        "_uid": event["_uid"],
        "_source_file": event["_source_file"],
    }


def reading_uuid(event: Row) -> str:
    """`uuid`, or `_uid` if it is missing or empty."""
    return member(event["item"], "uuid") or event["_uid"]


def is_the_users_row(person: Row, everybody: Rows) -> bool:
    """Staged, and no row of the same uid is preferred (of equal rows the first one stays)."""
    rows = [
        other
        for other in everybody
        if other["disposition"] == "staged" and other["user_id"] == person["user_id"]
    ]
    latest = max((row["last_modified"] for row in rows), default=None)
    rows = [row for row in rows if row["last_modified"] == latest]
    registered = max((row["date_registered"] for row in rows), default=None)
    rows = [row for row in rows if row["date_registered"] == registered]
    username = min((row["username"] for row in rows), default=None)
    rows = [row for row in rows if row["username"] == username]
    return bool(rows) and rows[0] is person


# --- Section 5: commands and their days -----------------------------------------------------------


def command_status(row: Row, actives: Rows, results: Rows) -> Row:
    """A row of fct_command_statuses: joined on `command_uuid` alone."""
    active = with_uuid(actives, row["command_uuid"])
    result = with_uuid(results, row["command_uuid"])
    return {
        "command_uuid": row["command_uuid"],
        "device_id": row["device_id"],
        "command": row["command"],
        "command_client": row["command_client"],
        "thermostat_heat_set_point": row["thermostat_heat_set_point"],
        "thermostat_cool_set_point": row["thermostat_cool_set_point"],
        "thermostat_mode": row["thermostat_mode"],
        "slot": row["slot"],
        "pin": row["pin"],
        "switch_state": row["switch_state"],
        "lock_state": row["lock_state"],
        "dimmer_state": row["dimmer_state"],
        "dimmer_level": row["dimmer_level"],
        "user_id": row["user_id"],
        "command_timestamp": row["event_timestamp"],
        "active_timestamp": active.get("event_timestamp"),
        "result_timestamp": result.get("event_timestamp"),
        "command_active_node_id": active.get("command_node_id"),
        "command_result_node_id": result.get("command_node_id"),
        "is_hub_success": result.get("is_hub_success", False),
        "has_hub_response": bool(result),
        "command_failure_string": result.get("command_failure_string"),
        "command_update_timestamp": row["update_timestamp"],
        "command_map_revision": row["map_revision"],
        "active_update_timestamp": active.get("update_timestamp"),
        "result_update_timestamp": result.get("update_timestamp"),
        "command_origin": row["command_origin"],
        "command_origin_id": row["command_origin_id"],
        "_raw_command_desired_state": row["_raw_command_desired_state"],
        "_command_uid": row["_uid"],
        "_command_active_uid": active.get("_uid"),
        "_command_result_uid": result.get("_uid"),
        "command_date": row["update_timestamp"].date(),
    }


def with_uuid(rows: Rows, command_uuid: str) -> Row:
    """The one row of that command, or an empty one."""
    return next((row for row in rows if row["command_uuid"] == command_uuid), {})


def daily_counts(statuses: Rows, users: Rows) -> Rows:
    """Every username that issued a command, on every day from the first to the last."""
    if not statuses:
        return []
    usernames = {row["user_id"]: row["username"] for row in users}
    issued = [
        (
            "(no user)" if row["user_id"] is None else usernames.get(row["user_id"], UNKNOWN_USER),
            row["command_date"],
            row["is_hub_success"],
        )
        for row in statuses
    ]
    day = min(on for _, on, _ in issued)
    last = max(on for _, on, _ in issued)
    counts: Rows = []
    while True:
        for username in sorted({by for by, _, _ in issued}):
            successes = [ok for by, on, ok in issued if (by, on) == (username, day)]
            counts.append(
                {
                    "username": username,
                    "timestamp_date": midnight_or_time(day),
                    "number_of_commands": len(successes),
                    "number_of_successful_commands": sum(successes),
                }
            )
        if day == last:
            return counts
        day += timedelta(days=1)


# --- Section 5: commands and the readings they caused ---------------------------------------------


def command_readings(status: Row, statuses: Rows, readings: Rows) -> Row:
    """A row of fct_command_readings."""
    found = [
        reading_of_command(row, status, statuses)
        for row in readings
        if row["device_id"] == status["device_id"] and is_in_window(row, status)
    ]
    found.sort(key=lambda row: (row["update_timestamp"], row["reading_type"], row["reading_uuid"]))
    matching = [row for row in found if row["matches_desired_state"]]
    confirming = [row for row in matching if row["is_attributed"]]
    return {
        **status,
        "readings": found,
        "reading_count": len(found),
        "expected_reading_count": sum(row["is_expected_type"] for row in found),
        "matching_reading_count": len(matching),
        "attributed_reading_count": sum(row["is_attributed"] for row in found),
        "has_matching_reading": bool(matching),
        "has_attributed_matching_reading": bool(confirming),
        "seconds_to_first_matching_reading": min(
            (row["seconds_after_command"] for row in confirming), default=None
        ),
        **neighbours(status, statuses),
        "outcome": outcome(status, bool(confirming)),
    }


def is_in_window(reading: Row, status: Row) -> bool:
    after = reading["update_timestamp"] - status["command_update_timestamp"]
    return timedelta(0) <= after <= WINDOW


def reading_of_command(row: Row, status: Row, statuses: Rows) -> Row:
    return {
        "reading_uuid": row["reading_uuid"],
        "reading_type": row["reading_type"],
        "state_value": row["state_value"],
        "state_unit": row["state_unit"],
        "state_percent": row["state_percent"],
        "update_timestamp": row["update_timestamp"],
        "event_timestamp": row["event_timestamp"],
        "seconds_after_command": seconds(
            row["update_timestamp"] - status["command_update_timestamp"]
        ),
        "is_expected_type": is_expected(row, status),
        "matches_desired_state": matches(row, status),
        "is_attributed": attributed_command(row, statuses) is status,
    }


def seconds(span: timedelta) -> float:
    return span // MICROSECOND / 1_000_000


def is_expected(reading: Row, status: Row) -> bool:
    return EXPECTED_READING.get(status["command"]) == reading["reading_type"]


def attributed_command(reading: Row, statuses: Rows) -> Row | None:
    """The latest of all commands that may have caused the reading."""
    candidates = [
        status
        for status in statuses
        if status["device_id"] == reading["device_id"]
        and is_in_window(reading, status)
        and is_expected(reading, status)
    ]
    return max(candidates, key=command_order, default=None)


def command_order(status: Row) -> tuple[Any, ...]:
    """By time, map revision in hex order with NULL lowest, command_uuid."""
    revision = status["command_map_revision"]
    return (
        status["command_update_timestamp"],
        (0,) if revision is None else (1, hex_order(revision)),
        status["command_uuid"],
    )


def neighbours(status: Row, statuses: Rows) -> Row:
    """The position of a command among those of its device."""
    mine = status["command_update_timestamp"]
    others = [
        other
        for other in statuses
        if other is not status and other["device_id"] == status["device_id"]
    ]
    before = [other for other in others if command_order(other) < command_order(status)]
    after = [other for other in others if command_order(other) > command_order(status)]
    previous = max(before, key=command_order, default=None)
    following = min(after, key=command_order, default=None)
    return {
        "seconds_since_previous_command": (
            None if previous is None else seconds(mine - previous["command_update_timestamp"])
        ),
        "seconds_to_next_command": (
            None if following is None else seconds(following["command_update_timestamp"] - mine)
        ),
        "is_window_shared": any(
            abs(other["command_update_timestamp"] - mine) <= WINDOW for other in others
        ),
        "is_superseded": any(
            other["command"] == status["command"]
            and other["command_update_timestamp"] - mine <= WINDOW
            for other in after
        ),
    }


def outcome(status: Row, has_match: bool) -> str:
    if not status["has_hub_response"]:
        return "observed" if has_match else "no_response"
    if status["is_hub_success"]:
        return "confirmed" if has_match else "unconfirmed"
    return "contradicted" if has_match else "failed"


# --- Section 5: when a reading matches ------------------------------------------------------------


def matches(reading: Row, status: Row) -> bool:
    """Whether its type is the expected one and it shows the asked state; never NULL."""
    if not is_expected(reading, status):
        return False
    value = reading["state_value"].lower()
    kind = status["command"]
    if kind == "LockedState":
        return (value, status["lock_state"]) in (("true", "locked"), ("false", "unlocked"))
    if kind == "SwitchState":
        return value == status["switch_state"]
    if kind == "DimmerState":
        return dimmer_matches(value, reading["state_percent"], status)
    if kind == "ThermostatMode":
        return mode_matches(value, status["thermostat_mode"])
    if kind == "ThermostatHeatSetPoint":
        return set_point_matches(reading, status["thermostat_heat_set_point"])
    return set_point_matches(reading, status["thermostat_cool_set_point"])


def dimmer_matches(value: str, percent: float | None, status: Row) -> bool:
    if status["dimmer_state"] is None:
        return False
    word = status["dimmer_state"].split(" ")[-1].lower()
    level = number(status["dimmer_level"])
    if word == "on" and level is not None and percent is not None:
        return value == word and abs(level - percent) <= 1
    return value == word


def mode_matches(value: str, mode: str | None) -> bool:
    if mode is None or "operatingstate" in (value, mode):
        return False
    counts_as = {"settocool": "cool", "settoheat": "heat"}
    return counts_as.get(value, value) == counts_as.get(mode, mode)


def set_point_matches(reading: Row, set_point: str | None) -> bool:
    """Whether they are at most 0.5 apart, unchanged or with the reading in the other unit."""
    asked, read = number(set_point), number(reading["state_value"])
    if asked is None or read is None:
        return False
    readings = [read]
    if reading["state_unit"] == "F":
        readings.append((read - 32) * 5 / 9)
    if reading["state_unit"] == "C":
        readings.append(read * 9 / 5 + 32)
    return any(abs(asked - each) <= 0.5 for each in readings)


# --- Section 5: outcomes --------------------------------------------------------------------------


def command_outcomes(commands: Rows) -> Rows:
    """A row per command and one of all."""
    kinds = sorted({row["command"] for row in commands})
    rows = [outcomes_of(kind, [c for c in commands if c["command"] == kind]) for kind in kinds]
    return [*rows, outcomes_of("(all)", commands)]


def outcomes_of(kind: str, commands: Rows) -> Row:
    successes = [row for row in commands if row["is_hub_success"]]
    confirmed = [row for row in commands if row["outcome"] == "confirmed"]
    waits = sorted(row["seconds_to_first_matching_reading"] for row in confirmed)
    return {
        "command": kind,
        "number_of_commands": len(commands),
        "number_with_hub_response": sum(row["has_hub_response"] for row in commands),
        "number_hub_success": len(successes),
        "number_hub_success_with_expected_reading": sum(
            row["expected_reading_count"] > 0 for row in successes
        ),
        "number_hub_success_with_matching_reading": sum(
            row["has_matching_reading"] for row in successes
        ),
        "number_hub_success_confirmed": len(confirmed),
        "number_window_shared": sum(row["is_window_shared"] for row in commands),
        "confirmation_rate": len(confirmed) / len(successes) if successes else None,
        "p50_seconds_to_confirmation": nearest_rank(50, waits),
        "p95_seconds_to_confirmation": nearest_rank(95, waits),
    }


def nearest_rank(percent: int, values: list[float]) -> float | None:
    """The value at rank ceil(p·n), in whole numbers, so no rounding moves it."""
    if not values:
        return None
    rank = -(-percent * len(values) // 100)
    return values[rank - 1]
