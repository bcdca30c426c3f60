"""Compares the whole pipeline with the reference in plain Python, on rows that hit every clause."""

from __future__ import annotations

from collections import Counter

import messy
import pytest
import reference
from engines import KINDS, OnDuckDB, assert_equal, comparable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messy import Row

OF_USERS = ("stg_user_versions", "stg_users", "dim_users", "quarantined_users")
USERS = {
    "typed": messy.raw_users(),
    "text": messy.raw_users(times="text", uid="text"),
    "numbers": messy.raw_users(times="epoch", uid="float"),
}


def examples(number: int) -> settings:
    """So many examples, the same in every run."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module")
def pipelines() -> dict[str, OnDuckDB]:
    return {name: OnDuckDB(types) for name, types in KINDS.items()}


def check(pipeline: OnDuckDB, events: list[Row], users: list[Row]) -> None:
    """Check that every model equals the reference, and that what must add up adds up."""
    built = pipeline.build(events, users)

    assert_equal(built, reference.build(events, users))
    for source, raw in (("raw_sync_events", events), ("raw_users", users)):
        rows = [row for row in built["audit_dispositions"] if row["source"] == source]
        assert sum(row["number_of_rows"] for row in rows) == len(raw)
    commands = len(built["stg_commands"])
    assert len(built["fct_command_statuses"]) == len(built["fct_command_readings"]) == commands
    daily = built["met_daily_command_count_by_username"]
    assert sum(row["number_of_commands"] for row in daily) == commands
    attributed = Counter(
        (row["device_id"], each["reading_type"], each["reading_uuid"])
        for row in built["fct_command_readings"]
        for each in row["readings"]
        if each["is_attributed"]
    )
    assert max(attributed.values(), default=1) == 1


@examples(12)
@given(messy.raw_events(), messy.raw_users())
def test_every_model_of_few_rows_equals_the_reference(pipelines, events, users):
    check(pipelines["typed"], events, users)


# a build takes about as long for few rows as for many, so each has the rows of several draws:
# 108 of them where all is typed, 40 each where it comes as text or numbers


@examples(18)
@given(messy.raw_events(parts=6), messy.raw_users())
def test_every_model_equals_the_reference_and_what_must_add_up_adds_up(pipelines, events, users):
    check(pipelines["typed"], events, users)


@examples(8)
@given(messy.raw_events(date_created="text", parts=5), messy.raw_users(times="text", uid="text"))
def test_every_model_equals_the_reference_where_all_came_as_text(pipelines, events, users):
    check(pipelines["text"], events, users)


@examples(8)
@given(messy.raw_events(date_created="epoch", parts=5), messy.raw_users(times="epoch", uid="float"))
def test_every_model_equals_the_reference_where_times_came_as_numbers(pipelines, events, users):
    check(pipelines["numbers"], events, users)


@pytest.mark.parametrize("kind", USERS)
@examples(40)
@given(data=st.data())
def test_every_model_of_users_equals_the_reference(pipelines, kind, data):
    users = data.draw(USERS[kind])

    built = pipelines[kind].build([], users, only=OF_USERS)

    right = reference.build([], users)
    assert_equal(built, {name: right[name] for name in OF_USERS if name in right})


@examples(5)
@given(messy.raw_events(parts=5), messy.raw_users(), st.randoms(use_true_random=False))
def test_the_order_of_the_raw_rows_changes_nothing(pipelines, events, users, random):
    before = pipelines["typed"].build(events, users)
    random.shuffle(events)
    random.shuffle(users)

    after = pipelines["typed"].build(events, users)

    for name, rows in before.items():
        names = list(rows[0]) if rows else []
        assert comparable(after[name], names) == comparable(rows, names), name
