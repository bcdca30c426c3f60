"""Requests that fail on the model of BigQuery; `harnesses.each_request` tries all of them."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harnesses import each_request
from harnesses.each_request import Place, Trial
from harnesses.planted_requests import planted
from harnesses.schedules import Schedule

LOCK = "datasets/models/tables/_pipeline_lock_build"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """The dataset before each kind of program."""
    folder: Path = tmp_path_factory.mktemp("each_request")
    return each_request.all_prepared(
        folder, ["run", "partial", "incremental", "new_layout", "append"]
    )


def broken(places: dict[str, Place], kind: str, how: str, step: str, seed: int = 0) -> list[str]:
    """The promises that are broken if the first request whose text holds `step` fails."""
    place = places[kind]
    at = next(number for number, text in enumerate(place.requests, 1) if step in text)
    return Trial(place, Schedule(kind, how, at, seed)).run()["broken"]


def asked(trial: Trial) -> list[tuple[str, str, datetime]]:
    """The requests of all programs in their order, and their times."""
    found = list[tuple[str, str, datetime]]()
    answer = trial.service.answer

    def noted(method: str, url: str, data: bytes) -> Any:
        # each job has a random id of its own
        place = url.partition("/projects/")[2].partition("?")[0]
        found.append((method, re.sub(r"/[0-9a-f-]{36}", "", place), trial.service.now()))
        return answer(method, url, data)

    trial.service.answer = noted
    trial.run()
    return found


@pytest.mark.parametrize(
    ("kind", "how", "step"),
    [
        ("new_layout", "crash_after", "POST jobs ALTER"),
        ("new_layout", "job_fails", "POST jobs ALTER TABLE `model-project`.`models`.`_building"),
        ("new_layout", "job_fails", "POST jobs ALTER TABLE `model-project`.`models`.`firsts"),
        ("run", "answer_lost", "POST datasets/models/tables"),
        ("run", "job_fails", "BEGIN TRANSACTION"),
        ("partial", "job_fails", "BEGIN TRANSACTION"),
        ("incremental", "job_fails", "BEGIN TRANSACTION"),
        ("run", "paused", "BEGIN TRANSACTION"),
        ("partial", "paused", "POST jobs SELECT `t"),
        ("append", "refused", "GET jobs/"),
        ("run", "crash_after", f"PATCH {LOCK}"),
        ("run", "paused", f"PATCH {LOCK}"),
    ],
    ids=[
        "the old table of another layout expires",
        "a script that fails between the renames of two tables",
        "a script that fails between a rename and a new view",
        "a lock that is ours already",
        "the commit is not repeated",
        "a partial build whose job fails after its commit",
        "an incremental build whose job fails after its commit",
        "the lock is over before the commit",
        "a partial build after another one",
        "a load that outlives its program",
        "a build that is killed while it renews its lock",
        "a renewal that comes too late",
    ],
)
@pytest.mark.parametrize("seed", [0, 2])
def test_a_request_may_fail_and_no_promise_breaks(places, kind, how, step, seed):
    assert broken(places, kind, how, step, seed) == []


def test_a_seed_repeats_a_schedule_exactly(places):
    schedule = Schedule("partial", "answer_lost", 30, 5)

    once, again = (asked(Trial(places["partial"], schedule)) for _ in range(2))

    assert once == again
    assert len(once) > 100


@pytest.mark.parametrize("seed", [1, 8])
def test_a_table_that_a_killed_build_still_copies_takes_the_rows_of_the_next(places, seed):
    # the copy goes on beside the next build in some orders only
    place = places["new_layout"]
    at = [text.strip() for text in place.requests].index("POST jobs") + 1

    assert Trial(place, Schedule("new_layout", "crash_after", at, seed)).run()["broken"] == []


@pytest.mark.parametrize(
    ("fault", "how", "step"),
    [
        ("drop_before_copy", "crash_after", "GET datasets/models/tables/commands"),
        ("record_outside_the_commit", "crash_after", "BEGIN TRANSACTION"),
        ("no_transaction", "crash_after", "BEGIN TRANSACTION"),
        ("retry_that_appends_twice", "answer_lost", "POST jobs INSERT"),
        ("lock_not_released", "unavailable", "BEGIN TRANSACTION"),
    ],
)
def test_a_planted_fault_is_found(places, fault, how, step):
    with planted(fault):
        assert broken(places, "run", how, step)
