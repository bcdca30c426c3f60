from __future__ import annotations

import io
import re

import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.output.lines import recap
from pipeline.output.progress import People
from pipeline.results import CheckResult, ModelResult, Result, Started

ROWS = pa.table({"command_uuid": ["00627d57-4ec0-48af-a5e9-815fbf3b0943"], "pin": ["***"]})
LONG = "met_daily_command_count_by_username"


def made(name, status="OK", rows=1350, **more) -> ModelResult:
    return ModelResult(name, "table", status, rows, 0.12, **more)


def found(model, name, status="PASS", failures=0, **more) -> CheckResult:
    return CheckResult(model, name, "error", f"{name} holds", status, failures, 0.02, **more)


EVENTS = [
    Started("dim_users", "model", 1, 3),
    made("dim_users", rows=1),
    Started("dim_users", "checks", 1, 3),
    found("dim_users", "unique_key"),
    found("dim_users", "late", "WARN", 7, sample=ROWS),
    found("dim_users", "apart", "SKIP", message="needs stg_users (not selected)"),
    Started(LONG, "model", 2, 3),
    made(LONG),
    Started(LONG, "checks", 2, 3),
    *(found(LONG, f"check_{number}") for number in range(10)),
    made("met_x", "SKIP", None, message="dim_users failed"),
    found("met_x", "unique_key", "SKIP", message="dim_users failed"),
]


def told(events, every=False, quiet=False) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    people = People(console, every=every, quiet=quiet)
    with people:
        for event in events:
            people(event)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_model_is_one_line_with_the_number_of_its_checks_and_what_did_not_pass_below_it():
    lines = told(EVENTS)

    assert lines == [
        "OK created table dim_users (1 row, 1 of 3 checks) in 0.12s",
        "WARN 7 dim_users.late in 0.02s",
        *lines[2:5],
        "SKIP dim_users.apart: needs stg_users (not selected)",
        # without the time, because the line would be wider than the screen
        f"OK created table {LONG} (1,350 rows, 10 checks)",
        "SKIP met_x: dim_users failed",
    ]
    assert lines[4].split() == ["00627d57-4ec0-48af-a5e9-815fbf3b0943", "***"]
    assert max(map(len, lines)) <= 80


def test_each_check_has_its_line_where_every_one_is_asked_for():
    lines = told(EVENTS, every=True)

    assert lines[:2] == [
        "OK created table dim_users (1 row) in 0.12s",
        "PASS dim_users.unique_key in 0.02s",
    ]
    assert sum(line.startswith(("OK", "PASS", "WARN", "SKIP")) for line in lines) == 17


def test_a_test_has_a_line_for_each_model_of_which_something_passed():
    tested = [event for event in EVENTS[:-2] if not isinstance(event, ModelResult)]

    assert [line for line in told(tested) if line.startswith("PASS")] == [
        "PASS dim_users (1 of 3 checks)",
        f"PASS {LONG} (10 checks)",
    ]


def test_a_model_is_told_before_the_next_one_is_built():
    console = Console(file=io.StringIO(), width=80)
    people = People(console, every=False, quiet=False)
    for event in EVENTS[:7]:
        people(event)

    assert console.file.getvalue().startswith("OK created table dim_users")


def test_quiet_says_nothing_until_the_end():
    assert told(EVENTS, quiet=True) == []


def test_the_end_tells_again_what_needs_a_look_with_the_command_and_the_worst_last():
    console = Console(file=io.StringIO(), width=40)
    failed = found("dim_users", "unique_key", "FAIL", 2, sample=ROWS)
    broken = made("met_x", "ERROR", None, message="no memory")
    result = Result([made("dim_users"), broken], [failed, EVENTS[4]])
    command = "python cli.py show dim_users --failing unique_key"
    for each in recap(result, lambda check: f"python cli.py show {check.model} --failing x"):
        console.print(each, crop=False)

    shown = re.sub(r"\s*\n(?=\S)", " ", console.file.getvalue())
    assert re.findall(r"(WARN|FAIL|ERROR|SKIP|PASS)\b", shown) == ["WARN", "FAIL", "ERROR"]
    assert "WARN 7 dim_users.late: late holds" in shown
    assert command.replace("unique_key", "x") in console.file.getvalue()
    assert "unique_key holds" in shown


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_name_is_broken_at_any_width(width):
    console = Console(file=io.StringIO(), width=width)
    people = People(console, every=True, quiet=False)
    for event in EVENTS:
        people(event)

    assert f"{LONG}.check_9" in console.file.getvalue()
