"""Compares the whole pipeline with the reference in plain Python, on rows that hit every clause."""

from __future__ import annotations

from collections import Counter

import messy
import pytest
import reference
from engines import KINDS, OnDuckDB, assert_equal, comparable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


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


@examples(120)
@given(messy.raw_events(), messy.raw_users())
def test_every_model_equals_the_reference_and_what_must_add_up_adds_up(pipelines, events, users):
    built = pipelines["typed"].build(events, users)

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


@examples(40)
@given(messy.raw_events(date_created="text"), messy.raw_users(times="text", uid="text"))
def test_every_model_equals_the_reference_where_all_came_as_text(pipelines, events, users):
    assert_equal(pipelines["text"].build(events, users), reference.build(events, users))


@examples(25)
@given(messy.raw_events(date_created="epoch"), messy.raw_users(times="epoch", uid="float"))
def test_every_model_equals_the_reference_where_times_came_as_numbers(pipelines, events, users):
    assert_equal(pipelines["numbers"].build(events, users), reference.build(events, users))


@examples(25)
@given(messy.raw_events(), messy.raw_users(), st.randoms(use_true_random=False))
def test_the_order_of_the_raw_rows_changes_nothing(pipelines, events, users, random):
    before = pipelines["typed"].build(events, users)
    random.shuffle(events)
    random.shuffle(users)

    after = pipelines["typed"].build(events, users)

    for name, rows in before.items():
        names = list(rows[0]) if rows else []
        assert comparable(after[name], names) == comparable(rows, names), name
