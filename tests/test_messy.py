from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import messy
import pytest
import reference
from hypothesis import HealthCheck, given, settings

Row = dict[str, Any]
OUTCOMES = ("confirmed", "unconfirmed", "failed", "contradicted", "observed", "no_response")
EVERY_CLAUSE = [
    *reference.EVENT_QUARANTINE,
    *reference.USER_QUARANTINE,
    *("removed", "out_of_scope", "duplicate", "staged"),
    *OUTCOMES,
    *(f"{command} matched" for command in reference.EXPECTED_READING),
    *("PinAssignment", "Reboot"),
    *("shared", "superseded", "matched, not attributed", "expected, not matched"),
    *("0.0 s", "1e-06 s", "15.0 s", "0.0 s to the next", "15.0 s to the next"),
    *("15.000001 s to the next", "several days", "two users of one name"),
    "a tie that the content decides",
    *("ann", "(no user)", "(unknown user)"),
]
"""The random rows cover all of the contract: `relations` finds each kind of case."""
HOW_THEY_COME = pytest.mark.parametrize(
    ("date_created", "times", "uid"),
    [("timestamp", "timestamp", "int"), ("text", "text", "text"), ("epoch", "epoch", "float")],
    ids=["typed", "all as text", "numbers"],
)


def seen(examples: int, observe: Callable[..., Iterable[str]], **kinds: str) -> Counter[str]:
    """The observations over so many examples, the same in every run."""
    found: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        messy.raw_events(kinds.get("date_created", "timestamp")),
        messy.raw_users(kinds.get("times", "timestamp"), kinds.get("uid", "int")),
    )
    def collect(events: list[Row], users: list[Row]) -> None:
        found.update(observe(events, users))

    collect()
    return found


def relations(events: list[Row], users: list[Row]) -> Iterator[str]:
    """The kinds of cases in the models built on the rows."""
    built = reference.build(events, users)
    yield from (row["disposition"] for row in built["audit_dispositions"])
    yield from (row["username"] for row in built["met_daily_command_count_by_username"])
    if len({row["command_date"] for row in built["fct_command_statuses"]}) > 1:
        yield "several days"
    yield from ["a tie that the content decides"] * _has_tie_by_content(events)
    names = Counter(row["username"] for row in built["dim_users"])
    yield from ["two users of one name"] * (max(names.values(), default=0) > 1)
    for row in built["fct_command_readings"]:
        yield from (row["outcome"], row["command"])
        yield from ["shared"] * row["is_window_shared"] + ["superseded"] * row["is_superseded"]
        yield from [f"{row['seconds_to_next_command']} s to the next"]
        for each in row["readings"]:
            yield f"{each['seconds_after_command']} s"
            match, is_mine = each["matches_desired_state"], each["is_attributed"]
            yield from [f"{row['command']} matched"] * match
            yield from ["matched, not attributed"] * (match and not is_mine)
            yield from ["expected, not matched"] * (each["is_expected_type"] and not match)


def _has_tie_by_content(events: list[Row]) -> bool:
    """Whether two copies agree in time, revision and file, but not in their content."""
    staged = [event for event in map(reference.sync_event, events) if _is_staged(event)]
    orders = {(reference.dedup_key(event), reference.dedup_order(event)) for event in staged}
    ties = Counter((key, order[:3]) for key, order in orders)
    return max(ties.values(), default=0) > 1


def _is_staged(event: Row) -> bool:
    return bool(event["disposition"] == "staged")


def test_every_disposition_outcome_and_relation_occurs():
    found = seen(250, relations)

    assert [name for name in EVERY_CLAUSE if not found[name]] == []


@HOW_THEY_COME
def test_users_of_every_disposition_occur_however_they_come(date_created, times, uid):
    found = seen(60, relations, date_created=date_created, times=times, uid=uid)

    wanted = [*reference.USER_QUARANTINE, "duplicate", "staged", "missing_update_timestamp"]
    assert [name for name in wanted if not found[name]] == []


@HOW_THEY_COME
def test_raw_values_are_of_the_types_asked_for(date_created, times, uid):
    def types(events: list[Row], users: list[Row]) -> Iterator[str]:
        for row in [*events, *users]:
            for name, value in row.items():
                yield f"{name} {type(value).__name__}"

    found = seen(30, types, date_created=date_created, times=times, uid=uid)

    text = {f"{name} str" for name in ("EventType", "ItemKey", "ItemData", "username")}
    time = {"timestamp": "datetime", "text": "str", "epoch": "int"}
    wanted = text | {
        f"DateCreated {time[date_created]}",
        f"last_modified {time[times]}",
        f"uid {'str' if uid == 'text' else uid}",
    }
    assert wanted <= set(found)
    names = {name.split()[0] for name in found}
    assert len({name for name in found if not name.endswith("NoneType")}) == len(names)


@pytest.mark.parametrize("kind", ["text", "epoch"])
def test_a_time_as_text_or_number_is_the_same_time(kind):
    def wrong(events: list[Row], users: list[Row]) -> Iterator[str]:
        known = {
            (base + dt.timedelta(seconds=number / 1e6)).replace(microsecond=0)
            for base in messy.BASES
            for number in range(-5_000_000, 75_000_000, 1_000_000)
        }
        for event in events:
            time = reference.timestamp_of(event["DateCreated"])
            if time is not None and time.replace(microsecond=0) not in known:
                yield str(event["DateCreated"])

    assert seen(40, wrong, date_created=kind) == Counter()
